"""Laws of the data: what is accepted, standardisation, unbiased minibatches, and data files."""

import math
import pathlib
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from wgflow.data import Data, read_data
from wgflow.errors import FileError, InputError

BATCHES = 2000


def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """X uniform on [0, 1], y = x^2."""
    x = generator.random(count)
    return x, x**2


# --- validation -----------------------------------------------------------------------------


def test_one_column_may_be_given_flat() -> None:
    data = Data([1, 2, 3], [[4], [5], [6]])
    assert data.x.tolist() == [[1.0], [2.0], [3.0]]
    assert data.y.tolist() == [[4.0], [5.0], [6.0]]
    assert data.count == 3


def test_weights_are_one_over_n_by_default() -> None:
    assert Data(np.arange(4), np.arange(4)).weights.tolist() == [0.25] * 4
    assert Data([1, 2], [1, 2], weight=[0.0, 3.0]).weights.tolist() == [0.0, 3.0]


def test_data_do_not_change_with_the_arrays_that_they_were_made_of() -> None:
    x, y, weight = np.ones(3), np.ones(3), np.ones(3)
    data = Data(x, y, weight)
    for array in (x, y, weight):
        array[0] = math.nan
    assert np.isfinite([data.x[0, 0], data.y[0, 0], data.weights[0]]).all()


ONE = np.ones(2)
REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: Data([1.0, 2.0], [1.0]), "2 rows of x but 1 rows of y; give as many"),
    (lambda: Data([], []), "data are empty; at least one row"),
    (lambda: Data(np.empty((0, 2)), np.empty((0, 1))), "data are empty; at least one row"),
    (lambda: Data(np.empty((2, 0)), ONE), "data x have no columns; at least one"),
    (lambda: Data(np.ones((2, 1, 1)), ONE), r"data x have shape \(2, 1, 1\), but must be \(n,\)"),
    (lambda: Data(ONE, np.ones((2, 1, 1))), r"data y have shape \(2, 1, 1\), but must be \(n,\)"),
    (lambda: Data(1.0, 1.0), r"data x have shape \(\), but must be \(n,\)"),
    (lambda: Data(["a", "b"], ONE), "data x are not an array of numbers: .*'a'"),
    (lambda: Data([[1.0], [1.0, 2.0]], ONE), "data x are not an array of numbers"),
    (lambda: Data(np.array([1j, 2.0]), ONE), "data x are not an array of numbers"),
    (lambda: Data([1.0, math.nan], ONE), "data x hold nan in row 1, column 0; .* must be finite"),
    (lambda: Data(ONE, [[1, 2], [3, math.inf]]), "data y hold inf in row 1, column 1; every"),
    (lambda: Data(ONE, [-math.inf, 1.0]), "data y hold -inf in row 0, column 0; every value"),
    (lambda: Data(ONE, ONE, weight=[1.0]), "weights of the data must be 2 finite numbers >= 0"),
    (lambda: Data(ONE, ONE, weight=np.ones((2, 1))), "weights of the data must be 2 finite"),
    (lambda: Data(ONE, ONE, weight=[1.0, -1.0]), "weights of the data must be 2 finite"),
    (lambda: Data(ONE, ONE, weight=[1.0, math.nan]), "weights of the data must be 2 finite"),
    (lambda: Data(ONE, ONE, weight=[1.0, math.inf]), "weights of the data must be 2 finite"),
    (lambda: Data(ONE, ONE, weight=[0.0, 0.0]), "not all zero"),
    (lambda: Data(ONE, ONE, weight=["a", "b"]), "weights of the data must be 2 finite"),
    (lambda: Data.from_law(draw, 0), "size of the sample is 0, .* at least 1"),
    (lambda: Data.from_law(draw, 5, seed=-1), "seed is -1, but must be a whole number"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
def test_what_is_refused_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# --- standardisation ------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(-1e6, 1e6), st.floats(-4, 4), st.integers(2, 60))
def test_standardising_gives_mean_zero_and_deviation_one_and_is_idempotent_to_the_bit(
    seed: int, offset: float, magnitude: float, count: int
) -> None:
    """Also far from zero, where the rounding error of the mean is not small."""
    values = offset + 10**magnitude * np.random.default_rng(seed).normal(size=(count, 3))
    once = Data(values[:, :2], values[:, 2]).standardised()
    for columns in (once.x, once.y):
        assert np.abs(columns.mean(axis=0)).max() < 1e-12
        assert np.abs(columns.std(axis=0) - 1).max() < 1e-12
    twice = once.standardised()
    assert np.array_equal(once.x, twice.x)
    assert np.array_equal(once.y, twice.y)


def test_standardising_keeps_the_order_the_spacing_and_the_weights() -> None:
    data = Data([1.0, 2.0, 4.0], [10.0, 0.0, 5.0], weight=[0.3, 0.7, 0.0]).standardised()
    assert (data.x[2] - data.x[1]) / (data.x[1] - data.x[0]) == pytest.approx(2.0, rel=1e-13)
    assert data.y[:, 0] == pytest.approx(np.array([5.0, -5.0, 0.0]) / math.sqrt(50 / 3))
    assert data.weights.tolist() == [0.3, 0.7, 0.0]


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, -1e9 / 7])
@pytest.mark.parametrize("count", [1, 3, 10, 1000])
def test_a_constant_column_cannot_be_standardised(constant: float, count: int) -> None:
    """Also where the rounding of the mean makes its deviation differ from zero."""
    x = np.stack([np.arange(count), np.full(count, constant)], axis=1)
    column = 0 if count == 1 else 1
    with pytest.raises(InputError, match=f"Column {column} of x is constant .*; remove it"):
        Data(x, np.arange(count)).standardised()


