"""Every page and every action with the least role that may use it."""

from dataclasses import dataclass, field
from typing import Any

RANK = ["annotator", "reviewer", "manager", "owner"]

# name of the route → (what its address is made of, least role)
PAGES = {
    "pages:project": ("project", "annotator"),
    "pages:upload": ("project", "manager"),
    "models:prelabel": ("project", "manager"),
    "models:learning": ("project", "manager"),
    "models:preview": ("preview", "manager"),
    "pages:work": ("project", "annotator"),
    "pages:audit": ("project", "owner"),
    "pages:webhooks": ("project", "manager"),
    "pages:review": ("project", "reviewer"),
    "pages:quality": ("project", "annotator"),
    "pages:quality_models": ("project", "manager"),
    "pages:quality_agreement": ("project", "manager"),
    "pages:quality_gold": ("project", "manager"),
    "pages:quality_suspects": ("project", "reviewer"),
    "pages:release_quality": ("release", "manager"),
    "pages:releases": ("project", "reviewer"),
    "pages:release": ("release", "reviewer"),
    "pages:release_diff": ("release", "reviewer"),
    "pages:export": ("project", "manager"),
    "pages:import": ("project", "manager"),
    "pages:jobs": ("project", "annotator"),
    "pages:members": ("project", "annotator"),
    "pages:settings": ("project", "annotator"),
    "pages:attributes": ("category", "manager"),
    "pages:job": ("job", "manager"),
    "pages:edit": ("image", "annotator"),
}


@dataclass(frozen=True)
class Action:
    """`args` are names of things that the test makes; `data` is the form."""

    route: str
    args: tuple[str, ...]
    least: str
    data: dict[str, Any] = field(default_factory=dict)


CATEGORY = {
    "name": "bus",
    "supercategory": "",
    "color": "#112233",
    "hotkey": "",
    "is_thing": "True",
}
ACTIONS = [
    Action("pages:settings", ("project",), "manager", {"name": "Street", "guidelines": "!"}),
    Action("pages:add_category", ("project",), "manager", CATEGORY),
    Action("pages:change_category", ("project", "category"), "manager", CATEGORY),
    Action("pages:move_category", ("project", "category"), "manager", {"direction": "down"}),
    Action("pages:archive_category", ("project", "category"), "manager"),
    Action("pages:restore_category", ("project", "archived"), "manager"),
    Action(
        "pages:attributes",
        ("category",),
        "manager",
        {"name": "doors", "type": "number", "choices": "", "default": "4"},
    ),
    Action("pages:archive_project", ("project",), "owner"),
    Action("pages:restore_project", ("project",), "owner"),
    Action("pages:delete_project", ("project",), "owner", {"name": "Street"}),
    Action("pages:members", ("project",), "manager", {"username": "stranger", "role": "annotator"}),
    Action("pages:change_member", ("project", "member"), "manager", {"role": "reviewer"}),
    Action("pages:remove_member", ("project", "other"), "manager"),
    Action(
        "pages:work",
        ("project",),
        "manager",
        {"annotators": 2, "lease_minutes": 5, "review_rule": "all", "review_share": 9},
    ),
    Action("pages:add_batch", ("project",), "manager", {"name": "first"}),
    Action("pages:place", ("project",), "manager", {"images": "IMAGE", "priority": "3"}),
    Action("pages:delete_images", ("project",), "manager", {"images": "IMAGE"}),
    Action(
        "pages:export", ("project",), "manager", {"format": "coco", "status": "all", "key": "k"}
    ),
    Action("pages:releases", ("project",), "manager", {"name": "v1", "status": "all", "key": "k"}),
    Action("pages:name_release", ("release",), "manager", {"name": "v1"}),
    Action("pages:remove_release", ("release",), "owner"),
    Action("pages:cancel_job", ("job",), "manager"),
    Action("pages:retry_job", ("failed",), "manager"),
]
