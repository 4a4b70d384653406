"""Routes under /api/; each module lists its own."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import IsAuthenticated

from annotations.api import (
    accounts,
    annotations,
    auth,
    datasets,
    images,
    jobs,
    notifications,
    people,
    projects,
    quality,
    releases,
    reviews,
    teams,
    webhooks,
    work,
    workspace,
)

SCHEMA = {"permission_classes": [IsAuthenticated], "http_method_names": ["get", "head"]}
urlpatterns = [
    *auth.urlpatterns,
    *projects.urlpatterns,
    *images.urlpatterns,
    *annotations.urlpatterns,
    *reviews.urlpatterns,
    *workspace.urlpatterns,
    *work.urlpatterns,
    *people.urlpatterns,
    *teams.urlpatterns,
    *accounts.urlpatterns,
    *notifications.urlpatterns,
    *webhooks.urlpatterns,
    *jobs.urlpatterns,
    *datasets.urlpatterns,
    *releases.urlpatterns,
    *quality.urlpatterns,
    path("schema", SpectacularAPIView.as_view(**SCHEMA)),
]
