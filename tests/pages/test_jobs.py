"""The pages of jobs, and the small parts that they are made of."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotations.models import Job
from annotations.services import jobs
from annotations.templatetags.ui import ago, bar, duration, size


@pytest.fixture
def job(project, make_image, manager):
    images = [make_image(project) for _ in range(20)]
    return jobs.enqueue(
        project=project, kind="prelabel", user=manager, image_ids=[image.pk for image in images]
    )


def test_a_job_polls_until_it_ends(job, manager, browse):
    client, address = browse(manager), f"/jobs/{job.pk}"
    assert 'hx-trigger="every' in client.get(address).content.decode()
    part = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every' in part
    Job.objects.filter(pk=job.pk).update(state="done", done=20)
    for headers in ({}, {"HX-Request": "true"}):
        html = client.get(address, headers=headers).content.decode()
        assert "every" not in html


def test_the_list_of_images_follows_the_work(job, manager, browse):
    items = list(job.items.order_by("pk"))
    job.items.filter(pk__lt=items[15].pk).update(state="done")
    html = browse(manager).get(f"/jobs/{job.pk}").content.decode()
    assert f'id="item-{items[3].pk}"' not in html
    assert f'id="item-{items[12].pk}"' in html
    assert f'id="item-{items[19].pk}"' in html


def test_what_failed_is_shown_with_its_reason_and_retried(job, manager, browse):
    first = job.items.order_by("pk").first()
    job.items.exclude(pk=first.pk).update(state="done")
    job.items.filter(pk=first.pk).update(state="failed", error="It is too dark.")
    Job.objects.filter(pk=job.pk).update(state="done", done=20)
    client = browse(manager)
    html = client.get(f"/jobs/{job.pk}?state=failed").content.decode()
    assert "It is too dark." in html
    assert html.count('id="item-') == 1
    client.post(f"/jobs/{job.pk}/retry")
    job.refresh_from_db()
    assert job.state == "queued"
    assert job.items.filter(state="queued").count() == 1


def test_cancel_and_a_retry_too_many(job, manager, browse):
    client = browse(manager)
    client.post(f"/jobs/{job.pk}/cancel")
    job.refresh_from_db()
    assert job.state == "cancelled"
    client.post(f"/jobs/{job.pk}/retry")
    html = client.post(f"/jobs/{job.pk}/retry", follow=True).content.decode()
    assert "can be retried" in html


def test_a_failed_job_says_what_and_where(job, manager, browse):
    error = {"code": "x", "detail": "Two say 7.", "field": "/images/3", "hint": "Renumber."}
    Job.objects.filter(pk=job.pk).update(state="failed", error=error)
    html = browse(manager).get(f"/jobs/{job.pk}").content.decode()
    for words in ("Two say 7.", "/images/3", "Renumber."):
        assert words in html


def test_times_and_sizes_in_words():
    now = timezone.now()
    for passed, words in [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 d ago"),
    ]:
        assert f">{words}<" in ago(now - passed)
    assert 'title="' in ago(now)
    assert ago(None) == "–"
    assert [duration(n) for n in (0.25, 42, 75, 3720)] == [
        "0.2 s",
        "42 s",
        "1 min 15 s",
        "1 h 2 min",
    ]
    assert [size(n) for n in (12, 1536, 5 * 2**20, 2**31)] == ["12 B", "1.5 KB", "5.0 MB", "2.0 GB"]


def test_a_bar_never_divides_by_nothing():
    assert "<rect" not in bar({"done": 0}, 0, "x")
    assert 'width="25.000%"' in bar({"done": 1, "failed": 0}, 4, "x")
    assert 'aria-label="&lt;b&gt;"' in bar({}, 1, "<b>")
