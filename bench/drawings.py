"""Drawn pictures with known objects, for where no photographs are at hand or may be shown."""

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

WIDTH, HEIGHT = 640, 480
KINDS: dict[str, tuple[str, tuple[int, int, int], tuple[int, int]]] = {
    "apple": ("ellipse", (196, 48, 48), (46, 44)),
    "lemon": ("ellipse", (232, 206, 60), (52, 34)),
    "pear": ("ellipse", (188, 200, 70), (38, 54)),
    "carrot": ("wedge", (226, 122, 36), (84, 24)),
    "leaf": ("lens", (70, 140, 62), (62, 26)),
    "plum": ("ellipse", (110, 58, 128), (32, 32)),
    "mushroom": ("cap", (206, 186, 160), (42, 40)),
    "chocolate": ("box", (92, 58, 40), (40, 30)),
}
"""Name → outline, colour (RGB), half axes in pixels."""
ROWS, COLUMNS = 3, 4


def scene(random: np.random.Generator) -> tuple[Picture, list[tuple[str, Mask]]]:
    """A table with 6 to 10 objects that do not overlap: RGB (480, 640, 3), and what is where."""
    picture = _table(random)
    cells = random.permutation(ROWS * COLUMNS)[: random.integers(6, 11)]
    objects = []
    for cell in cells:
        name = str(random.choice(list(KINDS)))
        row, column = divmod(int(cell), COLUMNS)
        middle = (
            (column + 0.5) * WIDTH / COLUMNS + random.uniform(-12, 12),
            (row + 0.5) * HEIGHT / ROWS + random.uniform(-10, 10),
        )
        mask = _outline(name, middle, random)
        _paint(picture, mask, KINDS[name][1], random)
        objects.append((name, mask))
    return picture, objects


def _table(random: np.random.Generator) -> Picture:
    grain = random.normal(0, 1, (HEIGHT, 1, 1)) * 5 + random.normal(0, 3, (HEIGHT, WIDTH, 1))
    wood = np.array([198, 172, 138]) + random.uniform(-14, 14, 3)
    return np.clip(wood + cv2.GaussianBlur(grain, (9, 3), 0)[..., None], 0, 255).astype(np.uint8)


def _outline(name: str, middle: tuple[float, float], random: np.random.Generator) -> Mask:
    kind, _, half = KINDS[name]
    a, b = (axis * random.uniform(0.8, 1.2) for axis in half)
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x, y = {
        "ellipse": (a * np.cos(t), b * np.sin(t)),
        "lens": (a * np.cos(t), b * np.sin(t) ** 3),
        "wedge": (a * np.cos(t), b * np.sin(t) * (0.6 - 0.4 * np.cos(t))),
        "cap": (a * np.cos(t) * np.where(np.sin(t) > 0.3, 0.4, 1), b * np.sin(t)),
        "box": (a * np.sign(np.cos(t)), b * np.sign(np.sin(t))),
    }[kind]
    turn = random.uniform(-0.6, 0.6)
    points = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1
    )
    points = points * (1 + random.normal(0, 0.015, (60, 1))) + middle
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask.astype(bool)


def _paint(
    picture: Picture, mask: Mask, color: tuple[int, int, int], random: np.random.Generator
) -> None:
    """In its colour, lighter at the top left, with a shadow on the table."""
    shadow = cv2.GaussianBlur(np.roll(mask, (8, 6), (0, 1)).astype(np.float32), (0, 0), 6)
    picture[:] = (picture * (1 - 0.35 * shadow[..., None])).astype(np.uint8)
    rows, columns = np.nonzero(mask)
    light = (
        1.15
        - 0.4
        * ((rows - rows.min()) / np.ptp(rows) + (columns - columns.min()) / np.ptp(columns))
        / 2
    )
    tint = np.array(color) + random.uniform(-12, 12, 3)
    shaded = tint * light[:, None] + random.normal(0, 4, (len(rows), 1))
    picture[mask] = np.clip(shaded, 0, 255).astype(np.uint8)
