"""What is taken of an HDF5 file, which may come from anyone: plain arrays, texts and numbers.

A file is refused that holds anything else where a variable or an attribute should be: groups, links
to other places or files, data that lie in other files, objects, references, compounds, compressed
or chunked data. Nothing is followed, no filter is loaded, and no more memory is taken than the file
is long: what is stored in one piece without a filter cannot be larger than the file itself.
"""

import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5r

from wgflow.errors import FileError
from wgflow.store import types
from wgflow.store.dataset import BARE, Attribute, Variable

MOST_ENTRIES = 10_000
"""Variables of a file, attributes of a file, and labels of a coordinate."""
MOST_TEXT = 10_000_000
"""Characters of all texts together; several may be stored in one place, so the file is no bound."""
MAPPED = 64e6
"""Bytes from which an array is mapped, not read."""
SCALE, USES = "DIMENSION_SCALE", "REFERENCE_LIST"
WHOLE = (h5d.CONTIGUOUS, h5d.COMPACT)


class Items:
    """The variables and attributes of an open file.

    Raises
    ------
    FileError
        The file holds something that no results file holds; so do all methods.
    """

    def __init__(self, file: h5py.File, path: pathlib.Path) -> None:
        self._file, self._path = file, path
        self._bytes_left, self._text_left = path.stat().st_size, MOST_TEXT
        if len(file) > MOST_ENTRIES:
            raise self._refused(f"it has {len(file)} entries, but at most {MOST_ENTRIES} are read")
        self._items: dict[str, h5py.Dataset] = {}
        self._places: dict[int, str] = {}
        for name in self._names(file):
            item = self._plain_item(name)
            place = h5o.get_info(item.id).addr
            if place in self._places:
                raise self._refused(f"{name!r} and '{self._places[place]}' are one object")
            self._items[name], self._places[place] = item, name
        # By their places, which is the order in which they were made.
        self._items = {name: self._items[name] for _, name in sorted(self._places.items())}

    def _refused(self, why: str) -> FileError:
        return FileError(f"The file '{self._path}' is not read: {why}.")

    def _names(self, holder: Iterable[Any]) -> Iterator[str]:
        """Yield names of entries or attributes that can be printed."""
        for name in holder:
            # What is not UTF-8 comes as bytes.
            if not isinstance(name, str) or not name.isprintable():
                raise self._refused(f"the name {name!r} holds characters that cannot be printed")
            yield name

    def _plain_item(self, name: str) -> h5py.Dataset:
        """Return a dataset of the root, or refuse what is none."""
        link = type(self._file.get(name, getlink=True)).__name__
        if link != "HardLink":
            raise self._refused(f"'{name}' is a link ({link}), and no link is followed")
        item = self._file[name]
        if not isinstance(item, h5py.Dataset):
            raise self._refused(f"'{name}' is a {type(item).__name__.lower()}, not an array")
        return item

    # --- attributes -----------------------------------------------------------------------------

    def attributes(self) -> dict[str, Attribute]:
        """Return the attributes of the file."""
        if len(self._file.attrs) > MOST_ENTRIES:
            raise self._refused(
                f"it has {len(self._file.attrs)} attributes, but at most {MOST_ENTRIES} are read"
            )
        names = self._names(self._file.attrs)
        return {name: self._attribute(self._file, name) for name in names}

    def text(self, name: str) -> str:
        """Return an attribute of the file as text, empty if it is not there."""
        return str(self._attribute(self._file, name)) if name in self._file.attrs else ""

    def _attribute(self, item: h5py.File | h5py.Dataset, name: str) -> Attribute:
        """Return one attribute: a text or a number."""
        what = f"the attribute {name!r}"
        if item is not self._file:
            what += f" of '{item.name.strip('/')}'"
        held = h5a.open(item.id, name.encode())
        kind = types.what(held.get_type())
        if held.shape != () or kind not in (types.TEXT, types.NUMBER):
            raise self._refused(f"{what} is neither a text nor a number")
        value = item.attrs[name]
        return self._text(value, what) if kind == types.TEXT else plain(value)

    def _text(self, value: Any, what: str) -> str:
        try:
            text = value.decode() if isinstance(value, bytes) else str(value)
            text.encode()
        except UnicodeError as error:
            raise self._refused(f"{what} is not text in UTF-8") from error
        self._text_left -= len(text)
        if self._text_left < 0:
            raise self._refused(f"its texts have more than {MOST_TEXT} characters")
        return text

    # --- variables ------------------------------------------------------------------------------

    def variables(self) -> dict[str, Variable]:
        """Return the variables."""
        found, bare, scales = {}, {}, self._scales()
        for name, item in self._items.items():
            if self._label(item, "NAME").startswith(BARE):
                bare[name] = item.shape
                continue
            data = self.array(name)
            dims = tuple(scales.get((name, k), f"{name}_{k}") for k in range(data.ndim))
            if self._label(item, "CLASS") == SCALE:
                dims = (name,)
            if dims == (name,) and data.ndim != 1:
                raise self._refused(f"the dimension '{name}' has {data.ndim} dimensions itself")
            units = self._label(item, "units", "1")
            found[name] = Variable(dims, data, self._label(item, "long_name"), units)
        for name, variable in found.items():
            for dim, size in zip(variable.dims, variable.data.shape, strict=True):
                own = found[dim].data.shape if dim in found else bare.get(dim, (size,))
                if own != (size,):
                    raise self._refused(
                        f"'{name}' has {size} entries along '{dim}', which has the shape {own}"
                    )
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays, without regard to dimensions."""
        return {name: self.array(name) for name in self._items}

    def array(self, name: str) -> np.ndarray:
        """Return the array of this name: numbers in the byte order of this machine, or texts."""
        item = self._items[name]
        layout = item.id.get_create_plist()
        if layout.get_layout() not in WHOLE or layout.get_external_count() or layout.get_nfilters():
            raise self._refused(
                f"'{name}' is chunked, compressed or kept elsewhere, and only arrays in one piece "
                "are read (h5repack -l CONTI -f NONE makes such)"
            )
        kind = item.id.get_type()
        held = types.what(kind)
        if item.shape is None or held not in (types.TEXT, types.NUMBER):
            raise self._refused(f"'{name}' holds neither numbers nor texts")
        declared, stored = math.prod(item.shape) * kind.get_size(), item.id.get_storage_size()
        self._bytes_left -= stored
        if stored < declared or self._bytes_left < 0:
            raise self._refused(
                f"'{name}' has the shape {item.shape}, for which the file has too few bytes"
            )
        if held == types.TEXT:
            return self._labels(name, item)
        offset = item.id.get_offset() if declared >= MAPPED and item.dtype.isnative else None
        if offset is not None:
            # On the disk until it is looked at: a run may be larger than the memory.
            return np.asarray(np.memmap(self._path, item.dtype, "r", offset, item.shape))
        return np.asarray(item[...], dtype=item.dtype.newbyteorder("="))

    def _labels(self, name: str, item: h5py.Dataset) -> np.ndarray:
        if item.ndim != 1 or item.shape[0] > MOST_ENTRIES:
            raise self._refused(
                f"'{name}' is an array of texts of shape {item.shape}, but at most {MOST_ENTRIES} "
                "labels along one dimension are read"
            )
        # One by one: a short list may point at one long text many times.
        texts = [self._text(item[k], f"a label of '{name}'") for k in range(item.shape[0])]
        return np.array(texts, dtype=object)

    # --- dimensions -----------------------------------------------------------------------------

    def _label(self, item: h5py.Dataset, name: str, default: str = "") -> str:
        if name not in item.attrs:
            return default
        text = str(self._attribute(item, name))
        if not text.isprintable():
            raise self._refused(
                f"the attribute '{name}' of '{item.name.strip('/')}' cannot be printed"
            )
        return text

    def _scales(self) -> dict[tuple[str, int], str]:
        """Return the name of the dimension scale of each axis of the variables that have one.

        Each scale lists the places where it is used. The list that each variable has of its scales
        is of entries of any length, and so are the memory and the time to read a damaged one; the
        functions of HDF5 trust both.
        """
        found: dict[tuple[str, int], str] = {}
        for scale, item in self._items.items():
            if self._label(item, "CLASS") == SCALE and USES in item.attrs:
                for name, axis in self._uses(scale, item):
                    if found.setdefault((name, axis), scale) != scale:
                        raise self._refused(f"'{name}' has two scales along one dimension")
        return found

    def _uses(self, scale: str, item: h5py.Dataset) -> Iterator[tuple[str, int]]:
        """Yield each variable that a scale names, and the axis."""
        held = h5a.open(item.id, USES.encode())
        shape = held.shape
        if types.what(held.get_type()) != types.USES or shape is None or len(shape) != 1:
            raise self._refused(f"the places where the dimension '{scale}' is used cannot be read")
        if shape[0] > MOST_ENTRIES:
            raise self._refused(f"the dimension '{scale}' is used in too many places")
        for reference, axis in item.attrs[USES]:
            # What has been removed since is still named there.
            name = self._name(reference)
            if name is not None and 0 <= axis < self._items[name].ndim:
                yield name, int(axis)

    def _name(self, reference: h5py.Reference) -> str | None:
        """Return the name of the variable that a reference gives, or None if there is none."""
        try:
            target = h5r.dereference(reference, self._file.id)
            return self._places.get(h5o.get_info(target).addr)
        except (ValueError, RuntimeError, OSError, TypeError, KeyError):
            return None


def plain(value: Any) -> Attribute:
    """Return a text or a number, as HDF5 gives it, as one of Python."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
