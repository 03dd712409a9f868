"""Laws of the noise: what the bits depend on, what they do not, and their distribution."""

import itertools
import math
import subprocess
import sys

import numba
import numpy as np
import pytest
from scipy import stats

from wgflow import noise
from wgflow.errors import InputError
from wgflow.kernels import philox
from wgflow.noise import BLOCK, Stream


def bits(seed: int, stream: Stream, index: int, block: int, count: int = 64) -> np.ndarray:
    return noise.generator(seed, stream, index, block).bit_generator.random_raw(count)


@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_same_seed_stream_and_index_give_the_same_bits(seed: int, stream: Stream) -> None:
    first = noise.normal(seed, stream, 5, 300, 2)
    noise.normal(seed, stream, 6, 10, 2)  # what is drawn in between does not matter
    assert np.array_equal(noise.normal(seed, stream, 5, 300, 2), first)


def test_the_key_is_seed_and_stream_and_the_counter_block_and_index() -> None:
    """The layout is a contract with files that are resumed: it must never change."""
    expected = np.random.Philox(
        key=np.array([11, 2], dtype=np.uint64), counter=np.array([0, 0, 4, 9], dtype=np.uint64)
    )
    assert np.array_equal(bits(11, Stream.BATCH, 9, 4), expected.random_raw(64))
    assert [int(stream) for stream in Stream] == [0, 1, 2, 3, 4]


def test_seeds_streams_steps_and_blocks_share_no_value() -> None:
    """64-bit values of a few thousand draws are all different unless sequences overlap."""
    drawn = [
        bits(seed, stream, index, block)
        for seed, stream, index, block in itertools.product(
            (0, 1, 2**63), Stream, (0, 1, 2, 1000), (0, 1, 2)
        )
    ]
    values = np.concatenate(drawn)
    assert len(np.unique(values)) == len(values)


def test_one_block_cannot_run_into_the_next() -> None:
    """A block may draw any number of values: the counter leaves it 2^128 of them."""
    far = bits(0, Stream.DYNAMICS, 0, 0, count=100_000)
    following = bits(0, Stream.DYNAMICS, 0, 1, count=100_000)
    later = bits(0, Stream.DYNAMICS, 1, 0, count=100_000)
    assert len(np.unique(np.concatenate([far, following, later]))) == 300_000


def test_streams_steps_and_blocks_are_uncorrelated() -> None:
    count = 20 * BLOCK
    rows = [
        noise.normal(seed, stream, index, count, 1)[:, 0]
        for seed, stream, index in [
            (0, Stream.INITIAL, 0),
            (0, Stream.DYNAMICS, 0),
            (0, Stream.DYNAMICS, 1),
            (1, Stream.DYNAMICS, 0),
        ]
    ]
    first_of_block = rows[0][:-BLOCK], rows[0][BLOCK:]
    pairs = [*itertools.combinations(rows, 2), first_of_block]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / math.sqrt(len(one))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_first_rows_do_not_depend_on_the_count(dimension: int) -> None:
    most = noise.normal(3, Stream.DYNAMICS, 8, 3 * BLOCK + 5, dimension)
    for count in (1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK):
        rows = noise.normal(3, Stream.DYNAMICS, 8, count, dimension)
        assert rows.shape == (count, dimension)
        assert np.array_equal(rows, most[:count])


@pytest.mark.parametrize("dimension", [1, 3, 10])
def test_a_share_of_the_particles_has_the_numbers_of_the_whole(dimension: int) -> None:
    """Any rank computes its own rows: no share depends on where it begins or ends."""
    whole = noise.normal(3, Stream.DYNAMICS, 8, 3 * BLOCK + 5, dimension)
    for first, count in [(0, 0), (1, 1), (13, 300), (BLOCK, BLOCK), (2 * BLOCK - 1, 2), (700, 73)]:
        rows = noise.normal(3, Stream.DYNAMICS, 8, count, dimension, first)
        assert np.array_equal(rows, whole[first : first + count])


@pytest.mark.parametrize("dimension", [1, 2, 3, 11])
@pytest.mark.parametrize(("seed", "index"), [(0, 0), (2**64 - 1, 2**64 - 1), (12345, 678)])
def test_the_compiled_normals_are_those_of_the_definition(
    seed: int, index: int, dimension: int
) -> None:
    """To rounding: NumPy's cosine sees 2 pi v, which is rounded."""
    blocks = [noise.block_normals(seed, Stream.DYNAMICS, index, b, dimension) for b in range(3)]
    compiled = noise.normal(seed, Stream.DYNAMICS, index, 3 * BLOCK, dimension)
    assert np.abs(compiled - np.concatenate(blocks)).max() < 1e-14


def test_the_compiled_words_are_those_of_numpy() -> None:
    """Bit for bit, at the ends of the range of every part of counter and key."""
    words = numba.njit(lambda *parts: philox.words(*parts))
    most = 2**64 - 1
    for block, index, seed, stream in itertools.product((0, 5, most), repeat=4):
        expected = np.random.Philox(
            key=np.array([seed, stream], dtype=np.uint64),
            counter=np.array([6, 0, block, index], dtype=np.uint64),
        ).random_raw(4)
        parts = np.array([7, block, index, seed, stream], dtype=np.uint64)
        assert np.array_equal(np.array(words(*parts), dtype=np.uint64), expected)


