"""The save protocol: nothing lost, nothing twice, nothing half."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.models import Annotation, Dismissal, Region, RegionRevision
from annotations.services import regions
from annotations.services.regions import apply_patch
from annotations.services.reviews import approve, submit
from annotations.services.writes import Delete, Dismiss, Restore, Upsert
from tests.conftest import box_counts

TRIANGLE = [[[0, 0, 6, 0, 6, 6]]]
RING = [[[0, 0, 8, 0, 8, 6, 0, 6], [2, 2, 4, 2, 4, 4, 2, 4]]]


@pytest.fixture
def annotation(image, make_annotation, teammate) -> Annotation:
    return make_annotation(image, teammate)


def fresh(annotation: Annotation) -> Annotation:
    return Annotation.objects.select_related("image", "project").get(pk=annotation.pk)


def upsert(annotation: Annotation, based_on: int = 0, **values: Any) -> Upsert:
    given: dict[str, Any] = {
        "region": uuid.uuid4(),
        "based_on": based_on,
        "key": uuid.uuid4(),
        "category": annotation.project.categories.earliest("id").pk,
    }
    if "mask" not in values:
        given["polygons"] = TRIANGLE
    return Upsert(**given | values)


def mask(annotation: Annotation, x: int, y: int, width: int, height: int) -> dict[str, Any]:
    image = annotation.image
    return {
        "size": [image.height, image.width],
        "counts": box_counts(image, x, y, width, height),
    }


def refused(user, annotation: Annotation, *writes: Any) -> ServiceError:
    """The refusal of the writes, after which everything is as it was."""
    before = snapshot()
    with pytest.raises(ServiceError) as caught:
        apply_patch(user, annotation, writes)
    assert snapshot() == before
    return caught.value


def snapshot() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Annotation, Region, RegionRevision, Dismissal)
    ]


def test_what_was_sent_is_stored_and_area_and_bbox_are_those_of_the_mask(
    teammate, annotation
) -> None:
    write = upsert(
        annotation, polygons=RING, is_crowd=True, order=3, attributes={"parked": True}, source="pen"
    )
    result = apply_patch(teammate, annotation, [write], seconds=12)
    region = Region.objects.get(uuid=write.region)
    assert (region.polygons, region.counts) == (RING, None)
    assert (region.area, region.bbox) == (8 * 6 - 4, [0, 0, 8, 6])
    assert (region.is_crowd, region.order, region.attributes) == (True, 3, {"parked": True})
    assert (region.source, region.version, region.author) == ("pen", 1, teammate)
    assert result.revision == 1
    assert result.regions == [regions.Outcome(write.region, 1, False, 44.0)]
    annotation.refresh_from_db()
    annotation.image.refresh_from_db()
    assert (annotation.revision, annotation.seconds_spent) == (1, 12)
    assert annotation.image.status == "in_progress"


def test_each_write_leaves_a_revision(teammate, annotation) -> None:
    make = upsert(annotation)
    change = upsert(annotation, 1, region=make.region, mask=mask(annotation, 1, 1, 2, 2))
    delete = Delete(make.region, 2, uuid.uuid4())
    for write in (make, change, delete):
        apply_patch(teammate, annotation, [write])
    rows = RegionRevision.objects.order_by("version").values_list("version", "write", "deleted")
    assert list(rows) == [(1, make.key, False), (2, change.key, False), (3, delete.key, True)]
    region = Region.objects.get()
    assert region.deleted_at is not None
    assert region.version == 3


def test_a_deleted_region_comes_back_with_its_newest_version(teammate, annotation) -> None:
    make = upsert(annotation)
    apply_patch(teammate, annotation, [make, Delete(make.region, 1, uuid.uuid4())])
    again = upsert(annotation, 2, region=make.region)
    assert apply_patch(teammate, annotation, [again]).regions[0].version == 3
    assert Region.objects.get().deleted_at is None


def test_a_retry_changes_nothing_and_tells_what_the_write_led_to(teammate, annotation) -> None:
    first = upsert(annotation, polygons=RING)
    answer = apply_patch(teammate, annotation, [first], seconds=5)
    later = upsert(annotation, 1, region=first.region)
    apply_patch(teammate, annotation, [later])
    before = snapshot()
    again = apply_patch(teammate, annotation, [first], seconds=5)
    assert again.regions == answer.regions
    assert again.revision == 2
    assert snapshot() == before


def test_a_retry_with_something_new_applies_only_that(teammate, annotation) -> None:
    first, second = upsert(annotation), upsert(annotation)
    apply_patch(teammate, annotation, [first])
    result = apply_patch(teammate, annotation, [first, second])
    assert [outcome.version for outcome in result.regions] == [1, 1]
    assert result.revision == 2
    assert Region.objects.count() == 2


def test_a_retry_is_answered_after_the_annotation_was_submitted(teammate, annotation) -> None:
    write = upsert(annotation)
    apply_patch(teammate, annotation, [write])
    submit(teammate, annotation, 1)
    assert apply_patch(teammate, fresh(annotation), [write]).regions[0].version == 1


def test_a_stale_write_gets_both_versions(teammate, annotation) -> None:
    make = upsert(annotation)
    change = upsert(annotation, 1, region=make.region, polygons=RING)
    apply_patch(teammate, annotation, [make, change])
    late = upsert(annotation, 1, region=make.region)
    other = upsert(annotation)
    error = refused(teammate, annotation, other, late)
    assert (error.status, error.code, error.field) == (412, "stale", "writes[1].based_on")
    (conflict,) = error.extra["conflicts"]
    assert conflict["region"] == str(make.region)
    assert conflict["mine"]["polygons"] == TRIANGLE
    assert conflict["theirs"]["polygons"] == RING
    assert (conflict["theirs"]["version"], conflict["theirs"]["author"]) == (2, "teammate")
    assert conflict["theirs"]["deleted"] is False


def test_a_late_write_to_a_deleted_region_is_told(teammate, annotation) -> None:
    make = upsert(annotation)
    apply_patch(teammate, annotation, [make, Delete(make.region, 1, uuid.uuid4())])
    error = refused(teammate, annotation, upsert(annotation, 1, region=make.region))
    assert error.extra["conflicts"][0]["theirs"]["deleted"] is True


@pytest.mark.parametrize("based_on", [0, 1, 3])
def test_only_the_present_version_may_be_deleted(teammate, annotation, based_on) -> None:
    make = upsert(annotation)
    apply_patch(teammate, annotation, [make, upsert(annotation, 1, region=make.region)])
    assert refused(teammate, annotation, Delete(make.region, based_on, uuid.uuid4())).status == 412


def test_deleting_what_never_was(teammate, annotation) -> None:
    unknown = uuid.uuid4()
    assert refused(teammate, annotation, Delete(unknown, 0, uuid.uuid4())).status == 400
    error = refused(teammate, annotation, Delete(unknown, 1, uuid.uuid4()))
    assert (error.status, error.extra["conflicts"][0]["theirs"]) == (412, None)


def test_a_patch_is_all_or_nothing(teammate, annotation) -> None:
    error = refused(teammate, annotation, upsert(annotation), upsert(annotation, polygons=[[[1]]]))
    assert (error.status, error.code) == (400, "invalid_geometry")
    assert error.field.startswith("writes[1].polygons")


def test_a_key_belongs_to_one_write(teammate, annotation) -> None:
    make = upsert(annotation)
    apply_patch(teammate, annotation, [make])
    other = upsert(annotation, key=make.key)
    assert refused(teammate, annotation, other).code == "key_reused"
    first = upsert(annotation)
    assert refused(teammate, annotation, first, upsert(annotation, key=first.key)).status == 400


def test_a_region_belongs_to_one_annotation(
    teammate, reviewer, annotation, make_annotation, image
) -> None:
    theirs = make_annotation(image, reviewer, regions=1).regions.get()
    for write in (upsert(annotation, 1, region=theirs.uuid), Delete(theirs.uuid, 1, uuid.uuid4())):
        error = refused(teammate, annotation, write)
        assert (error.status, error.code) == (409, "region_taken")
        assert "conflicts" not in error.extra


@pytest.mark.parametrize("status", ["submitted", "approved"])
def test_submitted_and_approved_work_is_not_editable(teammate, annotation, status) -> None:
    Annotation.objects.update(status=status)
    error = refused(teammate, fresh(annotation), upsert(annotation))
    assert (error.status, error.code) == (409, "not_editable")


def test_nobody_writes_in_anothers_annotation(owner, annotation) -> None:
    assert refused(owner, annotation, upsert(annotation)).code == "not_editable"


def test_nothing_changes_in_an_archived_project(teammate, annotation, project) -> None:
    project.archived_at = timezone.now()
    project.save()
    assert refused(teammate, fresh(annotation), upsert(annotation)).code == "archived"


def test_the_category_is_one_of_the_project(teammate, annotation, make_project) -> None:
    foreign = make_project().categories.earliest("id")
    error = refused(teammate, annotation, upsert(annotation, category=foreign.pk))
    assert (error.status, error.field) == (400, "writes[0].category")


def test_an_archived_category_is_for_regions_that_have_it(teammate, annotation) -> None:
    make = upsert(annotation)
    apply_patch(teammate, annotation, [make])
    annotation.project.categories.update(archived_at=timezone.now())
    assert refused(teammate, annotation, upsert(annotation)).field == "writes[0].category"
    apply_patch(teammate, annotation, [upsert(annotation, 1, region=make.region, polygons=RING)])


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        {"a": None},
        {"a": {}},
        {"a": []},
        {"": 1},
        {"a": "x" * 1001},
        {"k" * 101: 1},
        dict.fromkeys(map(str, range(51)), 1),
    ],
)
def test_attributes_are_flat_and_few(teammate, annotation, attributes) -> None:
    error = refused(teammate, annotation, upsert(annotation, attributes=attributes))
    assert (error.status, error.field) == (400, "writes[0].attributes")


def test_a_region_without_a_pixel_is_refused(teammate, annotation) -> None:
    thin = upsert(annotation, polygons=[[[0, 0, 5, 0.001, 5, 0]]])
    assert refused(teammate, annotation, thin).code == "invalid_geometry"


def test_either_polygons_or_a_mask(teammate, annotation) -> None:
    both = upsert(annotation, mask=mask(annotation, 0, 0, 1, 1), polygons=TRIANGLE)
    neither = upsert(annotation, polygons=None)
    for write in (both, neither):
        assert refused(teammate, annotation, write).status == 400


def test_the_number_of_writes_and_regions_is_limited(teammate, annotation, monkeypatch) -> None:
    monkeypatch.setattr("annotations.services.writes.MAX_WRITES", 2)
    writes = [upsert(annotation) for _ in range(3)]
    assert refused(teammate, annotation, *writes).status == 413
    monkeypatch.setattr(regions, "MAX_REGIONS", 1)
    assert refused(teammate, annotation, *writes[:2]).code == "too_many_regions"
    apply_patch(teammate, annotation, writes[:1])
    change = upsert(annotation, 1, region=writes[0].region)
    apply_patch(teammate, annotation, [change])  # no more regions than before


# --- exclusive projects ---------------------------------------------------------------------------
@pytest.fixture(params=["semantic", "panoptic"])
def exclusive(request, make_project, make_image, make_annotation, teammate) -> Annotation:
    return make_annotation(make_image(make_project(request.param)), teammate)


def test_regions_that_share_a_pixel_are_refused_by_name(teammate, exclusive) -> None:
    other = exclusive.project.categories.latest("id").pk
    one = upsert(exclusive, mask=mask(exclusive, 0, 0, 4, 4))
    apply_patch(teammate, exclusive, [one])
    two = upsert(exclusive, category=other, mask=mask(exclusive, 3, 3, 2, 2))
    error = refused(teammate, exclusive, two)
    assert (error.status, error.code, error.field) == (409, "overlap", "writes[0].mask")
    assert set(error.extra["regions"]) == {str(one.region), str(two.region)}
    touching = upsert(exclusive, category=other, mask=mask(exclusive, 4, 0, 2, 6))
    assert apply_patch(teammate, exclusive, [touching]).regions[0].area == 12


def test_pixels_move_between_regions_in_one_patch(teammate, exclusive) -> None:
    other = exclusive.project.categories.latest("id").pk
    one = upsert(exclusive, mask=mask(exclusive, 0, 0, 4, 6))
    two = upsert(exclusive, category=other, mask=mask(exclusive, 4, 0, 4, 6))
    apply_patch(teammate, exclusive, [one, two])
    more = upsert(exclusive, 1, region=one.region, mask=mask(exclusive, 0, 0, 6, 6))
    assert refused(teammate, exclusive, more).code == "overlap"
    less = upsert(exclusive, 1, region=two.region, category=other, mask=mask(exclusive, 6, 0, 2, 6))
    apply_patch(teammate, exclusive, [more, less])
    gone = Delete(less.region, 2, uuid.uuid4())
    all_of_it = upsert(exclusive, 2, region=one.region, mask=mask(exclusive, 0, 0, 8, 6))
    apply_patch(teammate, exclusive, [all_of_it, gone])


def test_a_category_has_one_region_where_things_are_not_told_apart(teammate, exclusive) -> None:
    """In semantic projects every category, in panoptic ones stuff. Places change in one patch."""
    semantic = exclusive.project.kind == "semantic"
    road = exclusive.project.categories.latest("id")
    exclusive.project.categories.filter(pk=road.pk).update(is_thing=False)
    cars = [upsert(exclusive, mask=mask(exclusive, x, 0, 1, 6)) for x in (0, 1)]
    roads = [upsert(exclusive, category=road.pk, mask=mask(exclusive, x, 0, 1, 6)) for x in (2, 3)]
    error = refused(teammate, exclusive, *roads)
    assert (error.status, error.code, error.field) == (409, "category_taken", "writes[1].category")
    assert error.extra["regions"] == [str(roads[1].region), str(roads[0].region)]
    apply_patch(teammate, exclusive, [cars[0], roads[0]])
    assert refused(teammate, exclusive, roads[1]).code == "category_taken"
    if semantic:
        assert refused(teammate, exclusive, cars[1]).code == "category_taken"
    else:
        apply_patch(teammate, exclusive, [cars[1]])
    turned = upsert(
        exclusive, 1, region=cars[0].region, category=road.pk, mask=mask(exclusive, 0, 0, 1, 6)
    )
    assert refused(teammate, exclusive, turned).code == "category_taken"
    other = upsert(exclusive, 1, region=roads[0].region, mask=mask(exclusive, 2, 0, 1, 6))
    apply_patch(teammate, exclusive, [turned, other])
    gone = Delete(turned.region, 2, uuid.uuid4())
    apply_patch(teammate, exclusive, [gone, roads[1]])
    back = upsert(
        exclusive, 3, region=turned.region, category=road.pk, mask=mask(exclusive, 0, 0, 1, 6)
    )
    assert refused(teammate, exclusive, back).code == "category_taken"


def test_two_regions_of_what_became_stuff_are_saved_on(teammate, exclusive) -> None:
    car = exclusive.project.categories.earliest("id")
    project = exclusive.project
    type(project).objects.filter(pk=project.pk).update(kind="panoptic")
    writes = [upsert(exclusive, mask=mask(exclusive, x, 0, 1, 6)) for x in (0, 1, 2)]
    apply_patch(teammate, fresh(exclusive), writes[:2])
    project.categories.filter(pk=car.pk).update(is_thing=False)
    wider = [
        upsert(exclusive, 1, region=one.region, mask=mask(exclusive, 3 + 2 * place, 0, 2, 6))
        for place, one in enumerate(writes[:2])
    ]
    apply_patch(teammate, fresh(exclusive), wider)
    assert refused(teammate, fresh(exclusive), writes[2]).code == "category_taken"


def test_every_region_is_a_mask(teammate, exclusive) -> None:
    assert refused(teammate, exclusive, upsert(exclusive)).code == "mask_needed"


def test_instances_may_overlap(teammate, annotation) -> None:
    apply_patch(teammate, annotation, [upsert(annotation), upsert(annotation)])


# --- proposals ------------------------------------------------------------------------------------
def test_proposals_are_accepted_dismissed_and_restored(
    teammate, annotation, make_prediction
) -> None:
    one, two = make_prediction(annotation.image).proposals.all()
    write = upsert(annotation, proposal=one.pk, polygons=RING)
    result = apply_patch(teammate, annotation, [write, Dismiss(two.pk)])
    assert result.revision == 2
    assert Region.objects.get().proposal == one
    assert Dismissal.objects.get().proposal == two
    assert apply_patch(teammate, annotation, [Dismiss(two.pk)]).revision == 2
    assert apply_patch(teammate, annotation, [Restore(two.pk)]).revision == 3
    assert not Dismissal.objects.exists()
    apply_patch(teammate, annotation, [upsert(annotation, 1, region=write.region)])
    assert Region.objects.get().proposal == one


def test_a_proposal_of_another_image_is_refused(
    teammate, annotation, make_image, make_prediction
) -> None:
    other = make_prediction(make_image(annotation.project)).proposals.first()
    for write in (Dismiss(other.pk), Restore(other.pk), upsert(annotation, proposal=other.pk)):
        error = refused(teammate, annotation, write)
        assert (error.status, error.field) == (400, "writes[0].proposal")


# --- many at a time -------------------------------------------------------------------------------
def in_threads(number: int, call: Any) -> list[Any]:
    def run(index: int) -> Any:
        try:
            return call(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.django_db(transaction=True)
def test_twenty_writers_lose_no_update_and_leave_no_gap(teammate, annotation) -> None:
    """Each takes the refusal's version and tries again until its write is in."""
    make = upsert(annotation, order=0)
    apply_patch(teammate, annotation, [make])

    def add_one(index: int) -> int:
        version, order = 1, 0
        while True:
            write = upsert(annotation, version, region=make.region, order=order + 1)
            try:
                apply_patch(teammate, annotation, [write])
            except ServiceError as error:
                theirs = error.extra["conflicts"][0]["theirs"]
                version, order = theirs["version"], theirs["order"]
            else:
                return version + 1

    versions = in_threads(20, add_one)
    assert sorted(versions) == list(range(2, 22))
    region = Region.objects.get()
    assert (region.version, region.order) == (21, 20)
    assert list(region.revisions.values_list("version", flat=True)) == list(range(1, 22))
    assert fresh(annotation).revision == 21


