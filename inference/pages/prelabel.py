"""Choosing a model and images, and starting the job."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotations.models.projects import Role
from annotations.pages.base import page, project_context


@page
def prelabel(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "models:prelabel", Role.MANAGER)
    return render(request, "inference/prelabel.html", context)
