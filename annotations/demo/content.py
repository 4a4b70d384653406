"""What the demo holds. The geometry of its annotations is in regions.json, by file name."""

from dataclasses import dataclass
from typing import Literal

State = Literal["new", "in_progress", "submitted", "sent_back", "approved"]


@dataclass(frozen=True, slots=True)
class Sort:
    """A category."""

    name: str
    color: str
    is_thing: bool = True
    supercategory: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One photograph, and how far the work on it is.

    `comment` is the reviewer's; `pinned` are remarks at a pixel: (x, y, text).
    """

    file: str
    state: State = "new"
    comment: str = ""
    pinned: tuple[tuple[float, float, str], ...] = ()
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One project."""

    name: str
    kind: Literal["semantic", "instance", "panoptic"]
    guidelines: str
    categories: tuple[Sort, ...]
    pictures: tuple[Picture, ...]


OWNER, ANNOTATOR, REVIEWER = "demo", "ana", "rita"

PLANS = (
    Plan(
        "People, animals and things",
        "panoptic",
        "Every pixel belongs to one object or to one stuff area.\n\n"
        "- One region for each person, animal or thing, with all that it wears or carries.\n"
        "- Stuff (wall, floor, table) is one area, even where objects cut it into pieces.\n"
        "- What you cannot name stays unlabeled.",
        (
            Sort("person", "#e69f00", supercategory="living"),
            Sort("cat", "#cc79a7", supercategory="living"),
            Sort("motorcycle", "#d55e00", supercategory="vehicle"),
            Sort("space shuttle", "#56b4e9", supercategory="vehicle"),
            Sort("helmet", "#f0e442", supercategory="object"),
            Sort("flag", "#882255", supercategory="object"),
            Sort("bench", "#999933", supercategory="object"),
            Sort("cup", "#88ccee", supercategory="kitchen"),
            Sort("saucer", "#cc6677", supercategory="kitchen"),
            Sort("spoon", "#aa4499", supercategory="kitchen"),
            Sort("wall", "#44aa99", is_thing=False, supercategory="room"),
            Sort("floor", "#332288", is_thing=False, supercategory="room"),
            Sort("table", "#117733", is_thing=False, supercategory="room"),
        ),
        (
            Picture("astronaut.png", "in_progress", seconds=412),
            Picture("coffee.png", "approved", "Clean edges around the spoon.", seconds=188),
            Picture("motorcycle_left.png", "submitted", seconds=305),
            Picture("chelsea.png", "submitted", seconds=95),
            Picture("motorcycle_right.png"),
        ),
    ),
    Plan(
        "Coins, cells and craters",
        "instance",
        "Outline every object on its own, also where two touch.\n\n"
        "- Objects that the edge of the image cuts count.\n"
        "- Leave holes open: the inside of a gland is no gland.\n"
        "- Skip what is smaller than 8 pixels.",
        (
            Sort("coin", "#e69f00"),
            Sort("cell", "#56b4e9"),
            Sort("gland", "#cc79a7"),
            Sort("crater", "#f0e442"),
            Sort("galaxy", "#88ccee"),
        ),
        (
            Picture("coins.png", "in_progress", seconds=340),
            Picture("ihc.png", "approved", seconds=276),
            Picture(
                "moon.png",
                "sent_back",
                "Two craters are missing, see the pins.",
                ((120, 462, "A double crater."), (66, 162, "A small one, still above 8 pixels.")),
                seconds=120,
            ),
            Picture("cell.png", "submitted", seconds=31),
            Picture("hubble_deep_field.jpg"),
        ),
    ),
    Plan(
        "Outdoor scenes",
        "semantic",
        "Paint what every pixel shows.\n\n"
        "- Sky seen through branches counts as vegetation.\n"
        "- Towers, walls and roofs are building.\n"
        "- Leave a pixel unlabeled rather than guess: it is exported as ignore (255).",
        (
            Sort("sky", "#56b4e9", is_thing=False),
            Sort("vegetation", "#009e73", is_thing=False),
            Sort("building", "#d55e00", is_thing=False),
            Sort("water", "#0072b2", is_thing=False),
            Sort("ground", "#999933", is_thing=False),
            Sort("person", "#e69f00", is_thing=False),
            Sort("flower", "#cc79a7", is_thing=False),
            Sort("rocket", "#f0e442", is_thing=False),
        ),
        (
            Picture("china.jpg", "approved", "Good.", seconds=498),
            Picture("flower.jpg", "submitted", seconds=141),
            Picture(
                "rocket.jpg",
                "sent_back",
                "The towers are not labeled yet. They belong to building.",
                ((70, 200, "This one, and the one at the right edge."),),
                seconds=230,
            ),
            Picture("camera.png", "in_progress", seconds=160),
            Picture("brick.png"),
            Picture("grass.png"),
            Picture("gravel.png"),
        ),
    ),
)
