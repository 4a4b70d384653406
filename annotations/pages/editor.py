"""The shell that the editor starts in; everything else in it comes through the API."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from annotations.errors import NotFound
from annotations.pages.base import person, read
from annotations.selectors.annotations import get_annotation
from annotations.selectors.images import get_image
from annotations.selectors.notifications import unread_count


@read
def edit(request: HttpRequest, image_id: int) -> HttpResponse:
    """`?annotation=<id>` opens that person's annotation, `?mode=review` walks the review queue."""
    image = get_image(person(request), image_id)
    annotation_id = None
    if asked := request.GET.get("annotation", ""):
        if not asked.isdecimal() or len(asked) > 18:
            raise NotFound("annotation")
        annotation = get_annotation(person(request), int(asked))
        if annotation.image_id != image.pk:
            raise NotFound("annotation")
        annotation_id = annotation.pk
    editor = {
        "image": image.pk,
        "width": image.width,
        "height": image.height,
        "levels": image.file.levels,
        "annotation": annotation_id,
        "mode": "review" if request.GET.get("mode") == "review" else "label",
        "project": image.project_id,
        "unread": unread_count(request.user),
        "projectUrl": reverse("pages:project", args=[image.project_id]),
    }
    return render(request, "annotations/editor.html", {"image": image, "editor": editor})
