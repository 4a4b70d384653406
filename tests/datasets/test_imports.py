"""A data set comes in: all of it or nothing, and nothing twice."""

import io
import json
import uuid
import zipfile

import numpy as np
import pytest
from django.db.models import Q
from PIL import Image as Pillow

from annotations.masks import rle
from annotations.models import Annotation, Category, Image, Job, Prediction, Region, RegionRevision
from annotations.selectors.versions import history_of
from annotations.services import imports, ingest, jobs, regions
from tests.ingest import samples


def at(document, pointer: str, value) -> dict:
    """The document with one value replaced; None removes it."""
    *path, last = pointer.strip("/").split("/")
    place = document
    for key in path:
        place = place[int(key) if isinstance(place, list) else key]
    if value is None:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return document


def test_ground_truth_is_approved_work_of_the_importer(send, coco, manager, filled):
    response = send(manager, coco)
    assert response.status_code == 201, response.json()
    job = response.json()
    assert (job["kind"], job["state"]) == ("import", "done")
    assert job["started_at"] < job["ended_at"]
    assert (job["result"]["images"], job["result"]["regions"]) == (3, 3)
    assert Annotation.objects.count() == 3
    assert set(Annotation.objects.values_list("status", "annotator", "revision")) == {
        ("approved", manager.pk, 1)
    }
    assert set(Image.objects.values_list("status", flat=True)) == {"approved"}
    assert list(Image.objects.order_by("name").values_list("export_id", flat=True)) == [11, 12, 13]
    regions = {region.export_id: region for region in Region.objects.all()}
    assert set(regions) == {90, 101, 105}
    assert regions[101].polygons == [[ring] for ring in coco["annotations"][0]["segmentation"]]
    assert regions[105].is_crowd
    assert regions[90].counts == coco["annotations"][2]["segmentation"]["counts"]
    assert regions[90].area == 7 * 13
    assert regions[90].bbox == [7, 5, 13, 7]
    assert RegionRevision.objects.count() == 3
    tree = Category.objects.get(name="tree")
    assert (tree.export_id, tree.supercategory) == (7, "plant")
    assert regions[101].category == Category.objects.get(project=filled, name="car")


def test_history_keeps_what_was_imported(send, coco, manager):
    """Revisions of an import hold no geometry of their own until their region changes."""
    send(manager, coco)
    own = Q(polygons__isnull=False) | Q(counts__isnull=False)
    assert not RegionRevision.objects.filter(own).exists()
    Annotation.objects.update(status="in_progress")
    for id, name in ((101, "polygons"), (90, "counts")):
        region = Region.objects.select_related("annotation").get(export_id=id)
        before = history_of(region.annotation, region.uuid)
        assert before[0]["polygons"] == region.polygons
        assert (before[0]["mask"] or {}).get("counts") == region.counts
        change = regions.Upsert(
            region.uuid, 1, uuid.uuid4(), region.category_id, polygons=[[[1, 1, 5, 1, 5, 5]]]
        )
        regions.apply_patch(manager, region.annotation, [change])
        after = history_of(region.annotation, region.uuid)
        assert after[0] == before[0]
        assert after[1]["polygons"] == [[[1, 1, 5, 1, 5, 5]]]
        assert RegionRevision.objects.filter(**{f"{name}__isnull": False}, version=1).count() == 1


def test_free_attributes_come_in_whatever_the_category_declares(send, coco, manager, filled):
    doors = {"name": "doors", "type": "number", "required": True, "default": None, "choices": []}
    filled.categories.filter(name="car").update(attributes=[doors])
    coco["annotations"][0]["attributes"] = {"doors": "4", "free": "yes"}
    assert send(manager, coco).status_code == 201
    region = Region.objects.get(export_id=101)
    assert region.attributes == {"doors": 4, "free": "yes"}


def test_predictions_are_nobodys_work(send, coco, manager):
    coco["annotations"][0]["score"] = 0.25
    assert send(manager, coco, "predictions").status_code == 201
    assert not Annotation.objects.exists()
    assert set(Image.objects.values_list("status", flat=True)) == {"new"}
    first = Prediction.objects.get(image__name="0.png")
    assert first.model == "import"
    assert sorted(proposal.score for proposal in first.proposals.all()) == [0.25, 1.0]


@pytest.mark.parametrize("kind", ["ground_truth", "predictions"])
def test_the_same_file_again_adds_nothing(send, coco, manager, state, kind):
    send(manager, coco, kind)
    counts, images, files = state()
    response = send(manager, coco, kind)
    assert response.status_code == 201
    assert response.json()["result"]["unchanged"] == 3
    counts[3] += 1  # the job that says so
    assert state() == (counts, images, files)


def test_other_work_of_the_same_person_is_never_replaced(send, coco, manager, state):
    send(manager, coco)
    before = state()
    coco["annotations"][0]["category_id"] = 7
    response = send(manager, coco)
    assert (response.status_code, response.json()["code"]) == (409, "annotated")
    assert response.json()["field"] == "/images/0"
    assert state() == before


