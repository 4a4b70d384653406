"""Exports, imports and pre-labeling through their forms."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotations.models import Job, Prediction
from inference.models import ModelVersion


def coco(image, **changes) -> SimpleUploadedFile:
    """A COCO file with one square on `image`."""
    region = {
        "id": 1, "image_id": 1, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2], "iscrowd": 0,
        "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]],
    }  # fmt: skip
    data = {
        "images": [
            {"id": 1, "file_name": image.name, "width": image.width, "height": image.height}
        ],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [region | changes],
    }
    return SimpleUploadedFile("labels.json", json.dumps(data).encode())


def test_an_export_is_started_once(project, manager, browse):
    client, address = browse(manager), f"/projects/{project.pk}/export"
    key = client.get(address).content.decode().split('name="key" value="')[1].split('"')[0]
    data = {"format": "coco", "status": "all", "images": "on", "key": key}
    first, again = client.post(address, data), client.post(address, data)
    job = Job.objects.get()
    assert first["Location"] == again["Location"] == f"/jobs/{job.pk}"
    assert (job.params["format"], job.params["status"], job.params["images"]) == (
        "coco",
        "all",
        True,
    )


@pytest.mark.parametrize("change", [{"format": "word"}, {"status": "some"}, {"key": ""}])
def test_a_refused_export_starts_nothing(change, project, manager, browse):
    data = {"format": "coco", "status": "all", "key": "k"} | change
    assert browse(manager).post(f"/projects/{project.pk}/export", data).status_code == 400
    assert not Job.objects.exists()


def test_a_finished_export_can_be_downloaded_from_the_list(project, manager, browse):
    client, address = browse(manager), f"/projects/{project.pk}/export"
    client.post(address, {"format": "coco", "status": "all", "key": "k"})
    job = Job.objects.get()
    assert f"/api/jobs/{job.pk}/download" not in client.get(address).content.decode()
    result = {"bytes": 2048, "sha256": "ab" * 32, "notes": ["A hole was lost."], "notes_total": 1}
    Job.objects.update(state="done", result=result)
    html = client.get(address).content.decode()
    for words in (f"/api/jobs/{job.pk}/download", "2.0 KB", "abababababab"):
        assert words in html
    assert "A hole was lost." in client.get(f"/jobs/{job.pk}").content.decode()


def test_an_import_becomes_predictions(project, make_image, manager, browse):
    image = make_image(project)
    data = {"format": "coco", "kind": "predictions", "file": coco(image)}
    response = browse(manager).post(f"/projects/{project.pk}/import", data, follow=True)
    assert response.redirect_chain == [(f"/jobs/{Job.objects.get().pk}", 302)]
    assert "1 images, 1 regions" in response.content.decode()
    assert Prediction.objects.get().proposals.count() == 1


def test_a_refused_import_names_the_item_and_changes_nothing(project, make_image, manager, browse):
    file = coco(make_image(project), category_id=7)
    data = {"format": "coco", "kind": "ground_truth", "file": file}
    response = browse(manager).post(f"/projects/{project.pk}/import", data)
    assert response.status_code == 400
    assert "/annotations/0" in response.content.decode()
    assert not Job.objects.exists()
    assert not project.annotations.exists()


def test_an_import_needs_a_file(project, manager, browse):
    data = {"format": "coco", "kind": "predictions"}
    response = browse(manager).post(f"/projects/{project.pk}/import", data)
    assert "This field is required." in response.content.decode()


# --- pre-labeling ---------------------------------------------------------------------------------


@pytest.fixture
def model(db) -> ModelVersion:
    return ModelVersion.objects.create(
        name="street", engine="mask_rcnn", categories=["N/A", "Car", "dog", "bus"]
    )


def test_selected_images_are_offered_then_pre_labeled(project, make_image, model, manager, browse):
    images = [make_image(project) for _ in range(3)]
    client, address = browse(manager), f"/projects/{project.pk}/prelabel"
    html = client.post(address, {"images": f"{images[0].pk},{images[2].pk}"}).content.decode()
    assert 'value="selected" checked' in html
    assert not Job.objects.exists()
    car = project.categories.get(name="car")
    data = {
        "images": f"{images[0].pk},{images[2].pk}", "model": model.pk, "scope": "selected",
        "class-0": car.pk, "class-1": "", "class-2": car.pk,
        "min_score": "0.25", "max_proposals": "7",
    }  # fmt: skip
    job_page = client.post(address, data)["Location"]
    job = Job.objects.get()
    assert job_page == f"/jobs/{job.pk}"
    assert [item.image_id for item in job.items.all()] == [images[0].pk, images[2].pk]
    assert job.params["category_map"] == {"Car": car.pk, "bus": car.pk}
    assert (job.params["min_score"], job.params["max_proposals"]) == (0.25, 7)


def test_images_of_one_status(project, make_image, model, manager, browse):
    new, old = make_image(project), make_image(project, status="approved")
    car = project.categories.get(name="car")
    data = {"model": model.pk, "scope": "new", "class-0": car.pk, "max_proposals": "7"}
    browse(manager).post(f"/projects/{project.pk}/prelabel", data)
    assert [item.image_id for item in Job.objects.get().items.all()] == [new.pk]
    assert old.status == "approved"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": 987654}, "no such model"),
        ({"class-0": ""}, "No class is mapped"),
        ({"class-0": "987654"}, "no category 987654"),
        ({"min_score": "2"}, "less than or equal to 1"),
        ({"max_proposals": "0"}, "greater than or equal to 1"),
        ({"scope": "sent_back"}, "There is no image"),
        ({"scope": "selected", "images": "987654"}, "no image 987654"),
    ],
)
def test_a_refused_run_says_why(change, words, project, make_image, model, manager, browse):
    make_image(project)
    car = project.categories.get(name="car")
    data = {"model": model.pk, "scope": "all", "class-0": car.pk, "max_proposals": "7"} | change
    response = browse(manager).post(f"/projects/{project.pk}/prelabel", data)
    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Job.objects.exists()


def test_classes_follow_the_model(project, make_image, model, manager, browse):
    make_image(project)
    classic, _ = ModelVersion.objects.get_or_create(name="classic", engine="classic")
    client, address = browse(manager), f"/projects/{project.pk}/prelabel"
    part = client.get(f"{address}?model={model.pk}", headers={"HX-Request": "true"})
    assert "dog" in part.content.decode()
    assert "<html" not in part.content.decode()
    part = client.get(f"{address}?model={classic.pk}", headers={"HX-Request": "true"})
    assert "names no classes" in part.content.decode()


def test_the_models_page_says_why_one_is_refused(stranger, browse):
    ModelVersion.objects.create(
        name="mine", engine="sam", weights="mine.pth", state="rejected", reason="It runs code."
    )
    html = browse(stranger).get("/models").content.decode()
    assert "It runs code." in html
    assert "manage.py fetch_model sam_vit_b" in html
