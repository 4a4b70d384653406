"""Reading models: what is installed, what may be used for what."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from annotations.errors import NotFound, ServiceError
from annotations.models import Project
from inference.models import ModelVersion
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


def _strength(model: ModelVersion) -> tuple[int, float, str]:
    """The project's own, then learned weights, then classic; of one engine the larger one first."""
    order = ["sam", "mask_rcnn", "semantic", "forest", "classic"]
    rank = order.index(model.engine) if model.engine in order else 0
    if model.current:
        rank = -1
    return rank, -float(model.config.get("parameters", 0)), model.name
