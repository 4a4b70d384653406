"""Which labels are likely to be wrong: what is odd for its category, or does not look like it.

Arrays in, findings out. A finding has a score in 0…1; several about one region add up as
independent hints do (`combined`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from annotations.masks import matching, rle
from annotations.masks.matching import Shape

Floats = npt.NDArray[np.float64]

FEATURES = (
    "log area", "log aspect", "extent", "compactness", "x", "y", "sides touched",
    "lightness", "green-red", "blue-yellow", "lightness spread", "edges",
)  # fmt: skip
ODD = {"size": (0,), "shape": (1, 2, 3), "position": (4, 5), "colour": (7, 8, 9)}
"""Reason → the features whose oddity is that."""
WORDS = {
    0: ("large", "small"), 1: ("wide", "tall"), 2: ("like its box", "unlike its box"),
    3: ("ragged", "smooth"), 4: ("far right", "far left"), 5: ("far down", "far up"),
    7: ("light", "dark"), 8: ("red", "green"), 9: ("yellow", "blue"),
}  # fmt: skip
"""Place in FEATURES → what a region is whose value is high, and low."""
LEAST = 12
"""Regions of a category from which its usual values are known."""
ODD_FROM = 4.5
"""Robust z beyond which a value is odd; Iglewicz and Hoaglin (1993) say 3.5 for one feature."""
FOLDS = 5
MARGIN = 0.1
PATCH = 12
"""Side of the small picture by which twins are found, pixels."""
TWINS = 0.02
"""Mean difference of two such pictures, of 0…1, below which they are twins."""
CONFIRMED = 0.3
"""What is left of a score where others who labeled the image gave the same name."""
SURE = 0.7
"""Score of a proposal from which it counts against what a person did."""


@dataclass(frozen=True, slots=True)
class Finding:
    """place: of the region in the sequence that was asked about."""

    place: int
    reason: str
    score: float
    text: str


def features(shape: Shape, size: rle.Size, picture: npt.NDArray[np.uint8]) -> Floats:
    """The numbers of FEATURES, (12,). picture: the image as RGB, of any scale."""
    x, y, width, height = shape.bbox
    mask = rle.crop(shape.counts, size, shape.bbox)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    around = sum(cv2.arcLength(outline, True) for outline in outlines)
    sides = (x == 0) + (y == 0) + (x + width >= size[1]) + (y + height >= size[0])
    part = patch(shape, size, picture)
    inside = cv2.resize(
        mask.astype(np.uint8), (part.shape[1], part.shape[0]), interpolation=cv2.INTER_AREA
    ).astype(bool)
    if not inside.any():
        inside[:] = True
    lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB).astype(np.float64)
    light = lab[..., 0]
    edges = np.abs(np.diff(light, axis=0)).mean() if len(light) > 1 else 0.0
    return np.array(
        [
            np.log(shape.area / (size[0] * size[1])),
            np.log(width / height),
            shape.area / (width * height),
            np.log1p(around**2 / (4 * np.pi * shape.area)),
            (x + width / 2) / size[1],
            (y + height / 2) / size[0],
            sides,
            *lab[inside].mean(axis=0),
            light[inside].std(),
            edges,
        ]
    )


def patch(shape: Shape, size: rle.Size, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The part of the picture under the region's box, at least one pixel."""
    down, across = picture.shape[0] / size[0], picture.shape[1] / size[1]
    x, y, width, height = shape.bbox
    left, top = int(x * across), int(y * down)
    right, bottom = int(np.ceil((x + width) * across)), int(np.ceil((y + height) * down))
    return picture[top : max(top + 1, bottom), left : max(left + 1, right)]


def thumb(shape: Shape, size: rle.Size, picture: npt.NDArray[np.uint8]) -> Floats:
    """The patch as PATCH × PATCH × 3 numbers of 0…1, flat."""
    small = cv2.resize(patch(shape, size, picture), (PATCH, PATCH), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64).ravel() / 255


