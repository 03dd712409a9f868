"""The types of HDF5 that are read: those that NumPy and h5py write for numbers and texts.

HDF5 takes a type as the file describes it, and what it does with one that is none of its own is not
defined: a changed bit has ended the process. So a type is compared bit by bit before it is used.
"""

import numpy as np
from h5py import h5t, string_dtype

NUMBER, TEXT, USES = "number", "text", "uses"
_VERSION = 2
"""Place of the version of a type in its description; it shares a byte with the class."""


def _described(kind: h5t.TypeID) -> bytes:
    """Return the description of a type without the version in which it is written."""
    description = bytearray(kind.encode())
    description[_VERSION] &= 0x0F
    return bytes(description)


def _known() -> dict[bytes, str]:
    numbers = [f"{order}{code}{size}" for order in "<>" for code in "iu" for size in (1, 2, 4, 8)]
    numbers += [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)]
    known = {_described(h5t.py_create(np.dtype(name))): NUMBER for name in numbers}
    for encoding in ("ascii", "utf-8"):
        known[_described(h5t.py_create(string_dtype(encoding), logical=True))] = TEXT
    return known


_KNOWN = _known()


def what(kind: h5t.TypeID) -> str:
    """Return what a type holds: `NUMBER`, `TEXT`, `USES` of a dimension, or "" for any other."""
    number = kind.get_class()
    if number == h5t.STRING and not kind.is_variable_str():
        usual = kind.get_cset() in (h5t.CSET_ASCII, h5t.CSET_UTF8)
        pads = (h5t.STR_NULLTERM, h5t.STR_NULLPAD, h5t.STR_SPACEPAD)
        return TEXT if usual and kind.get_strpad() in pads else ""
    if number == h5t.COMPOUND:
        return USES if _is_use(kind) else ""
    return _KNOWN.get(_described(kind), "")


def _is_use(kind: h5t.TypeCompoundID) -> bool:
    """Return whether a type is that of a reference to a variable and the number of an axis."""
    parts = range(kind.get_nmembers())
    names = [(kind.get_member_name(k), kind.get_member_offset(k)) for k in parts]
    if names != [(b"dataset", 0), (b"dimension", 8)]:
        return False
    one, other = (_described(kind.get_member_type(k)) for k in parts)
    whole = [_described(h5t.py_create(np.dtype(name))) for name in ("<u4", "<i4")]
    return one == _described(h5t.STD_REF_OBJ) and other in whole
