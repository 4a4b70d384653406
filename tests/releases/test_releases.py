"""Releases never change, exports are made from them, and two of them can be compared."""

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image as Picture

from annotations.errors import Conflict
from annotations.formats import registry
from annotations.masks import rle
from annotations.models import Annotation, Category, Image, Project, Region, Release, StoredFile
from annotations.selectors import releases as selectors
from annotations.selectors.exports import Rule
from annotations.services import exports, files, imports, jobs, regions, releases
from tests.datasets.conftest import _no_broker, coco, filled

__all__ = ["_no_broker", "coco", "filled"]


@pytest.fixture
def imported(filled, coco, manager, tmp_path) -> Project:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco))
    imports.import_dataset(manager, filled, "coco", path)
    return filled


@pytest.fixture
def make(imported, manager) -> Callable[..., Release]:
    """`make("v1")`: a release of what is approved now."""
    return lambda name="", **rule: releases.make_release(imported, Rule(**rule), manager, name=name)


@pytest.fixture
def written(tmp_path) -> Callable[..., dict[str, bytes]]:
    """`written(release, format)`: the files of an export, by name."""
    count = iter(range(99))

    def export(release: Release, format: str = "coco", **asked: Any) -> dict[str, bytes]:
        out = tmp_path / f"out{next(count)}"
        out.mkdir()
        exports.write_dataset(release, format, out, **asked)
        return {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }

    return export


def edit(project: Project, manager: Any) -> None:
    """One region drawn anew, one removed, one more; a category renamed; a picture removed."""
    Annotation.objects.filter(project=project).update(status="in_progress")
    annotation = Annotation.objects.get(image__name="0.png")
    polygon, crowd = Region.objects.filter(annotation=annotation).order_by("export_id")
    square = [[[0, 0, 9, 0, 9, 9, 0, 9]]]
    category = polygon.category_id
    regions.apply_patch(
        manager,
        annotation,
        [
            regions.Upsert(
                polygon.uuid, 1, uuid.uuid4(), category, polygons=square, source="brush"
            ),
            regions.Delete(crowd.uuid, 1, uuid.uuid4()),
            regions.Upsert(
                uuid.uuid4(), 0, uuid.uuid4(), category, polygons=square, source="brush"
            ),
        ],
        0,
    )
    Annotation.objects.filter(project=project).update(status="approved")
    Category.objects.filter(project=project, name="tree").update(name="oak")
    Project.objects.filter(pk=project.pk).update(name="Another name")
    Image.objects.get(name="2.png").delete()
    files.collect()


@pytest.mark.parametrize("format", ["coco", "semantic_png", "datumaro"])
def test_a_release_makes_the_same_bytes_whatever_happens_later(
    format, make, written, imported, manager
):
    release = make("v1")
    before = written(release, format, images=True, options={"splits": {"train": 0.5, "val": 0.5}})
    edit(imported, manager)
    imported.refresh_from_db()
    after = written(
        Release.objects.get(pk=release.pk),
        format,
        images=True,
        options={"splits": {"train": 0.5, "val": 0.5}},
    )
    assert before == after
    assert any(name.endswith("2.png") for name in before)
    assert written(make("v2"), format) != written(release, format)


def test_the_same_content_is_the_same_release(make, imported, manager):
    first = make()
    assert make().pk == first.pk
    assert make("v1").pk == first.pk
    with pytest.raises(Conflict, match="Nothing has changed since the release “v1”"):
        make("v2")
    edit(imported, manager)
    with pytest.raises(Conflict, match="There is a release named “V1”"):
        make("V1")
    assert Release.objects.count() == 1
    assert make("v2").sha256 != first.sha256
    stored = default_storage.listdir("releases")[1]
    assert len(stored) == 2  # what was refused left no file


def test_the_hash_does_not_depend_on_the_order_of_attributes(make):
    Region.objects.filter(export_id=101).update(attributes={"a": 1, "b": [1.5, "é"]})
    first = make()
    Region.objects.filter(export_id=101).update(attributes={"b": [1.5, "é"], "a": 1})
    assert make().pk == first.pk
    Region.objects.filter(export_id=101).update(attributes={"b": [1.5, "e"], "a": 1})
    assert make().pk != first.pk


def test_the_rule_and_the_counts(make, imported, teammate, make_annotation):
    make_annotation(Image.objects.get(name="1.png"), teammate, "submitted", regions=3)
    Annotation.objects.filter(image__name="2.png").update(status="sent_back")
    release = make("all of 1", status="all", search="1.PNG", annotator="teammate")
    assert (release.images, release.regions) == (1, 3)
    assert release.rule == {"status": "all", "search": "1.PNG", "annotator": "teammate"}
    everything = {one["name"]: one for one in make().counts}
    assert (everything["tree"]["images"], everything["tree"]["regions"]) == (2, 2)
    assert everything["tree"]["area"] == 2 * 7 * 13
    assert everything["road"]["regions"] == 0


