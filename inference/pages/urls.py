"""Routes of the pages about models."""

from django.urls import path

from inference.pages import learning, models, prelabel

app_name = "models"
urlpatterns = [
    path("models", models.models, name="list"),
    path("projects/<int:project_id>/learning", learning.learning, name="learning"),
    path(
        "projects/<int:project_id>/learning/<int:training_id>/stop",
        learning.stop,
        name="stop_training",
    ),
    path(
        "projects/<int:project_id>/learning/models/<int:model_id>/use",
        learning.use,
        name="use_model",
    ),
    path("projects/<int:project_id>/learning/models/new", learning.adopt, name="adopt_model"),
    path("projects/<int:project_id>/prelabel", prelabel.prelabel, name="prelabel"),
    path("jobs/<int:job_id>/preview", prelabel.preview, name="preview"),
]
