"""Which split an image belongs to: decided by the image alone, so that it never moves."""

from collections.abc import Mapping
from hashlib import sha256


def split_of(key: str, fractions: Mapping[str, float], seed: str = "") -> str:
    """The split of the image with this key (its SHA-256 or another lasting name).

    fractions: such as {"train": 0.8, "val": 0.1, "test": 0.1}, adding up to 1. The key's hash
    decides, so images that come later do not move the others. ValueError: not such fractions.
    """
    if any(share < 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError("The fractions of the splits must add up to 1.")
    place = int.from_bytes(sha256(f"{seed}:{key}".encode()).digest()[:8]) / 2**64
    bound = 0.0
    for name, share in fractions.items():
        bound += share
        if place < bound:
            return name
    return [name for name, share in fractions.items() if share][-1]
