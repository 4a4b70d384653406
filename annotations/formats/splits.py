"""Which split an image belongs to."""

import math
from collections.abc import Iterable, Mapping
from hashlib import sha256

NAMES = ("train", "val", "test")


def check(fractions: Mapping[str, float]) -> None:
    """ValueError: other names than NAMES, or no fractions that add up to 1."""
    shares = list(fractions.values())
    if set(fractions) - set(NAMES) or not all(type(share) in (int, float) for share in shares):
        raise ValueError("The splits are named train, val and test, each with a number.")
    if not all(share >= 0 and math.isfinite(share) for share in shares):
        raise ValueError("A fraction is no finite number from 0 on.")
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError("The fractions of the splits must add up to 1.")


def parse(text: str) -> dict[str, float]:
    """80/10/10 or 0.8/0.2 as fractions of train, val and test. ValueError: no such text."""
    numbers = [float(part) for part in text.split("/")]
    total = sum(numbers)
    if not 1 <= len(numbers) <= len(NAMES) or min(numbers) < 0 or not 0 < total < math.inf:
        raise ValueError("Splits look like 80/10/10.")
    return {name: share / total for name, share in zip(NAMES, numbers, strict=False)}


def split_of(key: str, fractions: Mapping[str, float], seed: str = "") -> str:
    """The split of the image with this key (its SHA-256 or another lasting name).

    fractions: such as {"train": 0.8, "val": 0.1, "test": 0.1}, adding up to 1. The key's hash
    decides, so images that come later do not move the others. ValueError: not such fractions.
    """
    if any(share < 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError("The fractions of the splits must add up to 1.")
    place = int.from_bytes(_hash(key, seed)[:8]) / 2**64
    bound = 0.0
    for name, share in fractions.items():
        bound += share
        if place < bound:
            return name
    return [name for name, share in fractions.items() if share][-1]


def _hash(key: str, seed: str) -> bytes:
    return sha256(f"{seed}:{key}".encode()).digest()


def stratified(
    categories: Mapping[str, Iterable[int]], fractions: Mapping[str, float], seed: str = ""
) -> dict[str, str]:
    """The splits of images, by key, so that each category is shared out by the fractions.

    categories: of each image. The rarest category is shared out first, each of its images to the
    split that lacks most of it. It depends on all images: one more may move others. Source:
    Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, 2011.
    """
    check(fractions)
    names = [name for name, share in fractions.items() if share]
    ordered = sorted(categories, key=lambda key: _hash(key, seed))
    todo = {key: frozenset(categories[key]) for key in ordered}
    having: dict[int, dict[str, None]] = {}
    for key, ids in todo.items():
        for id in ids:
            having.setdefault(id, {})[key] = None
    lacks = {
        id: {name: len(keys) * fractions[name] for name in names} for id, keys in having.items()
    }
    room = {name: len(todo) * fractions[name] for name in names}
    placed: dict[str, str] = {}

    def place(key: str, name: str) -> None:
        placed[key] = name
        room[name] -= 1
        for id in todo[key]:
            lacks[id][name] -= 1
            having[id].pop(key)

    while having:
        id = min(having, key=lambda one: (len(having[one]), one))
        for key in list(having[id]):
            place(key, max(names, key=lambda name: (lacks[id][name], room[name])))
        del having[id]
    for key in [key for key in todo if key not in placed]:  # without any object
        place(key, max(names, key=room.__getitem__))
    return placed
