"""What a network is trained on: a weighted sample, and possibly a law to draw afresh from."""

import csv
import math
import pathlib
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from wgflow import noise
from wgflow.errors import FileError, InputError, check_count

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Draws `count` fresh pairs (x, y) with a generator."""


class Data:
    """A sample (x_i, y_i) with weights c_i.

    Parameters
    ----------
    x
        Inputs, shape (n,) or (n, d).
    y
        Outputs, shape (n,) or (n, k).
    weight
        Weights c_i >= 0, shape (n,); by default 1/n each.
    draw
        Called with a NumPy generator and a count, returns that many fresh pairs (x, y).

    Raises
    ------
    InputError
        No sample, x and y of different length, weights that do not fit, or a NaN or infinity.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None = None,
        draw: Draw | None = None,
    ) -> None:
        self.x, self.y = _columns("x", x), _columns("y", y)
        if len(self.x) != len(self.y):
            raise InputError(
                f"The data have {len(self.x)} rows of x but {len(self.y)} rows of y; give as many "
                "of each."
            )
        if len(self.x) == 0:
            raise InputError("The data are empty; at least one row of x and y is needed.")
        self.weight = None if weight is None else _weights(weight, len(self.x))
        self.draw = draw

    @classmethod
    def from_law(cls, draw: Draw, count: int, seed: int = 0) -> "Data":
        """Return data that can be drawn afresh, with a fixed sample of `count` to measure by."""
        count = check_count("The size of the sample", count)
        x, y = draw(noise.generator(noise.check_seed(seed), noise.Stream.DATA), count)
        return cls(x, y, draw=draw)

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def weights(self) -> np.ndarray:
        """The weights c_i, shape (n,)."""
        return np.full(self.count, 1.0 / self.count) if self.weight is None else self.weight

    def batch(self, generator: np.random.Generator, count: int, *, fresh: bool) -> "Data":
        """Return a minibatch whose weighted sums are unbiased for those of the whole.

        Parameters
        ----------
        count
            Number of pairs, drawn independently: from the law where `fresh`, otherwise from the
            sample with probability proportional to the weights.
        """
        if fresh:
            if self.draw is None:
                raise InputError(
                    "Fresh draws were asked for, but the data are a fixed sample; use fresh=false."
                )
            fresh_data = Data(*self.draw(generator, count))
            if self.weight is not None:
                fresh_data.weight = np.full(fresh_data.count, self.weight.sum() / fresh_data.count)
            return fresh_data
        if self.weight is None:
            rows = generator.integers(self.count, size=count)
            return _trusted(self.x[rows], self.y[rows], None)
        total = self.weight.sum()
        rows = generator.choice(self.count, size=count, p=self.weight / total)
        return _trusted(self.x[rows], self.y[rows], np.full(count, total / count))

    def standardised(self) -> "Data":
        """Return the data with each column shifted and scaled to mean 0 and deviation 1.

        The population deviation is used. Columns that are standardised already are kept to the
        bit, so that standardised data can be stored and read back without change.
        """
        return Data(_standardised("x", self.x), _standardised("y", self.y), self.weight)


