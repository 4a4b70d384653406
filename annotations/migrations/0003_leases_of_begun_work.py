from datetime import timedelta

from django.db import migrations
from django.utils import timezone


def give_to_those_who_began(apps, schema_editor):
    """Images that somebody has begun or done are nobody else's; what was begun, for a day."""
    image, annotation, lease = (
        apps.get_model("annotations", name) for name in ("Image", "Annotation", "Lease")
    )
    image.objects.exclude(status="new").update(has_place=False)
    begun = annotation.objects.filter(status="in_progress", revision__gt=0)
    until = timezone.now() + timedelta(days=1)
    rows = begun.values_list("project_id", "image_id", "annotator_id").iterator(chunk_size=1000)
    lease.objects.bulk_create(
        (
            lease(project_id=project_id, image_id=image_id, user_id=user_id, until=until)
            for project_id, image_id, user_id in rows
        ),
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies = [("annotations", "0002_work_queue")]

    operations = [migrations.RunPython(give_to_those_who_began, migrations.RunPython.noop)]