def test_radius_and_direction_are_accurate_to_a_few_ulp() -> None:
    """For random words, the ends of the range, and the ends of the quarters of a turn."""
    corners = [(quarter << 61) + (shift << 11) for quarter in range(8) for shift in (0, 1, 1000)]
    corners += [2**64 - 1 - word for word in corners]
    random = bits(4, Stream.DATA, 0, 0, count=100_000)
    points = np.concatenate([np.array(corners, dtype=np.uint64), random])
    radius = numba.njit(lambda word: philox.radius(word))
    direction = numba.njit(lambda word: philox.direction(word))
    length = np.array([radius(word) for word in points])
    x, y = np.array([direction(word) for word in points]).T
    upper = (points >> np.uint64(11)).astype(np.longdouble)
    turn = 8 * np.arctan(np.longdouble(1)) * upper / 2**53
    exact_length = np.sqrt(-2 * np.log((upper + 1) / 2**53))
    assert np.all(np.abs(length - exact_length) <= 2 * np.spacing(length))
    # Near its zeros the exact value itself is that of a rounded turn.
    for actual, exact in ((x, np.cos(turn)), (y, np.sin(turn))):
        assert np.all(np.abs(actual - exact) <= 2 * np.spacing(np.abs(actual)) + 1e-18)


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    """Nor on whether a draw is large enough to be shared among threads at all."""
    count, threads = 100_000, numba.get_num_threads()
    drawn = []
    try:
        for number in range(1, threads + 1):
            numba.set_num_threads(number)
            drawn.append(noise.normal(5, Stream.DYNAMICS, 2, count, 2))
            assert numba.get_num_threads() == number
    finally:
        numba.set_num_threads(threads)
    assert all(np.array_equal(values, drawn[0]) for values in drawn)
    assert np.array_equal(noise.normal(5, Stream.DYNAMICS, 2, 1000, 2), drawn[0][:1000])


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_blocks_cut_a_count_without_gap_or_overlap(count: int) -> None:
    covered = [k for part in noise.blocks(count) for k in range(count)[part]]
    assert covered == list(range(count))
    assert all(0 < part.stop - part.start <= BLOCK for part in noise.blocks(count))
    assert all(part.stop <= count for part in noise.blocks(count))


def test_normals_have_the_moments_of_a_standard_normal() -> None:
    count = 1_000_000
    values = noise.normal(1, Stream.DYNAMICS, 0, count // 2, 2).ravel()
    # Moments 1 to 4 of a standard normal, and the variance of their estimates.
    for power, (moment, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], 1):
        error = abs((values**power).mean() - moment)
        assert error < 4.5 * math.sqrt(variance / count)
    assert stats.kstest(values, "norm").pvalue > 1e-4


def test_normals_are_as_often_in_the_tails_as_the_law_says() -> None:
    """Both tails beyond 3, 4 and 5, within 4.5 standard deviations of the number expected."""
    beyond, steps, count = np.zeros((2, 3)), 20, 4_000_000
    for index in range(steps):
        values = noise.normal(11, Stream.DYNAMICS, index, count, 1)
        for column, end in enumerate((3, 4, 5)):
            beyond[:, column] += (values > end).sum(), (values < -end).sum()
    expected = steps * count * stats.norm.sf([3, 4, 5])
    assert expected[-1] > 20
    assert np.all(np.abs(beyond - expected) < 4.5 * np.sqrt(expected))


def test_normals_of_one_group_are_independent() -> None:
    """Cosine and sine share a radius: neither they, nor their squares, nor neighbours correlate."""
    values = noise.normal(2, Stream.DYNAMICS, 0, 100 * BLOCK, 1)[:, 0]
    for lag in (1, 2, 8, 32, 64, 96, 128):
        for power in (1, 2, 3):
            one, other = values[:-lag] ** power, values[lag:] ** power
            correlation = np.corrcoef(one, other)[0, 1]
            assert abs(correlation) < 4.5 / math.sqrt(len(one)), (lag, power)
    for part in values.reshape(-1, 4, 32).transpose(1, 0, 2).reshape(4, -1):
        assert stats.kstest(part, "norm").pvalue > 1e-4


def test_a_problem_is_described_without_numba() -> None:
    """The compiled generator is loaded by the first draw, not by the import."""
    code = "import sys, wgflow.noise; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_value_is_filled() -> None:
    """No row is left as the allocation found it: all values of a draw are different."""
    values = noise.normal(0, Stream.INITIAL, 0, 5 * BLOCK + 3, 2)
    assert np.isfinite(values).all()
    assert len(np.unique(values)) == values.size


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1, np.int64(5), np.uint64(2**64 - 1)])
def test_seeds_in_range_are_accepted_as_they_are(seed: int) -> None:
    checked = noise.check_seed(seed)
    assert type(checked) is int
    assert checked == int(seed)
    noise.generator(checked, Stream.DATA)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, 1.5, True, "1", None, math.nan])
def test_seeds_out_of_range_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match="The seed is .*, but must be a whole number") as caught:
        noise.check_seed(seed)  # type: ignore[arg-type]
    assert repr(seed) in str(caught.value)
    assert "at least 0 and at most 18446744073709551615" in str(caught.value)
