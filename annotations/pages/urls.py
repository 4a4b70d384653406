"""Routes of the pages. `docs/architecture.md` lists them."""

from django.urls import path

from annotations.pages import editor

app_name = "pages"
urlpatterns = [
    path("images/<int:image_id>/edit", editor.edit, name="edit"),
]
