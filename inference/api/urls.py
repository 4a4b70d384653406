"""Routes."""

from inference.api import models, prelabel, segment

urlpatterns = [*models.urlpatterns, *prelabel.urlpatterns, *segment.urlpatterns]
