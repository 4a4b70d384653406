"""Routes."""

from inference.api import decoders, embeddings, models, prelabel, segment, training

urlpatterns = [
    *models.urlpatterns,
    *decoders.urlpatterns,
    *prelabel.urlpatterns,
    *segment.urlpatterns,
    *embeddings.urlpatterns,
    *training.urlpatterns,
]
