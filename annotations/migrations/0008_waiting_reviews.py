from django.db import models

from annotations.migrations import AddIndexWithoutLock
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotations", "0007_tallies_of_images")]

    operations = [
        AddIndexWithoutLock(
            model_name="annotation",
            index=models.Index(
                fields=["project", "status", "submitted_at", "id"], name="annotation_by_waiting"
            ),
        ),
    ]