# --- draws ----------------------------------------------------------------------------------


def estimate(batch: Data) -> float:
    """A weighted sum over a batch, as the risk is one."""
    return float(batch.weights @ (np.sin(batch.x[:, 0]) + batch.y[:, 0] ** 2))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 7])
def test_minibatches_are_unbiased(weighted: bool, count: int) -> None:
    """The mean over many batches is the sum over the sample, within 4.5 standard errors."""
    random = np.random.default_rng(0)
    weight = random.random(20) * 0.25 if weighted else None
    data = Data(random.normal(size=20), random.normal(size=20), weight)
    generator = np.random.default_rng(1)
    values = [estimate(data.batch(generator, count, fresh=False)) for _ in range(BATCHES)]
    error = np.std(values) / math.sqrt(BATCHES)
    assert error > 0
    assert abs(np.mean(values) - estimate(data)) < 4.5 * error


def test_weighted_batches_keep_the_sum_of_the_weights() -> None:
    data = Data(np.arange(5), np.arange(5), weight=[0.0, 1.0, 2.0, 0.0, 0.5])
    batch = data.batch(np.random.default_rng(0), 40, fresh=False)
    assert batch.weights.sum() == pytest.approx(3.5, rel=1e-14)
    assert set(batch.x[:, 0]) == {1.0, 2.0, 4.0}, "rows without weight are never drawn"


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 30)])
def test_batches_keep_the_pairs_of_x_and_y(weight: np.ndarray | None) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    data = Data(x, x.sum(axis=1), weight)
    batch = data.batch(np.random.default_rng(1), 500, fresh=False)
    assert batch.count == 500
    assert np.array_equal(batch.y[:, 0], batch.x.sum(axis=1))
    assert np.isin(batch.x, x).all()
    assert len(np.unique(batch.y)) == 30


def test_batches_depend_on_the_generator_only() -> None:
    data = Data(np.arange(50), np.arange(50))
    first, again = (data.batch(np.random.default_rng(3), 8, fresh=False) for _ in range(2))
    other = data.batch(np.random.default_rng(4), 8, fresh=False)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_fresh_batches_are_unbiased_for_the_law() -> None:
    """E[sin x + x^4] = 1 - cos 1 + 1/5 for x uniform on [0, 1]."""
    data = Data.from_law(draw, 10)
    generator = np.random.default_rng(2)
    values = [estimate(data.batch(generator, 7, fresh=True)) for _ in range(BATCHES)]
    error = np.std(values) / math.sqrt(BATCHES)
    assert abs(np.mean(values) - (1 - math.cos(1) + 0.2)) < 4.5 * error


def test_fresh_batches_are_not_rows_of_the_sample() -> None:
    data = Data.from_law(draw, 1000)
    batch = data.batch(np.random.default_rng(0), 1000, fresh=True)
    assert batch.count == 1000
    assert not np.isin(batch.x, data.x).any()
    assert np.array_equal(batch.y, batch.x**2)


