"""Checkpoints: the arrays of a state, and what tells where it belongs, in one file with a checksum.

The file is made in memory and written in one piece under a temporary name, brought to the disk and
renamed, so that there is always a whole one, whatever fails in between.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping

import h5py
import numpy as np

from wgflow.errors import FileError
from wgflow.store.dataset import Attribute
from wgflow.store.items import Items, plain
from wgflow.store.paths import as_file_error, hidden, renamed, sync
from wgflow.store.reading import check_readable, opened
from wgflow.store.writing import write_attribute

CHECKSUM = "checksum"


def write_checkpoint(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Attribute],
) -> None:
    """Replace a checkpoint file in one stroke, flushed to the disk before it is renamed.

    Raises
    ------
    FileError
        It cannot be written; the one that was there is kept.
    """
    target = pathlib.Path(path)
    held = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with as_file_error(f"The file '{target}' cannot be written"):
        with h5py.File("checkpoint", "w", driver="core", backing_store=False) as file:
            for name, array in held.items():
                file.create_dataset(name, data=array)
            for name, value in attributes.items():
                write_attribute(file, name, value)
            read_back = {name: plain(value) for name, value in file.attrs.items()}
            file.attrs[CHECKSUM] = checksum(held, read_back)
            file.flush()
            image = file.id.get_file_image()
        with renamed(target, hidden(target)) as temporary, open(temporary, "xb") as stream:
            stream.write(image)
            stream.flush()
            os.fsync(stream.fileno())
        sync(target.parent)


def read_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Attribute]]:
    """Return the arrays and attributes of a checkpoint file.

    Raises
    ------
    FileError
        There is none, it is no checkpoint, or its content is not what was written.
    """
    path = pathlib.Path(path)
    check_readable(path)
    with opened(path) as file:
        items = Items(file, path)
        arrays, attributes = items.arrays(), items.attributes()
    found = attributes.pop(CHECKSUM, None)
    if found is None:
        raise FileError(
            f"The checkpoint '{path}' has no checksum: an earlier version of wgflow wrote it, and "
            "this one cannot go on from it; remove it, and the run begins again at time 0."
        )
    if found != checksum(arrays, attributes):
        raise FileError(
            f"The checkpoint '{path}' is damaged: its checksum is not that of its content; remove "
            "it, and the run begins again at time 0."
        )
    return arrays, attributes


def checksum(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Attribute]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of arrays, and of attributes."""
    total = hashlib.sha256(json.dumps(dict(sorted(attributes.items())), default=str).encode())
    for name, array in sorted(arrays.items()):
        total.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