def test_only_a_named_release_keeps_pictures(make, imported, written):
    release = make()
    file = StoredFile.objects.get(images__name="2.png")
    Image.objects.get(name="2.png").delete()
    files.collect()
    assert not default_storage.exists(file.original)
    exported = written(release, images=True)
    assert set(exported) == {"annotations/instances.json", "images/0.png", "images/1.png"}
    assert exported["annotations/instances.json"] == written(release)["annotations/instances.json"]
    assert b"2.png" in exported["annotations/instances.json"]


@pytest.mark.parametrize("format", registry.FORMATS)
def test_every_format_writes_the_regions_of_a_picture_that_is_gone(
    format, make, imported, tmp_path
):
    release = make()
    Image.objects.get(name="1.png").delete()
    files.collect()
    report = exports.write_dataset(release, format, tmp_path, images=True)
    assert report.images == 3
    notes = [note for note in report.notes if "was removed" in note]
    assert notes == ["The picture of '1.png' was removed; only its regions are here."]


def test_removing_a_release_removes_its_files(make, imported, owner):
    release = make("v1")
    file = StoredFile.objects.get(images__name="2.png")
    Image.objects.get(name="2.png").delete()
    files.collect()
    assert default_storage.exists(file.original)
    releases.remove_release(owner, release)
    assert not default_storage.exists(file.original)
    assert not default_storage.exists(release.file)


def test_what_changes_while_it_is_read_is_read_again(make, imported, monkeypatch):
    from annotations.selectors import exports as reading

    original, calls = reading._regions, []

    def slow(*args: Any) -> Any:
        found = original(*args)
        calls.append(1)
        if len(calls) == 1:  # a patch right after the regions were read
            Region.objects.filter(export_id=90).update(deleted_at=timezone.now())
            Annotation.objects.filter(image__name="1.png").update(revision=9)
        return found

    monkeypatch.setattr(reading, "_regions", slow)
    assert make().regions == 2
    assert len(calls) == 2


# --- jobs -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_release_is_a_job_and_an_export_can_name_it(imported, manager, client_of):
    client = client_of(manager)
    url = f"/api/projects/{imported.pk}/releases"
    job = client.post(url, {"name": " v1 "}, format="json").json()
    assert job["state"] == "done", job["error"]
    release = client.get(url).json()["results"][0]
    assert (release["name"], release["images"], release["created_by"]) == ("v1", 3, "manager")
    edit(imported, manager)
    results = []
    for wanted in (release["id"], release["id"], None):
        body = {"format": "coco", "release": wanted}
        asked = client.post(f"/api/projects/{imported.pk}/exports", body, format="json").json()
        assert asked["state"] == "done", asked["error"]
        results.append(asked["result"])
    assert results[0]["sha256"] == results[1]["sha256"] != results[2]["sha256"]
    assert results[0]["release_sha256"] == release["sha256"] != results[2]["release_sha256"]
    assert Release.objects.get(pk=results[2]["release"]).name == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": " "}, "name"), ({"name": "a\nb"}, "name"), ({"name": "v", "status": "x"}, "status")],
)
def test_bad_requests(body, field, imported, manager, client_of):
    reply = client_of(manager).post(f"/api/projects/{imported.pk}/releases", body, format="json")
    assert (reply.status_code, reply.json()["field"]) == (400, field)


def test_a_release_of_another_project_is_none(make, make_project, manager, client_of):
    release, other = make("v1"), make_project()
    body = {"format": "coco", "release": release.pk}
    reply = client_of(manager).post(f"/api/projects/{other.pk}/exports", body, format="json")
    assert reply.status_code == 404
    mine = releases.make_release(other, Rule(), manager)
    diff = client_of(manager).get(f"/api/releases/{mine.pk}/diff?against={release.pk}")
    assert diff.status_code == 404


def test_a_killed_worker_leaves_nothing_and_the_next_finishes(imported, manager, monkeypatch):
    monkeypatch.setattr("annotations.selectors.exports.SMALL_IMAGES", -1)  # a worker's
    job = releases.start_release(manager, imported, name="v1", rule=Rule())

    class Death(BaseException):
        pass

    def die(*args: Any, **kwargs: Any) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(jobs.JobRun, "finish", die)
        with pytest.raises(Death):
            jobs.run(job.pk, releases.run_release)
    assert not Release.objects.exists()
    assert not default_storage.exists("releases") or not default_storage.listdir("releases")[1]
    type(job).objects.filter(pk=job.pk).update(state="queued", lease=None)
    done = jobs.run(job.pk, releases.run_release)
    assert done
    assert (done.state, Release.objects.get().name) == ("done", "v1")