def test_the_sample_of_a_law_is_fixed_by_its_seed() -> None:
    samples = [Data.from_law(draw, 20, seed=seed).x for seed in (5, 5, 6)]
    assert np.array_equal(samples[0], samples[1])
    assert not np.isin(samples[0], samples[2]).any()


def test_fresh_draws_of_a_fixed_sample_are_refused() -> None:
    with pytest.raises(InputError, match="the data are a fixed sample; use fresh=false"):
        Data(ONE, ONE).batch(np.random.default_rng(0), 2, fresh=True)


# --- data files -----------------------------------------------------------------------------


@pytest.fixture
def csv(tmp_path: pathlib.Path):
    """Return a function that reads a .csv file of this text."""

    def read(text: str | bytes) -> Data:
        path = tmp_path / "data.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_data(path)

    return read


@pytest.fixture
def npz(tmp_path: pathlib.Path):
    """Return a function that reads a .npz file of these arrays."""

    def read(**arrays: np.ndarray) -> Data:
        np.savez(tmp_path / "data.npz", **arrays)
        return read_data(str(tmp_path / "data.npz"))

    return read


@pytest.mark.parametrize("header", ["", "times,accel,other\n"])
def test_without_names_of_x_and_y_the_last_column_is_the_output(csv, header: str) -> None:
    data = csv(header + "1,2,3\n4,5.5,-6e2\n")
    assert data.x.tolist() == [[1.0, 2.0], [4.0, 5.5]]
    assert data.y.tolist() == [[3.0], [-600.0]]
    assert data.weight is None


def test_columns_are_chosen_by_their_names(csv) -> None:
    """Columns x* and y* in their order, whatever stands between them; others are left out."""
    data = csv("y_a, X1 ,other,weight,Y_b,x2\n1,2,3,4,5,6\n7,8,9,10,11,12\n")
    assert data.x.tolist() == [[2.0, 6.0], [8.0, 12.0]]
    assert data.y.tolist() == [[1.0, 5.0], [7.0, 11.0]]
    assert data.weights.tolist() == [4.0, 10.0]


