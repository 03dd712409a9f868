"""What a stranger may have done to a results file.

Each is a function of the open file, and words of the sentence that refuses it.
"""

import json
import pathlib
from collections.abc import Callable

import h5py
import numpy as np

Damage = tuple[Callable[[h5py.File], object], str]


def replaced(name: str, **how: object) -> Callable[[h5py.File], None]:
    """Return what puts another array in the place of a variable, on its dimensions, or adds it."""

    def damage(file: h5py.File) -> None:
        dims = []
        if name in file:
            dims = [axis[0].name for axis in file[name].dims if len(axis)]
            del file[name]
        file.create_dataset(name, **how)
        for axis, dim in zip(file[name].dims, dims, strict=False):
            axis.attach_scale(file[dim])

    return damage


def changed(name: str, index: object, value: object) -> Callable[[h5py.File], None]:
    """Return what changes some values of a variable."""

    def damage(file: h5py.File) -> None:
        file[name][index] = value

    return damage


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    """Return what puts another attribute, or none for None."""

    def damage(file: h5py.File) -> None:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return damage


def described(*path: object, value: object = None) -> Callable[[h5py.File], None]:
    """Return what puts a value in the description of the problem, or removes one."""

    def damage(file: h5py.File) -> None:
        problem = place = json.loads(file.attrs["problem"])
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        file.attrs["problem"] = json.dumps(problem)

    return damage


def moved(name: str, other: str) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        file.move(name, other)

    return damage


def linked(name: str, link: object) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = link

    return damage


def kept_elsewhere(file: h5py.File) -> None:
    del file["risk"]
    secret = pathlib.Path(file.filename).with_name("secret")
    secret.write_bytes(bytes(24))
    file.create_dataset("risk", (3,), "f8", external=[(str(secret), 0, 24)])


def virtual(file: h5py.File) -> None:
    del file["risk"]
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(file.filename, "energy", (3,))
    file.create_virtual_dataset("risk", layout)


def never_allocated(name: str, shape: tuple[int, ...]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, shape, "f8")

    return damage


def sparse(file: h5py.File) -> None:
    """A terabyte in a file of a few kilobytes, as chunks of which none is stored."""
    del file["risk"]
    file.create_dataset("risk", (2**37,), "f8", chunks=(2**20,), compression="gzip")


def own_filter(file: h5py.File) -> None:
    del file["risk"]
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((3,))
    made.set_filter(h5py.h5z.FILTER_DEFLATE + 40000, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((3,))
    h5py.h5d.create(file.id, b"risk", h5py.h5t.IEEE_F64LE, space, made)


def detached(name: str) -> Callable[[h5py.File], None]:
    """Return what takes a variable off its dimensions."""

    def damage(file: h5py.File) -> None:
        for axis in file[name].dims:
            axis.detach_scale(axis[0])

    return damage


def uses(dim: str, value: object) -> Callable[[h5py.File], None]:
    """Return what puts another list of the places where a dimension is used."""

    def damage(file: h5py.File) -> None:
        del file[dim].attrs["REFERENCE_LIST"]
        file[dim].attrs["REFERENCE_LIST"] = value(file) if callable(value) else value

    return damage


def places(*held: tuple[str, int], word: str = "dataset") -> Callable[[h5py.File], np.ndarray]:
    """Return what makes such a list."""

    def made(file: h5py.File) -> np.ndarray:
        pairs = [(file[name].ref, axis) for name, axis in held]
        return np.array(pairs, dtype=[(word, h5py.ref_dtype), ("dimension", "i4")])

    return made


def longer(dim: str, size: int) -> Callable[[h5py.File], None]:
    """Return what makes a dimension scale another one of this length, still attached."""

    def damage(file: h5py.File) -> None:
        attached = [
            (name, axis)
            for name, item in file.items()
            for axis, held in enumerate(item.dims)
            if not item.is_scale and file[dim] in held.values()
        ]
        scale = file.create_dataset("other", data=np.arange(float(size)))
        scale.make_scale(dim)
        for name, axis in attached:
            file[name].dims[axis].detach_scale(file[dim])
        del file[dim]
        file.move("other", dim)
        for name, axis in attached:
            file[name].dims[axis].attach_scale(file[dim])

    return damage


def many(file: h5py.File) -> None:
    for number in range(10_001):
        file.create_dataset(f"v{number}", data=0.0)


def one_long_text_many_times(file: h5py.File) -> None:
    """Labels of which every one is the same text of a megabyte."""
    del file["coordinate"]
    item = file.create_dataset("coordinate", (2000,), h5py.string_dtype())
    item[0] = "a" * 1_000_000
    file.flush()
    with open(file.filename, "r+b") as stream:
        stream.seek(item.id.get_offset())
        first = stream.read(16)
        stream.seek(item.id.get_offset())
        stream.write(first * 2000)


def shortened(name: str, axis: int, size: int) -> Callable[[h5py.File], None]:
    """Return what cuts a variable along an axis."""

    def damage(file: h5py.File) -> None:
        held = np.take(file[name][...], range(size), axis)
        file.copy(name, "copy")
        replaced(name, data=held)(file)

    return damage


def swapped(one: str, other: str) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        file.move(one, "between")
        file.move(other, one)
        file.move("between", other)

    return damage


NAN, INFINITY = float("nan"), float("inf")
DEEP = "[" * 100_000 + "]" * 100_000
OBJECT = np.void(b"opaque")
COMPOUND = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])
ENUM = h5py.enum_dtype({"no": 0, "yes": 1})

