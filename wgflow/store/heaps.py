"""Whether the texts of a file can be read in the end: a check of its global heaps before HDF5.

A collection of a global heap holds, behind a head of 16 bytes, objects one behind the other: index
(2 bytes), references (2), reserved (4), size (8), and the data, padded to a multiple of 8; the
object of index 0 is the space left, whose size counts its own head. HDF5 (2.0 at least) adds the
sizes up without looking whether they advance, and a damaged one keeps it there for ever. Source:
HDF5 File Format Specification 3.0, section III.E, "Level 1E - Global Heap".
"""

import pathlib

from wgflow.errors import FileError

SIGNATURE = b"GCOL\x01"
HEAD = 16
CHUNK = 1 << 24
TURN = 1 << 64
"""Sizes are added modulo this."""
MOST_OBJECTS = 100_000
"""Of all heaps together; a run has some hundreds."""


def check_heaps(path: pathlib.Path) -> None:
    """Raise FileError if HDF5 would never come to the end of a global heap of this file."""
    left = MOST_OBJECTS
    with open(path, "rb") as stream:
        start, before = 0, b""
        while chunk := stream.read(CHUNK):
            # What lies across two chunks is found with the second.
            text = before + chunk
            found = text.find(SIGNATURE)
            while found >= 0:
                left -= _objects(path, start - len(before) + found, left)
                found = text.find(SIGNATURE, found + 1)
            start, before = start + len(chunk), text[1 - len(SIGNATURE) :]


def _objects(path: pathlib.Path, place: int, most: int) -> int:
    """Return the number of objects of the heap at this place in the file."""
    with open(path, "rb") as stream:
        stream.seek(place + 8)
        size = _number(stream.read(8))
        at, end, count = HEAD, min(size, path.stat().st_size - place), 0
        while at + HEAD <= end:
            stream.seek(place + at)
            head = stream.read(HEAD)
            index, length = _number(head[:2]), _number(head[8:])
            advance = (HEAD + length + -length % 8 if index else length) % TURN
            count += 1
            if advance == 0 or count > most:
                raise FileError(
                    f"The file '{path}' cannot be read: the place of its texts is damaged."
                )
            at += advance
    return count


def _number(text: bytes) -> int:
    return int.from_bytes(text, "little")
