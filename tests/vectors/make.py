"""Makes rle.json and polygons.json from pycocotools alone: the cases Python and TypeScript pass.

    python tests/vectors/make.py

rle.json: [{name, size: [height, width], runs, counts, area, bbox: [x, y, width, height]}]
polygons.json: [{name, size, polygons: [[outside, hole, …], …], counts, area}]
Deterministic: the same bytes with every run.
"""

import json
import math
import random
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

HERE = Path(__file__).parent


def encode(mask: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def runs_of(mask: np.ndarray) -> list[int]:
    runs, value = [0], False
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def rle_case(name: str, mask: np.ndarray) -> dict:
    encoded = encode(mask)
    return {
        "name": name,
        "size": list(mask.shape),
        "runs": runs_of(mask),
        "counts": encoded["counts"].decode("ascii"),
        "area": int(coco.area(encoded)),
        "bbox": [int(n) for n in coco.toBbox(encoded)] if mask.any() else [0, 0, 0, 0],
    }


def rle_cases() -> list[dict]:
    noise = np.random.default_rng(20240501)
    ys, xs = np.mgrid[0:48, 0:64]
    disc = (xs - 30) ** 2 + (ys - 22) ** 2 < 300
    ring = disc & ((xs - 30) ** 2 + (ys - 22) ** 2 > 120)
    single = np.zeros((7, 9), bool)
    single[3, 4] = True
    corners = np.zeros((6, 5), bool)
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    column = np.zeros((5, 4), bool)
    column[:, 1] = True
    rows = np.zeros((5, 4), bool)
    rows[2] = True
    checker = (np.indices((8, 10)).sum(axis=0) % 2).astype(bool)
    late = np.zeros((1000, 1000), bool)
    late[999, 999] = True
    large = np.zeros((3000, 4000), bool)
    large[100:2900, 50:3950] = True
    large[1000:1010, 2000] = False
    return [
        rle_case("one pixel, clear", np.zeros((1, 1), bool)),
        rle_case("one pixel, set", np.ones((1, 1), bool)),
        rle_case("empty", np.zeros((6, 4), bool)),
        rle_case("full", np.ones((6, 4), bool)),
        rle_case("one pixel set", single),
        rle_case("first pixel set", np.eye(1, 12, dtype=bool).reshape(3, 4)),
        rle_case("corners", corners),
        rle_case("one column", column),
        rle_case("one row", rows),
        rle_case("checkerboard", checker),
        rle_case("disc", disc),
        rle_case("ring", ring),
        rle_case("wide", noise.random((1, 300)) < 0.4),
        rle_case("tall", noise.random((300, 1)) < 0.4),
        rle_case("noise", noise.random((64, 96)) < 0.5),
        rle_case("sparse noise", noise.random((120, 80)) < 0.01),
        rle_case("dense noise", noise.random((80, 120)) < 0.98),
        rle_case("last pixel of a million", late),
        rle_case("four thousand wide", large),
    ]


def polygon_case(name: str, size: tuple[int, int], polygons: list) -> dict:
    height, width = size

    def fill(rings: list) -> np.ndarray:
        parts = coco.frPyObjects([[float(n) for n in ring] for ring in rings], height, width)
        return coco.decode(coco.merge(parts)).astype(bool)

    mask = np.zeros(size, bool)
    for outside, *holes in polygons:
        mask |= fill([outside]) & ~fill(holes) if holes else fill([outside])
    return {
        "name": name,
        "size": list(size),
        "polygons": polygons,
        "counts": encode(mask)["counts"].decode("ascii"),
        "area": int(mask.sum()),
    }


def wheel(x: float, y: float, radius: float, points: int, turn: float = 0.0) -> list[float]:
    """A regular polygon, rounded to 1/1000 so that the text of the numbers is the same anywhere."""
    ring = []
    for k in range(points):
        angle = turn + 2 * math.pi * k / points
        ring += [round(x + radius * math.cos(angle), 3), round(y + radius * math.sin(angle), 3)]
    return ring


def star(x: float, y: float, radius: float) -> list[float]:
    ring = wheel(x, y, radius, 5, 0.3)
    points = [ring[2 * k : 2 * k + 2] for k in (0, 2, 4, 1, 3)]
    return [n for point in points for n in point]


def polygon_cases() -> list[dict]:
    dice = random.Random(20240502)

    def scribble(points: int, low: float, high: float) -> list[float]:
        return [round(dice.uniform(low, high), 2) for _ in range(2 * points)]

    size = (40, 50)
    cases: list[tuple[str, tuple[int, int], list]] = [
        ("box on whole pixels", size, [[[5, 6, 15, 6, 15, 16, 5, 16]]]),
        ("box counter-clockwise", size, [[[5, 6, 5, 16, 15, 16, 15, 6]]]),
        ("box on half pixels", size, [[[5.5, 6.5, 15.5, 6.5, 15.5, 16.5, 5.5, 16.5]]]),
        ("box on tenths", size, [[[5.1, 6.1, 15.9, 6.1, 15.9, 16.9, 5.1, 16.9]]]),
        ("whole image", size, [[[0, 0, 50, 0, 50, 40, 0, 40]]]),
        ("last pixel", size, [[[49, 39, 50, 39, 50, 40, 49, 40]]]),
        ("first pixel", size, [[[0, 0, 1, 0, 1, 1, 0, 1]]]),
        ("closed by its first point", size, [[[5, 6, 15, 6, 15, 16, 5, 16, 5, 6]]]),
        ("repeated points", size, [[[5, 6, 5, 6, 15, 6, 15, 6, 15, 16, 5, 16]]]),
        ("triangle", size, [[[10.25, 3.75, 40.5, 20.125, 12, 35.5]]]),
        ("steep triangle", size, [[[10.3, 1.2, 12.9, 38.7, 14.1, 2.6]]]),
        ("octagon", size, [[wheel(25, 20, 13.7, 8, 0.2)]]),
        ("circle", size, [[wheel(24.3, 19.6, 15.2, 90)]]),
        ("concave", size, [[[5, 5, 45, 5, 45, 35, 30, 35, 30, 12.5, 20, 12.5, 20, 35, 5, 35]]]),
        ("beyond the left edge", size, [[[-8.5, 5, 12, 5, 12, 30, -8.5, 30]]]),
        ("beyond the right edge", size, [[[40, 5, 61.3, 5, 61.3, 30, 40, 30]]]),
        ("beyond the top edge", size, [[[10, -7.25, 30, -7.25, 30, 9, 10, 9]]]),
        ("beyond the bottom edge", size, [[[10, 33, 30, 33, 30, 55.5, 10, 55.5]]]),
        ("beyond every edge", size, [[[-20, -20, 70, -10, 75, 60, -15, 66]]]),
        ("corner cut by an edge outside", size, [[[-10, 15, 15, -10, 60, 45]]]),
        ("a little beyond the border", size, [[[0, 0, 50.01, 0.02, 50.0, 40.01, -0.01, 39.99]]]),
        ("bow tie", size, [[[10, 10, 40, 30, 40, 10, 10, 30]]]),
        ("star that crosses itself", size, [[star(25, 20, 18)]]),
        (
            "overlapping itself",
            size,
            [[[5, 5, 35, 5, 35, 25, 15, 25, 15, 15, 45, 15, 45, 35, 5, 35]]],
        ),
        ("below one pixel", size, [[[20.1, 20.1, 20.4, 20.1, 20.4, 20.4, 20.1, 20.4]]]),
        (
            "below one pixel, over a centre",
            size,
            [[[20.3, 20.3, 20.7, 20.3, 20.7, 20.7, 20.3, 20.7]]],
        ),
        ("one pixel, turned", size, [[[20.5, 19.8, 21.2, 20.5, 20.5, 21.2, 19.8, 20.5]]]),
        ("thin, across", size, [[[3, 20.2, 47, 20.2, 47, 20.6, 3, 20.6]]]),
        ("thin, down", size, [[[20.2, 3, 20.6, 3, 20.6, 37, 20.2, 37]]]),
        ("thin, slanting", size, [[[3, 4, 46, 35.2, 46.3, 35.9, 3.1, 4.6]]]),
        ("hole", size, [[[5, 5, 45, 5, 45, 35, 5, 35], [15, 12, 30, 12, 30, 28, 15, 28]]]),
        (
            "hole with fractions",
            size,
            [[wheel(25, 20, 17.3, 40), wheel(24.1, 20.7, 8.45, 24, 0.1)]],
        ),
        (
            "two holes that overlap",
            size,
            [
                [
                    [5, 5, 45, 5, 45, 35, 5, 35],
                    [10, 10, 25, 10, 25, 25, 10, 25],
                    [20, 15, 35, 15, 35, 30, 20, 30],
                ]
            ],
        ),
        (
            "hole across the edge",
            size,
            [[[5, 5, 30, 5, 30, 35, 5, 35], [20, 10, 40, 10, 40, 25, 20, 25]]],
        ),
        (
            "hole as large as the outside",
            size,
            [[[5, 5, 30, 5, 30, 35, 5, 35], [5, 5, 30, 5, 30, 35, 5, 35]]],
        ),
        ("two parts", size, [[[3, 3, 15, 3, 15, 20, 3, 20]], [[25.5, 10.25, 45.75, 12.5, 30, 36]]]),
        (
            "two parts that overlap",
            size,
            [[[5, 5, 30, 5, 30, 25, 5, 25]], [[20, 15, 45, 15, 45, 35, 20, 35]]],
        ),
        (
            "island in a hole",
            size,
            [
                [[3, 3, 47, 3, 47, 37, 3, 37], [10, 8, 40, 8, 40, 32, 10, 32]],
                [[18.5, 14.5, 31.5, 14.5, 31.5, 25.5, 18.5, 25.5]],
            ],
        ),
        ("one row", (1, 30), [[[2.5, -3, 25.25, -3, 25.25, 4, 2.5, 4]]]),
        ("one column", (30, 1), [[[-3, 2.5, 4, 2.5, 4, 25.25, -3, 25.25]]]),
        ("one pixel image", (1, 1), [[[0, 0, 1, 0, 1, 1, 0, 1]]]),
        ("large", (1080, 1920), [[wheel(960.37, 540.91, 533.3, 360)], [wheel(200, 200, 150.5, 7)]]),
    ]
    for k in range(20):
        count = dice.randint(3, 12)
        cases.append((f"scribble {k + 1}", size, [[scribble(count, -10, 60)]]))
    for k in range(6):
        polygon = [scribble(dice.randint(3, 9), 0, 50) for _ in range(3)]
        cases.append((f"scribble with holes {k + 1}", size, [polygon, [scribble(5, 0, 50)]]))
    return [polygon_case(*case) for case in cases]


def text(cases: list[dict]) -> str:
    return "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n"


if __name__ == "__main__":
    (HERE / "rle.json").write_text(text(rle_cases()))
    (HERE / "polygons.json").write_text(text(polygon_cases()))