def odd(values: Floats, categories: npt.NDArray[np.integer]) -> list[Finding]:
    """Regions far from the median of their category, in units of its spread.

    values: (regions, features). The spread is the median absolute deviation, which the errors that
    are looked for hardly move.
    """
    found = []
    for category in np.unique(categories):
        places = np.flatnonzero(categories == category)
        if len(places) < LEAST:
            continue
        mine = values[places]
        middle = np.median(mine, axis=0)
        spread = np.median(np.abs(mine - middle), axis=0)
        # A feature that nearly all share has no spread: a small part of its range is its unit.
        unit = np.maximum(spread, 0.05 * np.ptp(values, axis=0) + 1e-9)
        far = 0.6745 * (mine - middle) / unit
        for reason, columns in ODD.items():
            worst = np.abs(far[:, columns]).max(axis=1)
            for index in np.flatnonzero(worst > ODD_FROM):
                column = columns[int(np.abs(far[index][list(columns)]).argmax())]
                word = WORDS[column][0 if far[index, column] > 0 else 1]
                score = float(0.7 * (1 - ODD_FROM / (ODD_FROM + worst[index])))
                found.append(Finding(int(places[index]), reason, score, f"unusually {word}"))
    return found


def unlike(
    values: Floats, categories: npt.NDArray[np.integer], groups: npt.NDArray[np.integer]
) -> list[tuple[int, int, float]]:
    """Regions that a classifier takes for another category: (place, that category, score).

    The classifier never saw the image that it judges (cross-validation by `groups`). Score: by how
    much it is surer of the other category than of the given one, at least MARGIN. After Northcutt
    et al., Confident Learning, JAIR 2021: a label is doubted only where the other category is as
    likely as it usually is among those that have it.
    """
    known, counts = np.unique(categories, return_counts=True)
    frequent = known[counts >= LEAST]
    rows = np.flatnonzero(np.isin(categories, frequent))
    folds = min(FOLDS, len(np.unique(groups[rows])))
    if len(frequent) < 2 or folds < 2:
        return []
    # Here, since it takes a second that no start of a web process should wait for.
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes = np.searchsorted(frequent, categories[rows])
    model = make_pipeline(
        StandardScaler(),
        ExtraTreesClassifier(
            200, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=1
        ),
    )
    chance = cross_val_predict(
        model,
        values[rows],
        codes,
        groups=groups[rows],
        cv=GroupKFold(folds),
        method="predict_proba",
    )
    usual = np.array([chance[codes == code, code].mean() for code in range(len(frequent))])
    guess = np.where(chance >= usual, chance, 0).argmax(axis=1)
    own = chance[np.arange(len(rows)), codes]
    best = chance[np.arange(len(rows)), guess]
    return [
        (int(rows[i]), int(frequent[guess[i]]), float(best[i] - own[i]))
        for i in np.flatnonzero((guess != codes) & (best - own > MARGIN) & (best >= usual[guess]))
    ]


def twins(
    thumbs: Floats, categories: npt.NDArray[np.integer], groups: npt.NDArray[np.integer]
) -> list[tuple[int, int]]:
    """Pairs of regions of two images (`groups`) that look the same and have two categories.

    thumbs: as `thumb` gives. Those without any contrast look like everything and are left out.
    """
    rows = np.flatnonzero(thumbs.std(axis=1) > TWINS) if len(thumbs) else np.zeros(0, int)
    if len(rows) < 2:
        return []
    from sklearn.neighbors import NearestNeighbors  # here, as in `unlike`

    seen = thumbs[rows]
    near = NearestNeighbors(n_neighbors=min(4, len(rows)), metric="manhattan").fit(seen)
    distances, places = near.kneighbors(seen)
    return [
        (int(one), int(other))
        for one, gaps, others in zip(rows, distances, rows[places], strict=True)
        for gap, other in zip(gaps, others, strict=True)
        if gap / thumbs.shape[1] < TWINS
        and groups[one] != groups[other]
        and categories[one] != categories[other]
    ]


