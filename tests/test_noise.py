"""Laws of the noise: what the bits depend on, what they do not, and their distribution."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from wgflow import noise
from wgflow.errors import InputError
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


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_blocks_cut_a_count_without_gap_or_overlap(count: int) -> None:
    covered = [k for part in noise.blocks(count) for k in range(count)[part]]
    assert covered == list(range(count))
    assert all(0 < part.stop - part.start <= BLOCK for part in noise.blocks(count))
    assert all(part.stop <= count for part in noise.blocks(count))


def test_normals_have_the_moments_of_a_standard_normal() -> None:
    count = 100_000
    values = noise.normal(1, Stream.DYNAMICS, 0, count // 2, 2).ravel()
    # Moments 1 to 4 of a standard normal, and the variance of their estimates.
    for power, (moment, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], 1):
        error = abs((values**power).mean() - moment)
        assert error < 4.5 * math.sqrt(variance / count)
    assert stats.kstest(values, "norm").pvalue > 1e-4


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
