"""Every route of the product."""

from django.urls import include, path, re_path

from annotations.api.errors import not_found

urlpatterns = [
    path("api/", include("annotations.api.urls")),
    path("api/", include("inference.api.urls")),
    re_path(r"^api/", not_found),
    path("", include("annotations.pages.health")),
    path("", include("annotations.pages.urls")),
    path("", include("inference.pages.urls")),
]
