"""Models learn: start a training, watch its curves, see how good it is, choose, go on."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotations.errors import NotFound, ServiceError
from annotations.models import Job, Project
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, project_context, refuse_in
from annotations.selectors.jobs import ACTIVE
from inference.models import ModelVersion, TrainingRun
from inference.registry import ENGINES
from inference.selectors import (
    follows_image,
    get_trained,
    get_training,
    list_trainings,
    next_to_learn,
)
from inference.services import adopting
from inference.services import training as services

BACK = "models:learning"
WIDTH, HEIGHT = 400.0, 120.0
NEXT, OLDER, MODELS = 12, 10, 20
NAMES = {"ap": "AP", "miou": "mIoU"}


@dataclass(frozen=True, slots=True)
class Line:
    """A curve as the points of a polyline in a picture of WIDTH × HEIGHT."""

    name: str
    kind: str
    points: str
    last: float


class TrainForm(forms.Form):
    prelabel = forms.BooleanField(required=False, initial=True)
    options: tuple[str, ...] = ()

    def __init__(self, engine: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, option in ENGINES[engine].options.items():
            self.fields[name] = forms.FloatField(
                label=option.title,
                initial=f"{option.default:g}",
                min_value=option.least,
                max_value=option.most,
                widget=forms.NumberInput(attrs={"step": "any"}),
            )

    def numbers(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name != "prelabel"]


@require_http_methods(["GET", "HEAD", "POST"])
@page
def learning(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, BACK, Role.MANAGER)
    project, user = context["project"], person(request)
    able = services.engines_for(project)
    asked = request.POST.get("engine") or request.GET.get("engine") or ""
    engine = asked if asked in able else able[0]
    form = TrainForm(engine, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        prelabel = data.pop("prelabel")
        try:
            services.start_training(user, project, engine=engine, options=data, prelabel=prelabel)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            return redirect(BACK, project.pk)
    trainings = list(list_trainings(user, project)[:OLDER])
    chosen = request.GET.get("training", "")
    shown = next((one for one in trainings if str(one.pk) == chosen), next(iter(trainings), None))
    approved = services.approved_count(project)
    context |= {
        "form": form,
        "engine": engine,
        "engines": [(name, ENGINES[name].title) for name in able],
        "approved": approved,
        "least": services.LEAST_IMAGES,
        "missing": max(0, services.LEAST_IMAGES - approved),
        "trainings": trainings,
        "busy": any(one.job.state in ACTIVE for one in trainings),
        "models": _models(project),
        "coming": next_to_learn(project, NEXT),
        **(_shown(shown) if shown else {}),
    }
    status = 400 if form.errors else 200
    return render(request, "inference/learning.html", context, status=status)


def _models(project: Project) -> list[dict[str, Any]]:
    rows = ModelVersion.objects.filter(project=project).select_related("parent")
    return [
        {
            "model": row,
            "title": ENGINES[row.engine].title,
            "score": row.metrics.get("score"),
            "score_name": NAMES.get(row.metrics.get("score_name", ""), ""),
            "usable": row.state == ModelVersion.State.READY and not row.current,
        }
        for row in rows.order_by("-pk")[:MODELS]
    ]


def _shown(training: TrainingRun) -> dict[str, Any]:
    """One training: its curves, and when it ended how good it is."""
    job, curve = training.job, training.curve
    last = curve[-1] if curve else None
    left = None
    if job.state == Job.State.RUNNING and last and 0 < last["done"] < 1:
        left = last["seconds"] / last["done"] * (1 - last["done"])
    before = (training.before or {}).get("metrics", {})
    earlier = {row["name"]: row for row in before.get("categories", [])}
    model = training.model
    metrics = model.metrics if model else {}
    return {
        "training": training,
        "job": job,
        "title": ENGINES[training.engine].title,
        "active": job.state in ACTIVE,
        "left": left,
        "lines": [line for kind in ("loss", "score") if (line := _line(training, kind))],
        "seconds": last["seconds"] if last else 0,
        "metrics": metrics,
        "borders": model.origin.get("borders") if model else None,
        "follows_image": model is not None and follows_image(model),
        "before": before,
        "rows": [
            {**row, "before": earlier.get(row["name"])} for row in metrics.get("categories", [])
        ],
    }


def _line(training: TrainingRun, kind: str) -> Line | None:
    """Loss from 0 to its greatest, scores from 0 to 1; along how far training is."""
    found = [(one["done"], one[kind]) for one in training.curve if one[kind] is not None]
    if not found:
        return None
    most = max(value for _, value in found) if kind == "loss" else 1.0
    points = " ".join(
        f"{WIDTH * done:.1f},{HEIGHT * (1 - min(1.0, value / (most or 1))):.1f}"
        for done, value in found
    )
    name = training.score_name if kind == "score" else "loss"
    return Line(name, kind, points, found[-1][1])


@action(BACK)
def stop(request: HttpRequest, project_id: int, training_id: int) -> None:
    training = get_training(person(request), training_id)
    if training.project_id != project_id:
        raise NotFound("training")
    services.stop_early(person(request), training)


@action(BACK)
def use(request: HttpRequest, project_id: int, model_id: int) -> None:
    model = get_trained(person(request), model_id)
    if model.project_id != project_id:
        raise NotFound("model")
    services.use_model(person(request), model)
    messages.success(request, f"“{model.name}” is the project's model now.")


@action(BACK)
def adopt(request: HttpRequest, project_id: int) -> None:
    project = project_context(request, project_id, BACK, Role.MANAGER)["project"]
    upload = request.FILES.get("file")
    if upload is None:
        raise ServiceError(400, "invalid", "Choose a weights file.", "file")
    model = adopting.adopt(person(request), project, upload, request.POST.get("name", ""))
    messages.success(request, f"“{model.name}” is there.")