def _trusted(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Data:
    """Return data made of rows that were checked before: a step of SGD has no time for it."""
    data = object.__new__(Data)
    data.x, data.y, data.weight, data.draw = x, y, weight, None
    return data


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return a copy as an array of floats, which later changes of the values do not reach."""
    try:
        if np.iscomplexobj(values):
            raise TypeError("they are complex")
        if np.asarray(values).dtype.kind in "mM":
            raise TypeError("they are dates or durations")
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"The data {name} are not an array of numbers: {error}.") from error


def _weights(values: Any, count: int) -> np.ndarray | None:
    try:
        weight = _numbers("weight", values)
    except InputError:
        weight = np.empty(0)
    good = weight.shape == (count,) and (np.isfinite(weight) & (weight >= 0)).all()
    if not good or weight.sum() == 0:
        raise InputError(
            f"The weights of the data must be {count} finite numbers >= 0 that are not all zero."
        )
    # So that data with these weights, stored and read back, are those without to the bit.
    return None if (weight == 1.0 / count).all() else weight


def _columns(name: str, values: Any) -> np.ndarray:
    array = _numbers(name, values)
    if array.ndim not in (1, 2):
        raise InputError(
            f"The data {name} have shape {array.shape}, but must be (n,) or (n, columns)."
        )
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"The data {name} hold {array[row, column]} in row {row}, column {column}; every value "
            "must be finite: remove or replace that row."
        )
    if (np.abs(array) > LARGEST).any():
        raise InputError(
            f"The data {name} hold numbers that are too large; the largest allowed is {LARGEST:g}, "
            "so choose another unit."
        )
    if len(array) and array.shape[1] == 0:
        raise InputError(f"The data {name} have no columns; at least one is needed.")
    return array


def _standardised(name: str, values: np.ndarray) -> np.ndarray:
    constant = np.ptp(values, axis=0) == 0
    if constant.any():
        column = int(np.argmax(constant))
        raise InputError(
            f"Column {column} of {name} is constant and cannot be standardised; remove it."
        )
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    if np.abs(mean).max() < 1e-12 and np.abs(deviation - 1).max() < 1e-12:
        return values
    centred = values - mean
    # Once more: the mean of large values with small differences is itself rounded.
    centred = centred - centred.mean(axis=0)
    return centred / centred.std(axis=0)


_UNREADABLE = (
    OSError,
    EOFError,
    UnicodeDecodeError,
    csv.Error,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # what zipfile makes of a damaged header
    RuntimeError,
    SyntaxError,  # what numpy makes of one
    tokenize.TokenError,
    MemoryError,
    KeyError,
    AttributeError,
    TypeError,
)
MOST_UNPACKED, MOST_RATIO = 1e8, 100
"""An archive that unpacks to more bytes, and to more times its own size, is not unpacked."""
LARGEST = 1e150
"""Of a value in the data: the square of a larger one is no number."""


def read_data(path: str | pathlib.Path) -> Data:
    """Return the data in a .npz or .csv file.

    A .npz file holds arrays `x`, `y` and possibly `weight`. In a .csv file with a header, columns
    whose names begin with x, and those that begin with y, are inputs and outputs; without such
    names, the last column is the output and all others are inputs. A column named `weight` holds
    the weights in any case.

    Raises
    ------
    FileError
        The file cannot be opened or is of another kind.
    InputError
        What it holds is not data; the message names the line.
    """
    path = pathlib.Path(path)
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise FileError(
            f"The data file '{path}' ends in '{path.suffix}', but must be a .npz or a .csv file."
        )
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            raise FileError(f"The data file '{path}' is not a regular file; name a file.")
        return readers[path.suffix.lower()](path)
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"The data file '{path}' cannot be read: {reason}.") from error


def _read_npz(path: pathlib.Path) -> Data:
    try:
        # Object arrays would be unpickled, which runs code; they are refused.
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name, not an archive of x and y")
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MOST_UNPACKED and unpacked > MOST_RATIO * path.stat().st_size:
                raise ValueError(f"it unpacks to {unpacked / 1e6:.0f} MB, far more than its size")
            names = arrays.files
            held = {name: arrays[name] for name in ("x", "y", "weight") if name in names}
    except InputError:
        raise
    except ValueError as error:
        raise FileError(f"The data file '{path}' cannot be read: {error}.") from error
    for name in ("x", "y"):
        if name not in held:
            raise InputError(
                f"The data file '{path}' has no array '{name}'; it must hold x and y, but holds "
                f"{', '.join(names) or 'nothing'}."
            )
    return Data(held["x"], held["y"], held.get("weight"))


def _read_csv(path: pathlib.Path) -> Data:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        rows = [(reader.line_num, row) for row in reader if any(row)]
    if not rows:
        raise InputError(f"The data file '{path}' is empty; it needs rows of x and y.")
    names = [name.strip() for name in rows[0][1]]
    if any(_is_number(name) for name in names):
        names = []
    else:
        rows = rows[1:]
    width = len(names) or len(rows[0][1])
    if width < 2:
        raise InputError(
            f"The data file '{path}' has one column, but needs at least an input and an output."
        )
    values = np.empty((len(rows), width))
    for k, (line, row) in enumerate(rows):
        if len(row) != width:
            raise InputError(
                f"Line {line} of '{path}' has {len(row)} fields, but {width} are expected."
            )
        for column, text in enumerate(row):
            if not _is_number(text):
                raise InputError(f"Line {line} of '{path}' holds '{text}', which is not a number.")
            values[k, column] = float(text)
            if not math.isfinite(values[k, column]):
                raise InputError(
                    f"Line {line} of '{path}' holds '{text}', but every value must be finite; "
                    "remove or replace that row."
                )
    inputs = [k for k, name in enumerate(names) if name.lower().startswith("x")]
    outputs = [k for k, name in enumerate(names) if name.lower().startswith("y")]
    weights = [k for k, name in enumerate(names) if name.lower() == "weight"]
    if not (inputs and outputs):
        *inputs, last = (k for k in range(width) if k not in weights)
        outputs = [last]
    if not inputs:
        raise InputError(
            f"The data file '{path}' has no column of inputs beside the output and the weight."
        )
    return Data(values[:, inputs], values[:, outputs], values[:, weights[0]] if weights else None)


def _is_number(text: str) -> bool:
    """Return whether Python reads the text as a number, and no spreadsheet would object."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
