"""Routes of the pages about models."""

from django.urls import path

from inference.pages import models, prelabel

app_name = "models"
urlpatterns = [
    path("models", models.models, name="list"),
    path("projects/<int:project_id>/prelabel", prelabel.prelabel, name="prelabel"),
]