class Ended(Exception):
    """What PostgreSQL says to one of two transactions that wait for each other."""

    pgcode = "40P01"


@pytest.mark.parametrize("deadlocks", [2, 3])
def test_a_save_that_the_database_ended_is_tried_again(
    teammate, annotation, monkeypatch, deadlocks
) -> None:
    apply, failures = regions.Patch.apply, iter([Ended()] * deadlocks)

    def ended_at_first(patch: Any, annotation: Annotation, **how: Any) -> Any:
        with transaction.atomic():
            result = apply(patch, annotation, **how)
            if failure := next(failures, None):
                raise OperationalError from failure
        return result

    monkeypatch.setattr(regions.Patch, "apply", ended_at_first)
    if deadlocks == regions.TRIES:
        with pytest.raises(OperationalError):
            apply_patch(teammate, annotation, [upsert(annotation)])
        assert not Region.objects.exists()
    else:
        assert apply_patch(teammate, annotation, [upsert(annotation)]).revision == 1
        assert fresh(annotation).revision == Region.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_write_from_ten_at_once_is_one_write(teammate, annotation) -> None:
    write = upsert(annotation)
    results = in_threads(10, lambda _: apply_patch(teammate, annotation, [write]))
    assert {result.regions[0].version for result in results} == {1}
    assert RegionRevision.objects.count() == 1
    assert fresh(annotation).revision == 1


@pytest.mark.django_db(transaction=True)
def test_saving_and_submitting_at_once_never_saves_after_the_submission(
    teammate, reviewer, annotation
) -> None:
    apply_patch(teammate, annotation, [upsert(annotation)])

    def act(index: int) -> str:
        try:
            if index % 5 == 4:
                submit(teammate, annotation, fresh(annotation).revision)
            else:
                apply_patch(teammate, fresh(annotation), [upsert(annotation)])
        except ServiceError as error:
            return error.code
        return "done"

    outcomes = in_threads(15, act)
    assert set(outcomes) <= {"done", "stale", "not_editable"}
    now = fresh(annotation)
    assert now.revision == now.regions.count()
    if now.status == "submitted":
        approve(reviewer, now, now.revision)
        assert fresh(annotation).image.status == "approved"
