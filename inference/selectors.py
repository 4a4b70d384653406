"""Reading models: what is installed, what may be used for what."""

from collections.abc import Iterable
from dataclasses import replace

from django.db.models import Q, QuerySet

from annotations.access import find, require
from annotations.errors import NotFound, ServiceError
from annotations.imaging import overlay
from annotations.models import Image, Project
from annotations.models.projects import Role as ProjectRole
from annotations.records import Geometry, RegionRecord
from annotations.selectors.pictures import thumbnail
from annotations.selectors.releases import snapshot
from inference.models import ModelVersion, TrainingQuerySet, TrainingRun
from inference.registry import ENGINES, Role

State = ModelVersion.State


def list_models(user) -> list[ModelVersion]:
    """Every model that `user` may see, also those that cannot be used, by name."""
    return list(ModelVersion.objects.visible_to(user).filter(engine__in=ENGINES))


def usable(project: Project | None) -> QuerySet[ModelVersion]:
    """The models of the installation, and those of `project`."""
    return ModelVersion.objects.filter(Q(project=None) | Q(project=project), engine__in=ENGINES)


def installed_models(
    role: Role | None = None, project: Project | None = None
) -> list[ModelVersion]:
    """The models that may be used (for `role`, in `project`), the strongest first."""
    ready = list(usable(project).filter(state=State.READY))
    return sorted((model for model in ready if role is None or role in roles(model)), key=_strength)


def default_model(role: Role) -> ModelVersion:
    """What is used for `role` where nobody chose. The classic engine is always there."""
    return installed_models(role)[0]


def roles(model: ModelVersion) -> list[Role]:
    return sorted(ENGINES[model.engine].roles)


def get_model(
    which: int | str, role: Role | None = None, project: Project | None = None
) -> ModelVersion:
    """One model by id or name that is ready for `role`; those of `project` are found too.

    NotFound when there is none; ServiceError 409 when it may not be used, with the reason.
    """
    lookup = {"pk": which} if isinstance(which, int) else {"name": which}
    model = usable(project).filter(**lookup).first()
    if model is None:
        raise NotFound("model")
    if model.state != State.READY:
        raise ServiceError(
            409,
            "model_not_ready",
            f"The model “{model.name}” cannot be used: {model.reason or model.get_state_display()}",
            "model",
            hint="See the models page.",
        )
    if role and role not in ENGINES[model.engine].roles:
        purpose = {"detector": "label whole images", "prompt": "answer clicks and boxes"}[role]
        raise ServiceError(
            409, "wrong_model", f"The model “{model.name}” cannot {purpose}.", "model"
        )
    return model


def class_names(model: ModelVersion) -> list[str]:
    """The names of the classes that it finds, without placeholders; empty: it names none."""
    return [name for name in model.categories if name and name != "N/A"]


def suggested_map(model: ModelVersion, categories: Iterable) -> dict[str, int]:
    """Class name → id of the category of the same name, in any case."""
    by_name = {category.name.casefold(): category.pk for category in categories}
    return {
        name: by_name[name.casefold()] for name in class_names(model) if name.casefold() in by_name
    }


def follows_image(model: ModelVersion) -> bool:
    """Whether its borders are better where they follow the image, as its training measured."""
    measured = model.origin.get("borders")
    return bool(measured) and measured["image"] > measured["model"]


def _strength(model: ModelVersion) -> tuple[int, float, str]:
    """The project's own, then learned weights, then classic; of one engine the larger one first."""
    order = ["sam", "sam2", "mask_rcnn", "semantic", "forest", "classic"]
    rank = order.index(model.engine) if model.engine in order else 0
    if model.current:
        rank = -1
    return rank, -float(model.config.get("parameters", 0)), model.name


# --- what projects train --------------------------------------------------------------------------


def current_model(project: Project) -> ModelVersion | None:
    """The model that the project trained and uses."""
    return ModelVersion.objects.filter(project=project, current=True).first()


def list_trainings(user, project: Project) -> TrainingQuerySet:
    """The project's trainings, the newest first. Managers only."""
    require(user, project, ProjectRole.MANAGER)
    rows = TrainingRun.objects.filter(project=project)
    return rows.select_related("job", "model", "created_by")


def get_training(user, pk: int) -> TrainingRun:
    """A training of a project that `user` manages; or NotFound, Forbidden."""
    training = find(TrainingRun.objects.select_related("project", "job", "model"), user, pk=pk)
    require(user, training.project_id, ProjectRole.MANAGER)
    return training


def get_trained(user, pk: int) -> ModelVersion:
    """A model that a project of `user` trained or was given; or NotFound, Forbidden."""
    rows = ModelVersion.objects.filter(project__isnull=False).select_related("project")
    model = find(rows, user, pk=pk)
    assert model.project_id
    require(user, model.project_id, ProjectRole.MANAGER)
    return model


def next_to_learn(project: Project, count: int) -> QuerySet[Image]:
    """The images that a model wants labeled first, each with its reason."""
    rows = Image.objects.filter(project=project, status=Image.Status.NEW).exclude(reason="")
    return rows.order_by("-priority", "pk")[:count]


def example_picture(training: TrainingRun, image: int, *, truth: bool) -> bytes:
    """JPEG of a held-out image (its id in exports) of the examples, with its regions or those that
    the new model found. NotFound."""
    example = next((one for one in training.examples if one["image"] == image), None)
    release = training.release
    found = snapshot(release).image(image) if release and example else None
    if release is None or example is None or found is None:
        raise NotFound("picture")
    sha256, record = found
    if not truth:
        size = (record.height, record.width)
        regions = (
            RegionRecord(category, Geometry(size, counts=counts), id=number)
            for number, (category, counts, _) in enumerate(example["regions"], 1)
        )
        record = replace(record, regions=tuple(regions))
    colors = {count["id"]: count["color"] for count in release.counts}
    strong = [region.id for region in record.regions if region.id]
    return overlay.draw(record, thumbnail(sha256), colors, strong)