def broken(shape: Shape, size: rle.Size) -> list[tuple[str, float, str]]:
    """Slivers and gaps of one mask: (reason, score, text).

    A sliver is nowhere wider than 2 pixels, or a part of under 1 % beside a larger one. A gap is a
    hole of under 1 % of the region.
    """
    mask = np.pad(rle.crop(shape.counts, size, shape.bbox), 1).astype(np.uint8)
    found = []
    if shape.area >= 8 and cv2.distanceTransform(mask, cv2.DIST_L1, 3).max() <= 1:
        found.append(("sliver", 0.6, "nowhere wider than 2 pixels"))
    few = max(4.0, 0.01 * shape.area)
    parts = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    small = int((parts < few).sum()) if len(parts) > 1 else 0
    if small:
        found.append(("sliver", min(0.5, 0.2 + 0.05 * small), f"{small} tiny parts"))
    holes = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)[2][2:, cv2.CC_STAT_AREA]
    small = int((holes < few).sum())
    if small:
        found.append(("gap", min(0.5, 0.2 + 0.05 * small), f"{small} tiny holes"))
    return found


def twice(shapes: Sequence[Shape]) -> list[tuple[int, int, float]]:
    """Pairs in one annotation that cover the same pixels: (place, other place, IoU)."""
    return [
        (one, other, iou)
        for one, shape in enumerate(shapes)
        for other in range(one + 1, len(shapes))
        if (iou := matching.shape_iou(shape, shapes[other])) > 0.7
    ]


def disputed(
    shapes: Sequence[Shape], proposals: Sequence[tuple[Shape, float]]
) -> tuple[list[tuple[int, int, float]], list[tuple[int, float]]]:
    """Where a model sees another category, and where it sees what nobody drew.

    proposals: with their scores. Returns (place of a region, place of a proposal, score) and
    (place of a proposal, score).
    """
    ious = matching.shape_ious(shapes, [shape for shape, _ in proposals])
    other: list[tuple[int, int, float]] = []
    missed: list[tuple[int, float]] = []
    for column, (proposal, score) in enumerate(proposals):
        best = int(ious[:, column].argmax()) if len(shapes) else -1
        iou = float(ious[best, column]) if best >= 0 else 0.0
        if iou >= 0.5 and proposal.category not in (None, shapes[best].category):
            agreed = any(
                ious[best, place] >= 0.5 and one.category == shapes[best].category
                for place, (one, _) in enumerate(proposals)
            )
            if not agreed:
                other.append((best, column, score * iou))
        elif score >= SURE and (not len(shapes) or ious[:, column].max() < 0.1):
            missed.append((column, 0.6 * score))
    return other, missed


def named_by_others(
    people: Sequence[Sequence[Shape]],
) -> tuple[list[tuple[int, int, int | None, float]], set[tuple[int, int]]]:
    """What people who labeled one image say to each other's objects.

    Returns (person, place, the category that most others gave, score) where more of them say
    something else than the same, and (person, place) where more of them say the same.
    """
    otherwise = []
    confirmed = set()
    for group in matching.groups(people):
        given = {person: people[person][place].category for person, place in group.items()}
        for person, place in group.items():
            others = [category for one, category in given.items() if one != person]
            same = others.count(given[person])
            different = [category for category in others if category != given[person]]
            if same > len(different):
                confirmed.add((person, place))
            elif len(different) > same:
                most = max(different, key=lambda one: (different.count(one), -(one or 0)))
                score = 0.5 if different.count(most) == 1 else 0.85
                otherwise.append((person, place, most, score))
    return otherwise, confirmed


def combined(
    findings: Iterable[Finding], confirmed: Collection[int] = ()
) -> dict[int, tuple[float, list[Finding]]]:
    """Place → (score, its findings, the strongest first); 1 - Π (1 - score).

    Of several with one reason, which are no hints of their own, the strongest counts. Where others
    gave the same name (`confirmed`) the score is the smaller.
    """
    grouped: dict[int, dict[str, Finding]] = defaultdict(dict)
    for finding in sorted(findings, key=lambda finding: -finding.score):
        grouped[finding.place].setdefault(finding.reason, finding)
    return {
        place: (
            float(1 - np.prod([1 - one.score for one in mine.values()]))
            * (CONFIRMED if place in confirmed else 1),
            [*mine.values()],
        )
        for place, mine in grouped.items()
    }