def test_only_managers_import(send, coco, owner, reviewer, teammate, stranger, state):
    before = state()
    expected = ((None, 401), (stranger, 404), (teammate, 403), (reviewer, 403))
    for user, status in expected:
        assert send(user, coco).status_code == status
    assert state() == before
    assert send(owner, coco).status_code == 201


def test_iscrowd_may_be_missing(send, coco, manager):
    for annotation in coco["annotations"]:
        annotation.pop("iscrowd")
    assert send(manager, coco).status_code == 201
    assert not Region.objects.filter(is_crowd=True).exists()


BAD = {
    "image-id-twice": ("/images/1/id", 11, "/images/1/id"),
    "annotation-id-twice": ("/annotations/1/id", 101, "/annotations/1/id"),
    "category-id-twice": ("/categories/1/id", 3, "/categories/1/id"),
    "unknown-image": ("/annotations/0/image_id", 99, "/annotations/0/image_id"),
    "unknown-category": ("/annotations/2/category_id", 99, "/annotations/2/category_id"),
    "file-name-twice": ("/images/1/file_name", "0.png", "/images/1/file_name"),
    "traversal": ("/images/1/file_name", "../1.png", "/images/1/file_name"),
    "no-images": ("/images", None, "/images"),
    "no-name": ("/categories/0/name", None, "/categories/0/name"),
    "other-width": ("/images/2/width", 41, "/images/2"),
    "not-in-the-project": ("/images/2/file_name", "other.png", "/images/2"),
    "huge-coordinate": (
        "/annotations/0/segmentation/0/3", 1e8, "/annotations/0/segmentation/0/3",
    ),
    "rle-as-polygon": (
        "/annotations/2/segmentation", [30, 40], "/annotations/2/segmentation/0",
    ),
    "polygon-as-rle": (
        "/annotations/0/segmentation", {"size": [30, 40], "counts": [[1, 2]]},
        "/annotations/0/segmentation/counts",
    ),
    "short-rle": (
        "/annotations/2/segmentation", {"size": [30, 40], "counts": [5]},
        "/annotations/2/segmentation/counts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_coco_file_is_refused_by_pointer(send, coco, manager, state, name):
    pointer, value, field = BAD[name]
    before = state()
    response = send(manager, at(coco, pointer, value))
    body = response.json()
    assert response.status_code == 422, body
    assert body["field"].startswith(field)
    assert state() == before


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"no json", 400),
        (b'{"images": NaN}', 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b"[]", 422),
        (b"", 400),
    ],
)
def test_what_is_not_coco_is_refused(send, manager, state, data, status):
    before = state()
    response = send(manager, data)
    assert response.status_code == status, response.json()
    assert set(response.json()) >= {"code", "detail", "field", "hint"}
    assert state() == before


def test_too_large_a_file(send, coco, manager, state, settings):
    settings.MAX_UPLOAD_BYTES = 200
    before = state()
    assert send(manager, coco).status_code == 413
    assert state() == before


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"format": "nonsense"}, "format"),
        ({"kind": "truth"}, "as"),
        ({"owner": "1"}, "owner"),
    ],
)
def test_unknown_formats_kinds_and_fields(send, coco, manager, state, fields, named):
    before = state()
    response = send(manager, coco, **fields)
    assert (response.status_code, response.json()["field"]) == (400, named)
    assert state() == before


# --- semantic and panoptic projects --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stuff", "regions"),
    [("semantic", False, 2), ("panoptic", False, 3), ("panoptic", True, 2)],
)
def test_overlaps_are_resolved_by_order(
    make_project, manager, coco, tmp_path, kind, stuff, regions
):
    """Regions of a category become one where an annotation has one only."""
    project = make_project(kind=kind)
    project.categories.filter(name="car").update(is_thing=not stuff)
    ingest.add_image(manager, project, io.BytesIO(samples.png()), "0.png")
    box, apart = [0, 0, 20, 0, 20, 10, 0, 10], [30, 20, 38, 20, 38, 28, 30, 28]
    coco["images"] = coco["images"][:1]
    coco["annotations"] = [
        {"id": 1, "image_id": 11, "category_id": 3, "segmentation": [box]},
        {"id": 2, "image_id": 11, "category_id": 7, "segmentation": [[x + 5 for x in box]]},
        {"id": 3, "image_id": 11, "category_id": 3, "segmentation": [apart]},
    ]  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco))
    totals = imports.import_dataset(manager, project, "coco", path)
    stored = list(Region.objects.select_related("category"))
    assert len(stored) == regions
    assert all(region.counts for region in stored)
    assert rle.overlap([region.counts or "" for region in stored]) is None
    front = next(region for region in stored if region.category.name == "tree")
    assert front.area == 20 * 10
    behind = [region for region in stored if region.category.name == "car"]
    assert sum(region.area for region in behind) == 20 * 10 - 15 * 5 + 8 * 8
    assert any("75 pixels" in note for note in totals.report.notes)


