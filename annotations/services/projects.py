"""Projects and their categories."""

import re
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotations import attributes as typed
from annotations.access import require
from annotations.errors import Conflict, NotFound, ServiceError
from annotations.models import Annotation, Category, Membership, Project
from annotations.models.projects import Role
from annotations.services import audit

MAX_CATEGORIES = 2000

# Okabe and Ito, Color Universal Design (2008), without black, then P. Tol's "muted" scheme (2021):
# told apart under the common forms of colour blindness.
PALETTE = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
    "#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677",
    "#882255", "#aa4499",
)  # fmt: skip
HOTKEYS = "123456789"


def create_project(user, *, name: str, kind: str, guidelines: str = "") -> Project:
    """A new project, of which `user` is the owner."""
    with transaction.atomic():
        project = Project.objects.create(
            name=_name(name), kind=kind, guidelines=guidelines, created_by=user
        )
        Membership.objects.create(project=project, user=user, role=Role.OWNER)
    return project


def update_project(user, project: Project, changes: dict[str, Any]) -> Project:
    """Changes `guidelines` (managers), `name` or `archived` (owners)."""
    needed = Role.MANAGER if set(changes) <= {"guidelines"} else Role.OWNER
    require(user, project, needed)
    if "name" in changes:
        project.name = _name(changes["name"])
    if "guidelines" in changes:
        project.guidelines = changes["guidelines"]
    if "archived" in changes:
        project.archived_at = (
            (project.archived_at or timezone.now()) if changes["archived"] else None
        )
    project.save(update_fields=["name", "guidelines", "archived_at"])
    return project


def delete_project(user, project: Project) -> None:
    """Deletes the project with all that is in it. Owners only."""
    require(user, project, Role.OWNER)
    with transaction.atomic():
        audit.note(user, audit.Kind.DELETE, f"Deleted the project {project.name}", project=project)
        # Regions protect their category, so they go first.
        Annotation.objects.filter(project=project).delete()
        project.delete()


def _name(name: str) -> str:
    name = name.strip()
    if not name:
        raise ServiceError(400, "invalid", "A name is needed.", "name")
    return name


def create_category(
    user,
    project: Project,
    *,
    name: str,
    supercategory: str = "",
    color: str | None = None,
    hotkey: str | None = None,
    is_thing: bool = True,
    order: int | None = None,
    attributes: Any = (),
) -> Category:
    """A new category with the next id for exports. Managers only.

    `color` and `hotkey` None: the first of the palette, and of 1 to 9, that is not in use.
    `order` None: last. `attributes` as in `annotations.attributes`.
    """
    require(user, project, Role.MANAGER)
    with transaction.atomic():
        siblings = _locked_categories(project)
        if len(siblings) >= MAX_CATEGORIES:
            raise Conflict("too_many", f"A project has at most {MAX_CATEGORIES} categories.")
        active = [category for category in siblings if not category.archived]
        category = Category(
            project=project,
            name=_free_name(name, siblings),
            supercategory=supercategory.strip(),
            color=_color(color) if color is not None else _free_color(active),
            hotkey=_free_hotkey(hotkey, active),
            is_thing=is_thing,
            order=order if order is not None else max((c.order for c in siblings), default=-1) + 1,
            attributes=_attributes(list(attributes)),
            export_id=max((c.export_id for c in siblings), default=0) + 1,
        )
        category.save()
    return category


def update_category(user, category: Category, changes: dict[str, Any]) -> Category:
    """Changes name, supercategory, color, hotkey, is_thing, order, attributes or archived.

    Managers only. What regions carry already stays, also where it fits no attribute any more.
    """
    require(user, category.project, Role.MANAGER)
    with transaction.atomic():
        siblings = _locked_categories(category.project)
        category = next((c for c in siblings if c.pk == category.pk), category)
        others = [c for c in siblings if c.pk != category.pk]
        active = [c for c in others if not c.archived]
        if "archived" in changes:
            category.archived_at = (
                (category.archived_at or timezone.now()) if changes["archived"] else None
            )
        if "name" in changes:
            category.name = _free_name(changes["name"], others)
        if "color" in changes:
            category.color = _color(changes["color"])
        if "hotkey" in changes:
            category.hotkey = _free_hotkey(changes["hotkey"], active)
        elif not category.archived and category.hotkey in {c.hotkey for c in active}:
            category.hotkey = ""  # taken by another while this one was archived
        if "attributes" in changes:
            category.attributes = _attributes(changes["attributes"])
        for field in ("supercategory", "is_thing", "order"):
            if field in changes:
                setattr(category, field, changes[field])
        category.save()
    return category


def archive_category(user, category: Category) -> Category:
    """Takes a category out of use. Stored regions keep it, and it can be restored."""
    return update_category(user, category, {"archived": True})


def _locked_categories(project: Project) -> list[Category]:
    """All categories of the project, which stays locked until the transaction ends."""
    if not Project.objects.select_for_update(no_key=True).filter(pk=project.pk).exists():
        raise NotFound("project")
    return list(Category.objects.filter(project=project))


def _free_name(name: str, others: list[Category]) -> str:
    name = _name(name)
    taken = next((c for c in others if c.name.casefold() == name.casefold()), None)
    if taken:
        raise Conflict(
            "name_taken",
            f"There already is a category named {taken.name}.",
            "name",
            "It is archived: restore it instead." if taken.archived else "",
        )
    return name


def _color(color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise ServiceError(400, "invalid", "A colour is written #rrggbb.", "color")
    return color.lower()


def _attributes(given: Any) -> list[typed.Attribute]:
    try:
        return typed.declared(given)
    except typed.AttributeProblem as problem:
        raise ServiceError(400, "invalid", problem.detail, problem.field) from None


def _free_color(active: list[Category]) -> str:
    used = [category.color for category in active]
    return min(PALETTE, key=used.count)


def _free_hotkey(hotkey: str | None, active: list[Category]) -> str:
    used = {category.hotkey: category for category in active if category.hotkey}
    if hotkey is None:
        return next((key for key in HOTKEYS if key not in used), "")
    hotkey = hotkey.lower()
    if hotkey and not re.fullmatch(r"[a-z0-9]", hotkey):
        raise ServiceError(400, "invalid", "A hotkey is one letter or digit.", "hotkey")
    if hotkey in used:
        raise Conflict(
            "hotkey_taken", f"The key {hotkey} already chooses {used[hotkey].name}.", "hotkey"
        )
    return hotkey
