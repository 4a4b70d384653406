"""Which models are there, where they run, why one is refused, and how to get more."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotations.pages.base import person, read
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import class_names, follows_image, list_models, roles
from inference.services.weights import OFFICIAL

ABOUT = {
    "classic": "Finds regions by colour and edges. Needs no weights and no GPU. Names no classes.",
    "sam": "Outlines anything in a picture, and follows clicks and boxes. Names no classes.",
    "mask_rcnn": "Finds the objects that it was trained on and says what they are.",
    "sam2": "Outlines what clicks and boxes show. Needs requirements/sam2.txt.",
    "semantic": "Gives every pixel one of the classes that it was trained on.",
}
DOES = {"detector": "labels whole images", "prompt": "answers clicks and boxes"}


@read
def models(request: HttpRequest) -> HttpResponse:
    rows = list_models(person(request))
    ready = {model.name for model in rows if model.state == ModelVersion.State.READY}
    context = {
        "models": [shown(model) for model in rows],
        "more": [
            {"name": name, "weights": weights, "about": ABOUT.get(weights.engine, "")}
            for name, weights in OFFICIAL.items()
            if name not in ready
        ],
    }
    return render(request, "inference/models.html", context)


def shown(model: ModelVersion) -> dict:
    """A model with what pages say about it."""
    spec = ENGINES[model.engine]
    return {
        "model": model,
        "title": spec.title,
        "about": ABOUT.get(model.engine, ""),
        "does": ", ".join(DOES[role] for role in roles(model)),
        "classes": class_names(model),
        "borders": model.origin.get("borders"),
        "follows_image": follows_image(model),
        "device": "CPU" if spec.runs_in_web else model.device,
    }
