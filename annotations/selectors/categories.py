"""Reading the categories of a project."""

from annotations.access import require
from annotations.models import Project
from annotations.models.projects import Category, CategoryQuerySet, Role


def list_categories(user, project: Project, *, archived: bool = True) -> CategoryQuerySet:
    """The categories of a project, in the order that people gave them, archived ones too."""
    require(user, project, Role.ANNOTATOR)
    rows = Category.objects.filter(project=project)
    return rows if archived else rows.filter(archived_at=None)
