"""A short hunt by `script/fuzz`'s targets: good inputs, and good inputs with bytes changed."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust import fuzz

EXAMPLES = 40
CHANGES = [b"", b"\0" * 4, b"\xff" * 4, b"-1", b"1e999", b'"', b"[", b"null"]
SLOW = {"cityscapes", "voc", "coco_panoptic", "dicom", "nifti", "pictures"}


def changed(data: bytes, chance: random.Random) -> bytes:
    """Some bytes other, gone, doubled or swapped; mostly a few."""
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 8])):
        start = chance.randrange(len(found) + 1)
        end = min(len(found), start + chance.choice([1, 1, 2, 4, 16]))
        other = bytes([chance.randrange(256)])
        found[start:end] = chance.choice([*CHANGES, other, found[start:end] * 2])
    return bytes(found)


def hunt(target, seeds: list[bytes], examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(seeds), st.randoms(use_true_random=False))
    def look(seed: bytes, chance: random.Random) -> None:
        target(changed(seed, chance))

    look()


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_no_input_breaks_a_reader(name):
    target, seeds = fuzz.target_of(name), fuzz.seeds(name)
    assert all(target(seed) for seed in seeds), "a good input is refused"
    hunt(target, seeds, EXAMPLES // 2 if name in SLOW else EXAMPLES)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        # A zip whose last entry begins less than 30 bytes before its end.
        ("zip", None),
        ("nifti", b"\0" + b"\x5c\x01\0\0" * 50),  # a header that is cut off
        # A number with a byte more than it needs.
        ("rle", bytes([2, 2]) + b"T05"),
    ],
)
def test_what_the_fuzzer_once_found(name, data):
    if data is None:
        data = bytearray(fuzz.seeds("zip")[1])
        entry = data.rindex(b"PK\1\2")
        data[entry + 42 : entry + 46] = (len(data) - 8).to_bytes(4, "little")
    fuzz.target_of(name)(bytes(data))


def test_the_hunt_finds_a_planted_fault(monkeypatch):
    """The check that the runs fill the image is left out."""
    from annotations.masks import rle, validation

    monkeypatch.setattr(
        validation, "_validate_runs", lambda runs, size, field, allow_empty: rle.from_runs(runs)
    )
    with pytest.raises((ValueError, ExceptionGroup)):
        hunt(fuzz.rle, fuzz.seeds("rle"), EXAMPLES)
