"""COCO run-length encoding of binary masks.

A mask of `size` = (height, width) is read column by column; its runs alternate between zeros and
ones and start with zeros. `counts` is the same in COCO's compressed text: differences to the run
two before, as signed variable-length integers of 5 bits per character from "0" on. The functions
here expect counts that `masks.validation` let through; they never hand anything to C code.

Source: Lin et al., Microsoft COCO, 2014; maskApi of pycocotools.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Size = tuple[int, int]
"""(height, width), pixels."""

Box = tuple[int, int, int, int]
"""(x, y, width, height), whole pixels."""

Mask = npt.NDArray[np.bool_]
Runs = npt.NDArray[np.int64]

MAX_CHARS = 7
"""Characters of one number: 35 bits hold every difference of two 32-bit counts."""


def to_runs(counts: str) -> Runs:
    """The run lengths, int64, of compressed counts. ValueError: not such a text."""
    values, _ = numbers(counts)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def numbers(text: str) -> tuple[Runs, npt.NDArray[np.int64]]:
    """The numbers in compressed counts as written, and where the last character of each is.

    They are differences to the number two before, but for the first three. ValueError: as above.
    """
    try:
        digits = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int8) - 48
    except UnicodeEncodeError:
        raise ValueError("the counts hold a character that is not ASCII") from None
    if not digits.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if digits.min() < 0 or digits.max() > 63:
        raise ValueError("the counts hold a character outside '0' to 'o'")
    last = np.flatnonzero(digits < 32)
    if not last.size or last[-1] != digits.size - 1:
        raise ValueError("the counts end in the middle of a number")
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > MAX_CHARS:
        raise ValueError("the counts hold a number beyond 32 bits")
    place = np.arange(digits.size) - np.repeat(first, lengths)
    values = np.add.reduceat((digits & 31).astype(np.int64) << (5 * place), first)
    negative = (digits[last] & 16) > 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    return values, last


def from_runs(runs: Sequence[int] | Runs) -> str:
    """Compressed counts of run lengths."""
    values = np.asarray(runs, dtype=np.int64)
    deltas = values.copy()
    deltas[3:] -= values[1:-2]
    # Bits without sign, plus one for the sign, in fives.
    magnitude = np.where(deltas < 0, ~deltas, deltas)
    lengths = np.frexp(magnitude.astype(np.float64))[1] // 5 + 1
    first = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) - np.repeat(first, lengths)
    digits = (np.repeat(deltas, lengths) >> (5 * place)) & 31
    digits[place < np.repeat(lengths, lengths) - 1] |= 32
    return (digits + 48).astype(np.uint8).tobytes().decode("ascii")


def is_minimal(counts: str) -> bool:
    """Whether no number of these counts takes more characters than it must."""
    digits = np.frombuffer(counts.encode("ascii"), dtype=np.uint8) - 48
    before, last = digits[:-1], digits[1:]
    # The last character of a longer number that only repeats the sign of the one before it.
    says_nothing = last == np.where(before & 16, 31, 0)
    return not (says_nothing & (before >= 32)).any()


def canonical(runs: Runs) -> Runs:
    """The same mask without empty runs, but for a leading empty run of zeros."""
    if not (runs[1:] == 0).any():
        return runs
    ones = np.arange(runs.size) % 2 == 1
    kept = runs > 0
    lengths, ones = runs[kept], ones[kept]
    if not lengths.size:
        return np.zeros(1, dtype=np.int64)
    starts = np.flatnonzero(np.concatenate(([True], ones[1:] != ones[:-1])))
    merged = np.add.reduceat(lengths, starts)
    return np.concatenate(([0], merged)) if ones[0] else merged


def encode(mask: npt.ArrayLike) -> str:
    """Compressed counts of a boolean (height, width) array."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], changes, [flat.size]))
    runs = np.diff(bounds)
    return from_runs(np.concatenate(([0], runs)) if flat.size and flat[0] else runs)


def decode(counts: str, size: Size) -> Mask:
    """The boolean (height, width) array. ValueError: the counts are of another size."""
    return _decode_runs(to_runs(counts), size)