# --- the difference -------------------------------------------------------------------------------


def test_the_difference(make, imported, manager, client_of, browse_pages):
    older = make("v1")
    edit(imported, manager)
    newer = make("v2")
    found = client_of(manager).get(f"/api/releases/{newer.pk}/diff?against={older.pk}").json()
    assert found["images"] == {"added": 0, "removed": 1, "changed": 1}
    assert found["same"] == 1
    assert found["regions"] == {"added": 1, "removed": 1, "changed": 1}
    names = {row["name"]: (row["before"], row["regions"]) for row in found["categories"]}
    assert names["oak"] == ("tree", {"added": 0, "removed": 1, "changed": 0})
    assert names["car"] == ("car", {"added": 1, "removed": 0, "changed": 1})
    assert [(one["name"], one["state"]) for one in found["changes"]["results"]] == [
        ("0.png", "changed"), ("2.png", "removed"),
    ]  # fmt: skip
    back = selectors.compare(selectors.snapshot(newer), selectors.snapshot(older))
    assert (back.images.added, back.regions.added, back.regions.removed) == (1, 1, 1)
    page = browse_pages(manager).get(f"/releases/{newer.pk}/diff").content.decode()
    for words in (f"/api/releases/{older.pk}/images/11/picture", "was tree", "2.png"):
        assert words in page


def test_pages_of_a_difference(make, imported, manager, client_of):
    older = make("v1")
    edit(imported, manager)
    url = f"/api/releases/{make('v2').pk}/diff?against={older.pk}&limit=1"
    first = client_of(manager).get(url).json()["changes"]
    second = client_of(manager).get(f"{url}&after={first['next']}").json()["changes"]
    assert [one["id"] for one in first["results"] + second["results"]] == [11, 13]
    assert second["next"] is None
    trees = client_of(manager).get(f"{url}&category=7").json()["changes"]["results"]
    assert [one["name"] for one in trees] == ["0.png"]


def test_a_picture_shows_what_changed(make, imported, manager, client_of):
    older = make("v1")
    edit(imported, manager)
    newer = make("v2")
    client = client_of(manager)

    def picture(release: Release, other: Release, image: int) -> np.ndarray:
        reply = client.get(f"/api/releases/{release.pk}/images/{image}/picture?against={other.pk}")
        assert reply.status_code == 200, reply.content
        assert reply["Content-Type"] == "image/jpeg"
        return np.asarray(Picture.open(io.BytesIO(reply.content)).convert("RGB"), dtype=int)

    before, after = picture(older, newer, 11), picture(newer, older, 11)
    assert before.shape == (30, 40, 3)
    inside = (slice(2, 7), slice(2, 4))  # of the new square, outside the old polygon
    car = np.array([0xE6, 0x9F, 0x00])
    gap = np.abs(after[inside] - car).sum(-1).mean()
    assert gap < np.abs(before[inside] - car).sum(-1).mean()
    reply = client.get(f"/api/releases/{newer.pk}/images/13/picture?against={older.pk}")
    assert reply.status_code == 404  # the image is not in the newer one
    assert picture(older, newer, 13).shape == (30, 40, 3)


def test_images_are_found_in_any_part_of_the_file(tmp_path):
    from annotations.formats import snapshot
    from annotations.records import CategoryRecord, Geometry, ImageRecord, RegionRecord

    counts = rle.encode(np.eye(4, dtype=bool))

    def image(id: int) -> ImageRecord:
        region = RegionRecord(1, Geometry((4, 4), counts=counts), id, area=4, bbox=(0, 0, 4, 4))
        return ImageRecord(f"é{id}.png", 4, 4, (region,), id=id)

    path: Path = tmp_path / "snapshot"
    ids = range(2, 400, 2)
    regions = {
        id: [snapshot.region_members(id, 1, 4, [0, 0, 4, 4], 0, None, counts, False, {})]
        for id in ids
    }
    lines = (
        snapshot.image_members(f"{id:064x}", id, f"é{id}.png", 4, 4, regions[id]) for id in ids
    )
    made = snapshot.write(path, "instance", [CategoryRecord(1, "car")], lines)
    content = snapshot.Snapshot(lambda: path.open("rb"), made.index)
    assert [record for _, record in content.images()] == [image(id) for id in ids]
    for id in ids:
        assert content.image(id) == (f"{id:064x}", image(id))
        assert content.image(id + 1) is None
    assert content.image(1) is None
    assert list(content.contents()) == [f"{id:064x}" for id in ids]