@pytest.mark.parametrize(
    "text",
    [
        "x,y\r\n1,2\r\n3,4\r\n",
        "x,y\n1,2\n3,4",
        "\n\nx,y\n\n1,2\n\n3,4\n\n",
        "x,y\n1 , 2\n 3,4\n",
        '"x","y"\n"1","2"\n"3","4"\n',
        "\ufeffx,y\n1,2\n3,4\n",
        "\ufeff1,2\n3,4\n",
    ],
    ids=["crlf", "no last newline", "blank lines", "spaces", "quotes", "mark", "mark, no header"],
)
def test_the_same_numbers_are_read_from_every_dialect(csv, text: str) -> None:
    data = csv(text)
    assert data.x.tolist() == [[1.0], [3.0]]
    assert data.y.tolist() == [[2.0], [4.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n3,four\n", "Line 3 of '.*data.csv' holds 'four', which is not a number"),
        ("1,2\n\n3,four\n", "Line 3 of '.*data.csv' holds 'four', which is not a number"),
        ('"x\nlong",y\n1,2\n3,four\n', "Line 4 of '.*data.csv' holds 'four'"),
        ("1,2O\n3,4\n", "Line 1 of '.*data.csv' holds '2O', which is not a number"),
        ("x,y\n1,2\n3,\n", "Line 3 of '.*data.csv' holds '', which is not a number"),
        ("x,y\n1,2\n1_0,2\n", "Line 3 of '.*data.csv' holds '1_0', which is not a number"),
        ("x,y\n1,2\n3\n", "Line 3 of '.*data.csv' has 1 fields, but 2 are expected"),
        ("1,2\n3,4,5\n", "Line 2 of '.*data.csv' has 3 fields, but 2 are expected"),
        ("", "data file '.*data.csv' is empty; it needs rows"),
        ("\n\n", "data file '.*data.csv' is empty; it needs rows"),
        ("x,y\n", "empty; "),
        ("1\n2\n", "data file '.*data.csv' has one column, but needs at least an input and an"),
        ("1;2\n3;4\n", "data file '.*data.csv' has one column, but needs at least an input and"),
        ("x,y\n1,2\n\n3,nan\n", "Line 4 of '.*data.csv' holds 'nan', .* must be finite"),
        ("x,y\n1,2\n-inf,4\n", "Line 3 of '.*data.csv' holds '-inf', .* must be finite"),
        ("x,y,weight\n1,2,-1\n", "weights of the data must be 1 finite numbers >= 0"),
    ],
)
def test_what_a_csv_file_cannot_hold_is_named_with_its_line(csv, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        csv(text)


@pytest.mark.parametrize(
    "content", [b"x,y\xe9\n1,2\n", b"\xff\xfex\x00,\x00y\x00\n\x00", b'x,y\n1,"' + b"2" * 200_000]
)
def test_what_is_not_csv_is_refused_as_a_file(csv, content: bytes) -> None:
    with pytest.raises(FileError, match=r"data file '.*data.csv' cannot be read: .*\."):
        csv(content)


# --- npz ------------------------------------------------------------------------------------


def test_npz_files_are_read_back(npz) -> None:
    x, y, weight = np.random.default_rng(0).random((3, 6))
    data = npz(x=x, y=np.stack([y, -y], axis=1), weight=weight, other=np.zeros(3))
    assert np.array_equal(data.x[:, 0], x)
    assert np.array_equal(data.y, np.stack([y, -y], axis=1))
    assert np.array_equal(data.weights, weight)
    assert npz(x=x.astype(np.float32), y=np.arange(6)).weight is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(2)}, "'.*data.npz' has no array 'y'; it must hold x and y, but holds x"),
        ({"y": np.ones(2)}, "'.*data.npz' has no array 'x'; it must hold x and y, but holds y"),
        ({}, "has no array 'x'; it must hold x and y, but holds nothing"),
        ({"x": np.ones(2), "y": np.ones(3)}, "2 rows of x but 3 rows of y"),
        ({"x": np.array(["a", "b"]), "y": np.ones(2)}, "data x are not an array of numbers"),
        (
            {"x": np.ones(2), "y": np.ones(2), "weight": np.array(["a", "b"])},
            "weights of the data must be 2 finite numbers",
        ),
    ],
)
def test_what_a_npz_file_must_hold_is_named(npz, arrays: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        npz(**arrays)


class Trap:
    """Fails the test when it is unpickled: a stranger's file must not run code."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("the file was unpickled",)


def test_arrays_of_objects_are_refused_without_unpickling(npz) -> None:
    with pytest.raises(FileError, match="data file '.*data.npz' cannot be read: .*[Oo]bject"):
        npz(x=np.ones(2), y=np.array([Trap(), 1.0], dtype=object))


def test_a_bare_pickle_is_refused_without_unpickling(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FileError, match="data file '.*data.npz' cannot be read"):
        read_data(path)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_zip_is_refused(tmp_path: pathlib.Path, part: float) -> None:
    """And its file is closed: a warning of one left open is an error here."""
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random(500), y=np.zeros(500))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(FileError, match=r"data file '.*data.npz' cannot be read: .+\."):
        read_data(path)


def test_a_corrupt_zip_is_refused(tmp_path: pathlib.Path) -> None:
    """Every kind of damage gives the same error, also inside the compressed stream."""
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random(50), y=np.zeros(50))
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(len(damaged))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_data(path)
        except FileError:
            refused += 1
        except InputError:
            pass
    assert refused > 100


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.npz"
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(FileError, match="data file '.*data.npz' cannot be read"):
        read_data(path)


# --- any file -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.txt", "data", "data.csv.gz", "data.h5"])
def test_files_of_other_kinds_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_text("1,2\n")
    suffix = pathlib.Path(name).suffix
    with pytest.raises(FileError, match=f"ends in '{suffix}', but must be a .npz or a .csv file"):
        read_data(tmp_path / name)


@pytest.mark.parametrize("name", ["data.csv", "data.npz"])
def test_missing_files_and_folders_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(FileError, match=f"{name}' cannot be read: No such file or directory"):
        read_data(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(FileError, match=f"{name}' cannot be read: Is a directory"):
        read_data(tmp_path / name)


def test_suffixes_may_be_written_in_capitals(tmp_path: pathlib.Path) -> None:
    (tmp_path / "DATA.CSV").write_text("1,2\n")
    assert read_data(tmp_path / "DATA.CSV").y.tolist() == [[2.0]]
