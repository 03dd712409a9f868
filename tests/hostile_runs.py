"""What a stranger may have done to a run: files that the store reads and that are no run."""

import h5py
import numpy as np
from hostile import (
    DEEP,
    INFINITY,
    NAN,
    Damage,
    attribute,
    changed,
    described,
    detached,
    moved,
    replaced,
    swapped,
)


def once(file: h5py.File) -> None:
    """Leave the masses of one save only."""
    detached("mass_on_grid")(file)
    file.move("mass_on_grid", "before")
    file["mass_on_grid"] = file["before"][0]
    file["mass_on_grid"].dims[0].attach_scale(file["theta"])


RUNS: dict[str, Damage] = {
    "no time": (moved("time", "times"), "'time' is missing|along|dimensions"),
    "no particles": (moved("position", "place"), "neither positions of particles nor masses"),
    "no masses": (moved("particle_mass", "masses"), "'particle_mass' is missing"),
    "no marks": (moved("recorded", "marks"), "'recorded' is missing"),
    **{f"no {name}": (moved(name, "other"), f"'{name}' is missing") for name in ("risk", "gap")},
    "time that is NaN": (changed("time", 1, NAN), "times are not numbers >= 0 that increase"),
    "infinite time": (changed("time", 2, INFINITY), "times are not numbers"),
    "time that goes back": (changed("time", 1, 9.0), "times are not numbers"),
    "time that stands": (changed("time", 1, 0.0), "times are not numbers"),
    "time before zero": (changed("time", 0, -1.0), "times are not numbers"),
    "marks of two": (changed("recorded", 1, 2), "'recorded' holds other values than 0 and 1"),
    "marks below zero": (changed("recorded", 1, -1), "'recorded' holds other values"),
    "marks that are floats": (replaced("recorded", data=np.ones(3)), "'recorded' holds values of"),
    "risk of whole numbers": (replaced("risk", data=[1, 2, 3]), "'risk' holds values of another"),
    "risk off the times": (detached("risk"), r"'risk' has the dimensions \(risk_0\)"),
    "risk of texts": (
        replaced("risk", data=["a"] * 3, dtype=h5py.string_dtype()),
        "'risk' holds values of another type",
    ),
    "risk in two dimensions": (
        lambda f: (moved("risk", "r")(f), f.move("prediction", "risk"), f.move("r", "prediction")),
        "'risk' has the dimensions|'prediction' has the dimensions",
    ),
    "positions for masses": (swapped("position", "particle_mass"), "must have"),
    "negative mass": (changed("particle_mass", 0, -1.0), "masses of the particles are not numbers"),
    "mass that is NaN": (changed("particle_mass", 0, NAN), "masses of the particles are not"),
    "no mass at all": (changed("particle_mass", ..., 0.0), "masses of the particles are not"),
    "inputs that are NaN": (changed("x", 0, NAN), "'x' holds numbers that are not finite"),
    "outputs that are infinite": (changed("y", 0, INFINITY), "'y' holds numbers that are not"),
    "negative weight": (changed("weight", 0, -1.0), "'weight' holds negative numbers"),
    "data without outputs": (moved("y", "z"), "'y' is missing"),
    "another term": (moved("energy_ridge", "energy_fridge"), "'energy_fridge' does not fit"),
    "a term too many": (lambda f: f.copy("risk", "energy_a"), "'energy_a' does not fit"),
    "inputs off the samples": (detached("x"), r"'x' has the dimensions \(x_0, x_1\)"),
    **{
        f"no attribute {name}": (attribute(name, None), f"the attribute '{name}' is missing")
        for name in ("case", "solver", "status", "settings", "problem", "statistics")
    },
    "no seed": (attribute("seed", None), "the seed is None, but must be a whole number"),
    "negative seed": (attribute("seed", -1), "the seed is -1, but must be a whole number >= 0"),
    "seed that is a text": (attribute("seed", "1"), "the seed is '1', but must be"),
    "seed that is a float": (attribute("seed", 1.5), "the seed is 1.5, but must be a whole"),
    "status of another version": (attribute("status", "asleep"), "is 'asleep', but must be one of"),
    "status that is a number": (attribute("status", 1), "'status' is not a text"),
    "saved otherwise": (attribute("save", "some"), "'save' is 'some', but must be one of"),
    "reason that is a number": (attribute("reason", 1), "'reason' is not a text"),
    "case that is a number": (attribute("case", 3), "the attribute 'case' is not a text"),
    "case with an escape": (
        attribute("case", "\x1b[2J"),
        "holds characters that cannot be printed",
    ),
    "settings that are no JSON": (attribute("settings", "{'a': 1}"), "'settings' is not JSON"),
    "settings that are cut": (attribute("settings", '{"a": '), "'settings' is not JSON"),
    "settings that are a list": (attribute("settings", "[1]"), "'settings' is not a JSON object"),
    "settings that are NaN": (attribute("settings", "NaN"), "'settings' is not a JSON object"),
    "settings that are deep": (attribute("settings", DEEP), "'settings' is not JSON"),
    "parameters that are deep": (
        attribute("parameters", '{"a": ' * 500 + "1" + "}" * 500),
        "'parameters' is nested too deeply",
    ),
    "a number of many digits": (attribute("settings", "{" + "1" * 10_000), "is not JSON"),
    "statistics in words": (attribute("statistics", '{"seconds": "a"}'), "not a number"),
    "statistics that are NaN": (attribute("statistics", '{"seconds": NaN}'), "not a number"),
    "no domain": (described("domain"), "description of the domain cannot be read"),
    "domain of no axes": (described("domain", value=[]), "needs at least one axis"),
    "domain of one axis": (lambda f: described("domain", 1)(f), "has 1 axes|does not fit"),
    "domain of text": (described("domain", value="abc"), "description of the domain cannot be"),
    "axis of another kind": (
        described("domain", 0, "kind", value="Torus"),
        "domain cannot be read",
    ),
    "axis with a list": (described("domain", 0, "lower", value=[1]), "lower end of an interval"),
    "axis that ends before it begins": (described("domain", 0, "upper", value=-9.0), "above -5"),
    "axis with a name of the file": (described("domain", 0, "name", value="risk"), "cannot be nam"),
    "axis with a number for a name": (described("domain", 0, "name", value=3), "cannot be named"),
    "axis with a list for a name": (described("domain", 0, "name", value=["a"]), "domain|named"),
    "axis of more settings": (described("domain", 0, "eval", value="1"), "domain cannot be read"),
    "no energy": (described("energy"), "description of the energy cannot be read"),
    "energy of text": (described("energy", value="abc"), "description of the energy"),
    "term without a kind": (described("energy", 0, "kind"), "description of the energy"),
    "temperature in words": (described("energy", 2, "temperature", value="hot"), "of the energy"),
    "no neuron": (described("energy", 0, "neuron"), "network cannot be read or does not fit"),
    "neuron of text": (described("energy", 0, "neuron", value="abc"), "network cannot be read"),
    "neuron without a chart": (described("energy", 0, "neuron", "chart"), "network cannot be"),
    "neuron of more outputs": (described("energy", 0, "neuron", "outer", value=7), "does not fit"),
    "activation that is a list": (
        described("energy", 0, "neuron", "activation", value=[1]),
        "network cannot be read",
    ),
}
"""Refused as no run by particles: the store reads them."""

GRIDS: dict[str, Damage] = {
    "edges that go back": (changed("theta_edge", 3, 99.0), "edges of 'theta' do not increase"),
    "edges that are NaN": (changed("theta_edge", 3, NAN), "edges of 'theta' do not increase"),
    "edges to infinity": (changed("theta_edge", -1, INFINITY), "edges of 'theta' do not increase"),
    "no edges": (moved("theta_edge", "other"), "neither positions of particles nor masses"),
    "no cells": (moved("theta", "other"), "'theta' is missing|dimensions|along"),
    "masses off the times": (detached("mass_on_grid"), "'mass_on_grid' has the dimensions"),
    "masses once without a mark": (once, "'law_save' is missing"),
    "another axis": (described("domain", 0, "name", value="eta"), "neither positions"),
    "more axes": (
        described("domain", value=[{"name": n, "kind": "Circle"} for n in ("theta", "eta")]),
        "'eta_edge' is missing",
    ),
}
"""Refused as no run on a grid."""
