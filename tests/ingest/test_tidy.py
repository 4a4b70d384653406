"""What nobody needs goes; what somebody needs stays."""

import os
import time
from datetime import timedelta

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from annotations.models import Image, Job, StoredFile
from annotations.services import files, ingest, jobs, sweeping, uploads
from tests.ingest import samples


def test_content_of_a_deleted_project_goes(manager, project, make_project, state):
    empty = state()
    other = make_project()
    for number, target in ((0, project), (0, other), (1, project)):
        ingest.add_image(manager, target, samples.opened(samples.png(number)), "a.png")
    Image.objects.filter(project=project).delete()
    files.tidy()
    [left] = StoredFile.objects.all()
    assert default_storage.exists(left.original)
    other.delete()
    call_command("sweep")
    assert state() == empty


def test_content_that_came_back_meanwhile_stays(manager, project, image):
    """Somebody stores the same content between the row's end and the files'."""
    file = image.file
    default_storage.save(file.original, ContentFile(b"x"))
    assert files._remove_files(StoredFile.objects.get(pk=file.pk)) == 0
    assert default_storage.exists(file.original)
    assert StoredFile.objects.filter(pk=file.pk).exists()


def test_scratch_folders_of_killed_processes_go_after_a_day(settings, db):
    for name, hours in (("tmp-old", 25), ("tmp-new", 1), ("kept", 99)):
        folder = settings.SPOOL_DIR / name
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"x")
        os.utime(folder, (time.time() - hours * 3600,) * 2)
    files.tidy()
    assert sorted(path.name for path in settings.SPOOL_DIR.iterdir()) == ["kept", "tmp-new"]


def test_uploads_and_exports_without_a_job_go_after_a_week(project, manager, settings):
    for name in ("uploads/used", "uploads/gone", "exports/used.zip", "exports/gone.zip"):
        default_storage.save(name, ContentFile(b"x"))
        path = settings.MEDIA_ROOT / name
        os.utime(path, (time.time() - 8 * 24 * 3600,) * 2)
    default_storage.save("uploads/young", ContentFile(b"x"))
    job = jobs.enqueue(
        project=project, kind="ingest", user=manager, params={"upload": "uploads/used"}
    )
    Job.objects.filter(pk=job.pk).update(result={"file": "exports/used.zip"})

    def left() -> list[str]:
        return sorted(
            f"{folder}/{name}"
            for folder in ("uploads", "exports")
            for name in default_storage.listdir(folder)[1]
        )

    sweeping.tidy()
    assert left() == ["exports/used.zip", "uploads/used", "uploads/young"]
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(days=8))
    sweeping.tidy()
    assert left() == ["exports/used.zip", "uploads/young"]
    Job.objects.filter(pk=job.pk).update(state="failed")
    again = jobs.retry(job.created_by, Job.objects.get(pk=job.pk))
    failed = jobs.run(again.pk, uploads.run_ingest)
    assert failed
    assert failed.error
    assert failed.error["code"] == "upload_gone"
