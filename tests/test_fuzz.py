"""The law of any text and any array: an InputError of one sentence, or something that is valid."""

import contextlib
import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from hypothesis.extra import numpy as arrays

import wgflow as wg
from wgflow.case import find_case, list_cases, settings_of
from wgflow.options import parse_assignments
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers import SOLVERS

fuzz = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)

numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-3, 20),
    st.sampled_from(
        [10**30, -(10**30), 2**63, 2**64, "1e400", "1e-400", "٣", "１", "0x1", "1_0", "+1"]
    ),
)
texts = st.one_of(
    st.text(max_size=30),
    numbers.map(str),
    st.lists(numbers, max_size=4).map(lambda held: ",".join(map(str, held))),
    st.sampled_from(
        ["none", "default", "true", "no", "yes", "nan", "inf", "", " ", ",", "a" * 10_000]
    ),
    st.sampled_from(
        ["explicit", "implicit", "lagrangian", "heun", "double", "balanced", "entropic"]
    ),
)


@contextlib.contextmanager
def sentence() -> Any:
    """Let nothing but an InputError of one line pass."""
    try:
        yield
    except wg.InputError as error:
        text = str(error)
        assert text.isprintable() and 10 < len(text) <= 1000, text
        assert text.endswith((".", "?")), text


SETTINGS = [(name, setting) for name, kind in SOLVERS.items() for setting in settings_of(kind)]


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
@fuzz
@given(text=texts)
def test_any_setting_is_a_solver_or_a_sentence(name: str, setting: str, text: str) -> None:
    kinds = settings_of(SOLVERS[name])
    with sentence():
        held = parse_assignments([f"{setting}={text}"], kinds, "setting", f"solver {name}")
        solver = find_case("motorcycle").default_solver(name, **held)
        assert isinstance(solver, Solver) and solver.name == name
        assert 0 < solver.step < math.inf
        json.dumps(solver.settings())


@pytest.mark.parametrize("name", SOLVERS)
@fuzz
@given(
    assignments=st.lists(st.text(max_size=20) | st.tuples(texts, texts).map("=".join), max_size=3)
)
def test_any_text_is_an_assignment_or_a_sentence(name: str, assignments: list[str]) -> None:
    with sentence():
        parse_assignments(assignments, settings_of(SOLVERS[name]), "setting", f"solver {name}")


PARAMETERS = [(case, name) for case in list_cases() for name in find_case(case).parameters]


@pytest.mark.parametrize(("case", "name"), PARAMETERS)
@fuzz
@given(text=texts)
def test_any_parameter_is_a_problem_or_a_sentence(case: str, name: str, text: str) -> None:
    held = find_case(case)
    kinds = {key: parameter.kind for key, parameter in held.parameters.items()}
    with sentence():
        given_ = parse_assignments([f"{name}={text}"], kinds, "parameter", f"case {case}")
        made = held.problem(**given_)
        assert isinstance(made, Problem) and 0 < made.horizon < math.inf
        json.dumps(made.describe(), allow_nan=False)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("case", list_cases())
@fuzz
@given(parameters=st.data())
def test_any_parameters_of_a_file_are_a_problem_or_a_sentence(case: str, parameters: Any) -> None:
    """As `load` takes them out of a results file: any plain data."""
    held = find_case(case)
    names = st.sampled_from([*held.parameters, "self", "name", "lambda", "data "]) | st.text(
        max_size=4
    )
    given_ = parameters.draw(st.dictionaries(names, plain, max_size=3))
    with sentence():
        assert isinstance(held.problem(**given_), Problem)


shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
kinds = st.one_of(
    arrays.scalar_dtypes(),
    arrays.unicode_string_dtypes(max_len=3),
    arrays.byte_string_dtypes(max_len=3),
)
any_array = arrays.arrays(kinds, shapes)
columns = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 2)),
    elements=st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10),
)


@fuzz
@given(x=any_array | columns, y=any_array | columns, weight=st.none() | any_array)
def test_any_arrays_are_data_or_a_sentence(x: Any, y: Any, weight: Any) -> None:
    with sentence():
        data = wg.Data(x, y, weight)
        assert data.x.ndim == data.y.ndim == 2 and len(data.x) == len(data.y) == data.count > 0
        assert np.isfinite(data.x).all() and np.isfinite(data.y).all()
        assert data.weights.shape == (data.count,) and (data.weights >= 0).all()


@fuzz
@given(x=any_array | columns, y=any_array | columns)
def test_any_archive_is_data_or_a_sentence(x: Any, y: Any, tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "own.npz", x=x, y=y)
    with sentence():
        data = wg.read_data(tmp_path / "own.npz")
        assert np.isfinite(data.x).all() and len(data.x) == len(data.y)


cells = st.text(max_size=6) | numbers.map(str)
tables = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="xy,;\n\r\"' 0123456789.e-\ufeff", max_size=60).map(str.encode),
    st.lists(st.lists(cells, max_size=3).map(",".join), max_size=4).map(
        lambda rows: "\n".join(rows).encode(errors="surrogatepass")
    ),
)


@pytest.mark.parametrize("ending", ["csv", "npz"])
@fuzz
@given(content=tables)
@example(content=b"\xef\xbb\xbfx,y\n1,2\n3,4\n")
def test_any_content_is_data_or_a_sentence(
    ending: str, content: bytes, tmp_path: pathlib.Path
) -> None:
    (tmp_path / f"own.{ending}").write_bytes(content)
    with sentence():
        assert np.isfinite(wg.read_data(tmp_path / f"own.{ending}").x).all()


@pytest.mark.parametrize(
    "solver",
    [wg.ParticleFlow(step=0.1, count=5), wg.JKO(step=0.5, shape=(12, 12), max_iterations=3)],
)
@settings(parent=fuzz, max_examples=25)
@given(x=columns, y=columns)
def test_a_step_on_any_data_is_a_run_or_a_sentence(solver: Solver, x: Any, y: Any) -> None:
    """A run of one step: whatever the data are, it has a status and its numbers are finite."""
    with sentence():
        data = wg.Data(x[:, :1], y[:, :1])
        domain = wg.Domain(wg.Interval(-3, 3), wg.Interval(-3, 3), names=("a", "w"))
        energy = wg.Risk(data, wg.Neuron("tanh")) + wg.Entropy(0.5)
        problem = wg.Problem(energy, domain, wg.Gaussian((0.0, 0.0)), horizon=solver.step)
        run = wg.solve(problem, solver)
        assert run.status in ("finished", "diverged", "not_converged")
        assert np.isfinite(run.risk).all() and np.isfinite(run.measure(-1).mass).all()