STORED: dict[str, Damage] = {
    "group": (lambda f: f.create_group("notes"), "'notes' is a group, not an array"),
    "group for a variable": (lambda f: (f.pop("risk"), f.create_group("risk")), "a group"),
    "named type": (lambda f: f.__setitem__("kind", np.dtype("f8")), "is a datatype"),
    "soft link": (linked("risk", h5py.SoftLink("/energy")), r"'risk' is a link \(SoftLink\)"),
    "dangling link": (linked("more", h5py.SoftLink("/nothing")), "no link is followed"),
    "cyclic link": (linked("more", h5py.SoftLink("/more")), "no link is followed"),
    "external link": (linked("risk", h5py.ExternalLink("/etc/passwd", "/x")), "ExternalLink"),
    "hard link to the root": (lambda f: f.__setitem__("risk2", f["/"]), "'risk2' is a group"),
    "two names of one array": (lambda f: f.__setitem__("risk2", f["risk"]), "are one object"),
    "data in another file": (kept_elsewhere, "'risk' is chunked, compressed or kept elsewhere"),
    "virtual array": (virtual, "'risk' is chunked, compressed or kept elsewhere"),
    "compressed": (replaced("risk", data=np.zeros(3), compression="gzip"), "h5repack -l CONTI"),
    "bomb": (replaced("risk", data=np.zeros(10**6), compression="gzip"), "compressed"),
    "own filter": (own_filter, "'risk' is chunked, compressed"),
    "sparse terabyte": (sparse, "'risk' is chunked, compressed"),
    "declared only": (never_allocated("risk", (10**12,)), r"\(1000000000000,\), for which .* too"),
    "declared beyond counting": (never_allocated("risk", (2**29, 2**29)), "too few bytes"),
    "not allocated": (never_allocated("risk", (3,)), "too few bytes"),
    "objects": (replaced("risk", shape=3, dtype=h5py.vlen_dtype("u1")), "neither numbers"),
    "references": (lambda f: f.create_dataset("r", data=f["risk"].ref), "'r' holds neither"),
    "opaque": (replaced("risk", data=np.array([OBJECT] * 3)), "'risk' holds neither numbers nor"),
    "compound": (replaced("risk", data=COMPOUND), "'risk' holds neither numbers nor texts"),
    "complex": (replaced("risk", data=np.zeros(3, complex)), "'risk' holds neither numbers nor"),
    "enumeration": (replaced("risk", data=[0, 1, 0], dtype=ENUM), "'risk' holds neither numbers"),
    "arrays in an array": (replaced("risk", shape=3, dtype="(2,)f8"), "'risk' holds neither"),
    "nothing": (replaced("risk", data=h5py.Empty("f8")), "'risk' holds neither|too few bytes"),
    "long double": (replaced("risk", data=np.zeros(3, np.longdouble)), "'risk' holds neither"),
    "texts in a table": (replaced("t", data=[["a"]], dtype=h5py.string_dtype()), "array of texts"),
    "texts without end": (one_long_text_many_times, "more than 10000000 characters"),
    "labels that are no text": (changed("coordinate", 0, b"\xff\xfe"), "not text in UTF-8"),
    "name that cannot be printed": (moved("risk", "\x1b[2J"), r"'\\x1b\[2J' holds characters"),
    "name over two lines": (moved("risk", "a\nb"), r"the name 'a\\nb' holds characters"),
    "name that is no text": (
        lambda f: h5py.h5l.LinkProxy.move(f.id.links, b"risk", f.id, b"\xff\xfe"),
        "holds characters that cannot be printed",
    ),
    "many variables": (many, "entries, but at most 10000 are read"),
    "list attribute": (attribute("case", ["a", "b"]), "the attribute 'case' is neither a text"),
    "empty attribute": (attribute("case", h5py.Empty("f8")), "'case' is neither a text nor"),
    "opaque attribute": (attribute("case", OBJECT), "'case' is neither a text nor a number"),
    "attribute that is no text": (attribute("case", np.bytes_(b"\xff\xfe")), "not text in UTF-8"),
    "long attribute": (attribute("case", "a" * 10_000_001), "more than 10000000 characters"),
    "units that are no text": (lambda f: f["risk"].attrs.create("units", [1, 2]), "'units' of 'ri"),
    "title with an escape": (
        lambda f: f["risk"].attrs.modify("long_name", "\x1b[31m"),
        "'long_name' of 'risk' cannot be printed",
    ),
    "dimension used in numbers": (uses("time", [1]), "'time' is used cannot be read"),
    "dimension used in a text": (uses("time", "risk"), "'time' is used cannot be read"),
    "dimension used in nothing": (uses("time", h5py.Empty("f8")), "'time' is used cannot be read"),
    "dimension used otherwise": (
        uses("time", places(("risk", 0), word="variable")),
        "'time' is used cannot be read",
    ),
    "two dimensions of one axis": (
        uses("particle", places(("position", 1), ("position", 0))),
        "'position' has two scales along one dimension",
    ),
    "dimension of another length": (
        lambda f: (uses("time", places(("risk", 0)))(f), uses("sample", places(("gap", 0)))(f)),
        "'gap' has 3 entries along 'sample', which has the shape",
    ),
    "fewer values": (shortened("risk", 0, 2), "'risk' has 2 entries along 'time'"),
    "fewer particles": (shortened("position", 1, 5), "'position' has 5 entries along 'particle'"),
    "fewer coordinates": (shortened("position", 2, 1), "'position' has 1 entries along 'coordi"),
    "fewer samples": (shortened("prediction", 1, 5), "'prediction' has 5 entries along 'sample'"),
    "scale of another length": (longer("time", 5), "3 entries along 'time', which has the shape"),
    "huge scale": (never_allocated("particle", (10**12,)), "'particle' has the shape|not one of"),
    "older format": (
        attribute("format", "wgflow-run-0"),
        "written by an older version .* with that version",
    ),
    "newer format": (attribute("format", "wgflow-run-2"), "a newer version .* after an update"),
    "format without a number": (attribute("format", "wgflow-run-x"), "not a results file"),
    "format of two lines": (attribute("format", "a\nb"), r"its format is 'a\\nb'"),
    "no format": (attribute("format", None), "its format is ''"),
    "format that is a list": (attribute("format", [1, 2]), "'format' is neither a text nor"),
}
"""Refused by the store."""