def _decode_runs(runs: Runs, size: Size) -> Mask:
    if (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise ValueError("the counts do not add up to height × width")
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return flat.reshape(size[1], size[0]).T


def covers(counts: str, place: int) -> bool:
    """Whether the pixel number `place`, counted column by column, belongs to the mask."""
    ends = np.cumsum(to_runs(counts))
    return bool(np.searchsorted(ends, place, side="right") % 2)


def empty(size: Size) -> str:
    """The mask without a pixel."""
    return from_runs([size[0] * size[1]])


def area(counts: str) -> int:
    """The number of pixels set."""
    return int(to_runs(counts)[1::2].sum())


def bbox(counts: str, size: Size) -> Box:
    """The smallest box around the pixels set; all 0 for an empty mask."""
    starts, ends = intervals(counts)
    if not starts.size:
        return (0, 0, 0, 0)
    height = size[0]
    left, right = int(starts[0] // height), int((ends[-1] - 1) // height)
    if (starts // height != (ends - 1) // height).any():
        top, bottom = 0, height - 1  # a run that goes on in the next column touches both edges
    else:
        top, bottom = int((starts % height).min()), int(((ends - 1) % height).max())
    return (left, top, right - left + 1, bottom - top + 1)


def intervals(counts: str) -> tuple[Runs, Runs]:
    """Starts and ends (exclusive) of the runs of ones in the column-major mask, ascending."""
    bounds = np.cumsum(canonical(to_runs(counts)))
    starts, ends = bounds[0::2], bounds[1::2]
    return starts[: ends.size], ends


def _from_intervals(starts: Runs, ends: Runs, total: int) -> str:
    """Counts of disjoint ascending intervals; those that touch are joined."""
    bounds = np.stack([starts, ends], axis=1).ravel()
    return from_runs(canonical(np.diff(np.concatenate(([0], bounds, [total])))))


def _covered(masks: Sequence[str], wanted: int, total: int) -> str:
    """Counts of the pixels that at least `wanted` of the masks cover."""
    pairs = [intervals(counts) for counts in masks]
    positions = np.concatenate([side for pair in pairs for side in pair] or [np.zeros(0, np.int64)])
    steps = np.concatenate(
        [np.repeat([1, -1], starts.size) for starts, _ in pairs] or [np.zeros(0, np.int64)]
    )
    order = np.lexsort((-steps, positions))
    depth = np.cumsum(steps[order])
    inside = depth >= wanted
    before = np.concatenate(([False], inside[:-1]))
    edges = positions[order]
    return _from_intervals(edges[inside & ~before], edges[~inside & before], total)


def union(masks: Sequence[str], size: Size) -> str:
    """Pixels in any of the masks."""
    return masks[0] if len(masks) == 1 else _covered(masks, 1, size[0] * size[1])


def intersection(masks: Sequence[str], size: Size) -> str:
    """Pixels in all of the masks."""
    return masks[0] if len(masks) == 1 else _covered(masks, len(masks), size[0] * size[1])


def complement(counts: str) -> str:
    """Pixels not in the mask."""
    runs = to_runs(counts)
    return from_runs(runs[1:] if runs[0] == 0 else np.concatenate(([0], runs)))


def difference(first: str, second: str, size: Size) -> str:
    """Pixels in the first mask and not in the second."""
    return intersection([first, complement(second)], size)


def intersection_area(first: str, second: str) -> int:
    """The number of pixels in both masks, without decoding them."""
    a_starts, a_ends = intervals(first)
    b_starts, b_ends = intervals(second)
    if not a_starts.size or not b_starts.size:
        return 0
    # Pixels of the second mask before each position, at both ends of each interval of the first.
    b_before = np.concatenate(([0], np.cumsum(b_ends - b_starts)))

    def before(positions: Runs) -> Runs:
        index = np.searchsorted(b_starts, positions, side="right")
        beyond = np.where(index > 0, np.maximum(b_ends[index - 1] - positions, 0), 0)
        return b_before[index] - beyond

    return int((before(a_ends) - before(a_starts)).sum())


def overlap(masks: Sequence[str]) -> tuple[int, int] | None:
    """The indexes of two masks that share a pixel, or None. O(runs · log runs)."""
    pairs = [intervals(counts) for counts in masks]
    if not pairs:
        return None
    starts = np.concatenate([pair[0] for pair in pairs])
    ends = np.concatenate([pair[1] for pair in pairs])
    owners = np.repeat(np.arange(len(pairs)), [pair[0].size for pair in pairs])
    order = np.argsort(starts, kind="stable")
    starts, ends, owners = starts[order], ends[order], owners[order]
    furthest = np.maximum.accumulate(ends)
    hits = np.flatnonzero(starts[1:] < furthest[:-1])
    if not hits.size:
        return None
    here = int(hits[0])
    other = int(np.argmax(ends[: here + 1]))
    first, second = sorted((int(owners[other]), int(owners[here + 1])))
    return first, second


def crop(counts: str, size: Size, box: Box) -> Mask:
    """The boolean array of the mask within a box that lies inside the image."""
    height = size[0]
    x, y, width, rows = box
    starts, ends = intervals(counts)
    low, high = x * height, (x + width) * height
    within = (ends > low) & (starts < high)
    starts, ends = np.maximum(starts[within], low) - low, np.minimum(ends[within], high) - low
    columns = _from_intervals(starts, ends, high - low)
    return decode(columns, (height, width))[y : y + rows]


def paste(mask: npt.ArrayLike, size: Size, at: tuple[int, int]) -> str:
    """Counts of an image of `size` that holds the mask at (x, y), inside the image."""
    part = np.asarray(mask, dtype=bool)
    height, width = size
    x, y = at
    columns = np.zeros((part.shape[1], height), dtype=bool).T
    columns[y : y + part.shape[0]] = part
    starts, ends = intervals(encode(columns))
    return _from_intervals(starts + x * height, ends + x * height, height * width)


def from_labels(labels: npt.NDArray) -> dict[int, str]:
    """Counts of the mask of each value in a (height, width) integer array, by ascending value."""
    flat = labels.ravel(order="F")
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    ends = np.concatenate((starts[1:], [flat.size]))
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    return {
        int(values[group[0]]): _from_intervals(starts[group], ends[group], flat.size)
        for group in np.split(order, cuts)
    }


def paint(labels: npt.NDArray, counts: str, value: int) -> int:
    """Write the value where the mask is into a (height, width) integer array, in place.

    Returns how many of the pixels held something other than 0 before and were overwritten.
    """
    box = bbox(counts, (labels.shape[0], labels.shape[1]))
    x, y, width, rows = box
    if not width:
        return 0
    part = labels[y : y + rows, x : x + width]
    mask = crop(counts, (labels.shape[0], labels.shape[1]), box)
    hidden = int(np.count_nonzero(part[mask]))
    part[mask] = value
    return hidden
