"""Every route of the product."""

from django.urls import include, path

urlpatterns = [
    path("api/", include("annotations.api.urls")),
    path("api/", include("inference.api.urls")),
    path("", include("annotations.pages.urls")),
    path("", include("inference.pages.urls")),
]
