"""The shell that the editor starts in; everything else in it comes through the API."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from annotations.models import Annotation, Image


@require_safe
@login_required
def edit(request: HttpRequest, image_id: int) -> HttpResponse:
    """`?annotation=<id>` opens that person's annotation, `?mode=review` walks the review queue."""
    image = get_object_or_404(
        Image.objects.visible_to(request.user).select_related("project"), pk=image_id
    )
    annotation_id = None
    if asked := request.GET.get("annotation", ""):
        annotation_id = get_object_or_404(
            Annotation.objects.visible_to(request.user),
            pk=int(asked) if asked.isdecimal() else 0,
            image=image,
        ).pk
    editor = {
        "image": image.pk,
        "annotation": annotation_id,
        "mode": "review" if request.GET.get("mode") == "review" else "label",
        "project": image.project_id,
        "api": "/api/",
        "projectUrl": f"/projects/{image.project_id}",
    }
    return render(request, "annotations/editor.html", {"image": image, "editor": editor})