# --- zips and masks ------------------------------------------------------------------------------


def zip_of(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_images_come_along_in_a_zip(send, coco, manager, filled):
    coco["images"].append({"id": 14, "file_name": "sub/9.png", "width": 40, "height": 30})
    data = zip_of(
        {
            "set/annotations/instances.json": json.dumps(coco).encode(),
            "set/images/sub/9.png": samples.png(9),
            "set/images/0.png": samples.png(0),
        }
    )
    response = send(manager, data, name="set.zip")
    assert response.status_code == 201, response.json()
    assert sorted(Image.objects.values_list("name", flat=True)) == [
        "0.png", "1.png", "2.png", "sub/9.png",
    ]  # fmt: skip


def test_a_bad_image_in_the_zip_undoes_all(send, coco, manager, state):
    coco["images"].append({"id": 14, "file_name": "9.png", "width": 40, "height": 30})
    data = zip_of(
        {
            "annotations/instances.json": json.dumps(coco).encode(),
            "images/9.png": samples.DAMAGED["bad-crc"],
        }
    )
    before = state()
    response = send(manager, data, name="set.zip")
    assert (response.status_code, response.json()["field"]) == (422, "9.png")
    assert state() == before


def png_of(labels: np.ndarray) -> bytes:
    return samples.encoded(Pillow.fromarray(labels))


def test_bare_masks_find_their_images_by_name(send, manager, filled):
    labels = np.zeros((30, 40), np.uint8)
    labels[3:9, 4:8] = 5
    response = send(manager, zip_of({"0.png": png_of(labels)}), format="semantic_png", name="m.zip")
    assert response.status_code == 201, response.json()
    region = Region.objects.get()
    assert region.counts == rle.encode(labels == 5)
    assert Image.objects.count() == 3


def test_an_empty_mask_is_no_error(send, manager, filled):
    labels = np.zeros((30, 40), np.uint16)
    response = send(manager, zip_of({"1.png": png_of(labels)}), format="instance_png", name="m.zip")
    assert response.status_code == 201, response.json()
    assert response.json()["result"]["regions"] == 0
    assert Annotation.objects.get().status == "approved"


def test_masks_that_cannot_be_taken(send, manager, state):
    wrong_size = zip_of({"0.png": png_of(np.ones((31, 40), np.uint8))})
    colours = zip_of({"0.png": png_of(np.full((30, 40, 3), 9, np.uint8))})
    lossy = zip_of({"0.png": samples.encoded(Pillow.new("L", (40, 30), 1), "JPEG")})
    before = state()
    for data in (wrong_size, colours, lossy):
        response = send(manager, data, format="semantic_png", name="m.zip")
        assert response.status_code == 422, response.json()
        assert state() == before


# --- jobs ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_large_file_is_a_job(send, coco, manager, monkeypatch):
    monkeypatch.setattr(imports, "SMALL_BYTES", 10)
    response = send(manager, coco)
    assert response.status_code == 202
    assert not Annotation.objects.exists()
    done = jobs.run(response.json()["id"], imports.run_import)
    assert done
    assert (done.state, done.result["regions"]) == ("done", 3)
    assert Region.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_bad_file_fails_its_job_and_changes_nothing(send, coco, manager, monkeypatch):
    monkeypatch.setattr(imports, "SMALL_BYTES", 10)
    response = send(manager, at(coco, "/annotations/2/category_id", 99))
    failed = jobs.run(response.json()["id"], imports.run_import)
    assert failed
    assert failed.state == "failed"
    assert failed.error
    assert failed.error["field"] == "/annotations/2/category_id"
    assert not Annotation.objects.exists()
    assert Category.objects.count() == 2
    assert Job.objects.count() == 1


def test_a_worker_that_lost_the_job_leaves_nothing(filled, coco, manager, tmp_path, state):
    """The rows and the end of the job are one transaction."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco))
    before = state()

    def lost(totals):
        raise jobs.LeaseLost

    with pytest.raises(jobs.LeaseLost):
        imports.import_dataset(manager, filled, "coco", path, ended=lost)
    assert state() == before


@pytest.mark.parametrize("top", ["", "set/gtFine/train/", "gtFine/train/", "train/"])
def test_a_zip_of_one_city_keeps_its_name(send, manager, filled, top):
    Image.objects.filter(name="0.png").update(name="aachen/a_0_leftImg8bit.png")
    labels = np.zeros((30, 40), np.uint16)
    labels[3:9, 4:12] = 26_000  # a car of Cityscapes' own labels
    zipped = zip_of({f"{top}aachen/a_0_gtFine_instanceIds.png": png_of(labels)})
    response = send(manager, zipped, format="cityscapes", name="city.zip")
    assert response.status_code == 201, response.json()
    assert Region.objects.get().area == 48
