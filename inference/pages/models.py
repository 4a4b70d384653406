"""Which models are there, where they run, and why one is refused."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotations.pages.base import read
from inference.models import ModelVersion
from inference.registry import ENGINES


@read
def models(request: HttpRequest) -> HttpResponse:
    rows = ModelVersion.objects.all()
    return render(request, "inference/models.html", {"models": rows, "engines": ENGINES})
