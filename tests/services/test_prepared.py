"""SQL that is written once: values of every kind, on both databases."""

import uuid
from datetime import UTC, datetime

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from annotations.models import Image, Lease
from annotations.prepared import A_TIME, A_UUID, Insert, Prepared, Update, compile_all

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def test_a_list_holds_any_number(project, make_image) -> None:
    one, other, _ = (make_image(project) for _ in range(3))
    named = Prepared(
        lambda ids, name="": (
            Image.objects.filter(pk__in=[ids], name=name).order_by("pk").values_list("pk")
        )
    )
    Image.objects.update(name="%s.jpg")
    for ids in ([], [one.pk], [one.pk, other.pk]):
        assert named(ids, "%s.jpg") == [(pk,) for pk in ids]
        assert named(ids, "none") == []


def test_uuids_and_times(project, make_image) -> None:
    one, other = (make_image(project) for _ in range(2))
    found = Prepared(lambda uuids=A_UUID: Image.objects.filter(uuid__in=[uuids]))
    assert [image.pk for image in found.instances([one.uuid, uuid.uuid4()])] == [one.pk]
    put = Prepared(
        lambda image=A_UUID: Image.objects.filter(uuid=image),
        lambda at=A_TIME: {"created_at": at},
        ["id"],
    )
    assert put.first(one.uuid, AT) == one.pk
    assert put(uuid.uuid4(), AT) == []
    assert list(Image.objects.filter(created_at=AT)) == [one]
    assert Prepared(lambda at=A_TIME: Image.objects.filter(created_at__gt=at)).instance(AT) == other


def test_rows_go_in_and_change(image, project, teammate) -> None:
    add, put_off = Insert(Lease, ignore=True), Update(Lease, "until", "note")
    lease = Lease(project=project, image=image, user=teammate, until=AT)
    assert add(lease)
    assert Lease.objects.get() == lease
    assert lease.begun_at == Lease.objects.get().begun_at
    again = Lease(project=project, image=image, user=teammate, until=AT)
    assert not add(again)
    assert again.pk is None
    lease.note, lease.until = "10 %s", AT.replace(year=2027)
    put_off(lease)
    stored = Lease.objects.get()
    assert (stored.note, stored.until) == ("10 %s", AT.replace(year=2027))


def test_all_can_be_written_before_anybody_asks(db) -> None:
    assert get_resolver().url_patterns  # which imports all of them
    with CaptureQueriesContext(connection) as asked:
        compile_all()
    assert not asked.captured_queries
