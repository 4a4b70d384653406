"""Ground truth leaves: the right annotation of each image, ids that stay, whole files only."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from annotations.formats import coco as coco_format
from annotations.models import Annotation, Image, Job, Membership, Project, Region
from annotations.selectors import exports as selectors
from annotations.selectors.exports import Rule
from annotations.services import exports, imports, jobs, releases
from annotations.services.files import Placed


@pytest.fixture
def imported(filled, coco, manager, tmp_path) -> Project:
    """The project with the small data set as ground truth."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco))
    imports.import_dataset(manager, filled, "coco", path)
    return filled


@pytest.fixture
def export(imported, manager, tmp_path) -> Callable[..., dict[str, Any]]:
    """`export(status="approved")`: what COCO file the project makes now."""
    count = iter(range(99))

    def make(status: str = "approved") -> dict[str, Any]:
        out = tmp_path / f"out{next(count)}"
        out.mkdir()
        release = releases.make_release(imported, Rule(status), None)
        exports.write_dataset(release, "coco", out)
        return json.loads((out / "annotations" / "instances.json").read_text())

    return make


def test_what_came_in_goes_out(export, coco):
    document = export()
    assert document["images"] == coco["images"]
    ids = {category["name"]: category["id"] for category in document["categories"]}
    assert ids == {"car": 1, "road": 2, "tree": 7}  # car was there before, so its id stays
    found = {annotation["id"]: annotation for annotation in document["annotations"]}
    for annotation in coco["annotations"]:
        out = found.pop(annotation["id"])
        annotation["category_id"] = {3: 1, 7: 7}[annotation["category_id"]]
        assert {key: out[key] for key in annotation} == annotation
    assert not found


@pytest.mark.parametrize(
    ("others", "status", "chosen"),
    [
        ({"teammate": "submitted"}, "approved", "manager"),
        ({"teammate": "submitted"}, "submitted", "manager"),
        ({"manager": "submitted", "teammate": "submitted"}, "submitted", "teammate"),
        ({"manager": "in_progress", "teammate": "submitted"}, "all", "teammate"),
        ({"manager": "sent_back", "teammate": "in_progress"}, "all", "manager"),
        ({"manager": "submitted"}, "approved", None),
        ({"manager": "sent_back"}, "submitted", None),
    ],
)
def test_one_annotation_per_image(
    export, imported, manager, teammate, make_annotation, others, status, chosen
):
    """The approved one, else the newest submitted one, else (for "all") whatever there is."""
    image = Image.objects.get(name="1.png")
    for name, state in others.items():
        if name == "manager":
            Annotation.objects.filter(image=image).update(status=state)
        else:
            annotation = make_annotation(image, teammate, state, regions=2)
            assert annotation.updated_at > Annotation.objects.get(
                image=image, annotator=manager
            ).updated_at  # fmt: skip
    document = export(status=status)
    number = {"manager": 1, "teammate": 2}.get(chosen or "", 0)
    found = [one for one in document["annotations"] if one["image_id"] == 12]
    assert len(found) == number
    assert [one["file_name"] for one in document["images"]].count("1.png") == (chosen is not None)


def test_an_annotation_that_was_only_opened_is_none(
    export, manager, teammate, imported, make_annotation
):
    Annotation.objects.all().delete()
    make_annotation(Image.objects.get(name="0.png"), teammate)
    assert export(status="all")["images"] == []


def test_ids_are_given_once_and_never_change(export, imported, teammate, make_annotation):
    """New images and regions are counted on from the greatest id; what has one keeps it."""
    Image.objects.filter(name="1.png").update(export_id=None)
    first = export()
    assert [image["id"] for image in first["images"]] == [11, 13, 14]
    extra = make_annotation(Image.objects.get(name="1.png"), teammate, "approved", regions=3)
    Annotation.objects.filter(pk=extra.pk).update(updated_at=timezone.now())
    second = export()
    ids = [one["id"] for one in second["annotations"]]
    assert ids == [101, 105, 106, 107, 108]
    Region.objects.filter(export_id=108).update(deleted_at=timezone.now())
    assert [one["id"] for one in export()["annotations"]] == [101, 105, 106, 107]
    make_annotation(Image.objects.get(name="2.png"), teammate, "approved", regions=1)
    assert 108 not in [one["id"] for one in export()["annotations"]]
    assert 109 in [one["id"] for one in export()["annotations"]]


def test_ids_start_at_one(make_project, make_image, make_annotation, teammate, tmp_path):
    project = make_project()
    make_annotation(make_image(project), teammate, "submitted", regions=2)
    release = releases.make_release(project, Rule("submitted"), None)
    exports.write_dataset(release, "coco", tmp_path)
    document = json.loads((tmp_path / "annotations" / "instances.json").read_text())
    assert [image["id"] for image in document["images"]] == [1]
    assert [one["id"] for one in document["annotations"]] == [1, 2]
    assert [category["id"] for category in document["categories"]] == [1, 2]


def test_images_end_as_their_raster_does(filled, manager, tmp_path, client_of):
    from annotations.services import ingest
    from tests.ingest import samples

    deep = samples.encoded(samples.pixels().convert("I;16"), "TIFF")
    image = ingest.add_image(manager, filled, io.BytesIO(deep), "scan.tif")
    Annotation.objects.create(
        project=filled, image=image, annotator=manager, status="approved", revision=1
    )
    release = releases.make_release(filled, Rule(), None)
    exports.write_dataset(release, "coco", tmp_path, images=True)
    document = json.loads((tmp_path / "annotations" / "instances.json").read_text())
    assert [one["file_name"] for one in document["images"]] == ["scan.png"]
    upright = default_storage.open(image.file.upright).read()
    assert (tmp_path / "images" / "scan.png").read_bytes() == upright


def test_splits_are_decided_by_the_image_alone(imported, tmp_path):
    options = {"splits": {"train": 0.5, "val": 0.5}}
    placed = []
    for name in ("first", "second"):
        out = tmp_path / name
        out.mkdir()
        release = releases.make_release(imported, Rule(), None)
        exports.write_dataset(release, "coco", out, options=options)
        placed.append(
            {
                image["file_name"]: path.name
                for path in sorted((out / "annotations").iterdir())
                for image in json.loads(path.read_text())["images"]
            }
        )
    assert placed[0] == placed[1]
    assert set(placed[0]) == {"0.png", "1.png", "2.png"}


# --- jobs and downloads ---------------------------------------------------------------------------


@pytest.fixture
def ask(client_of, imported) -> Callable[..., Any]:
    def post(user: Any, **body: Any) -> Any:
        body = {"format": "coco", **body}
        url = f"/api/projects/{imported.pk}/exports"
        return client_of(user).post(url, body, format="json")

    return post


def download(client: Any, job: int) -> Any:
    return client.get(f"/api/jobs/{job}/download")


def test_an_export_is_a_job_with_a_download(ask, client_of, manager, teammate, stranger, imported):
    Project.objects.update(name='a/../"b"\r\n=cmd() ünï' + "x" * 90)
    response = ask(manager, images=True)
    assert response.status_code == 202, response.json()
    pk = response.json()["id"]
    assert download(client_of(manager), pk).status_code == 409
    done = jobs.run(pk, exports.run_export)
    assert done
    assert done.state == "done", done.error
    assert (done.result["images"], done.result["regions"]) == (3, 3)
    response = download(client_of(manager), pk)
    data = b"".join(response.streaming_content)
    assert len(data) == done.result["bytes"]
    assert "\n" not in response["Content-Disposition"]
    assert "/" not in response["Content-Disposition"]
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''")
    assert response["X-Content-Type-Options"] == "nosniff"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert sorted(names) == [
        "annotations/instances.json", "images/0.png", "images/1.png", "images/2.png",
    ]  # fmt: skip
    assert download(client_of(None), pk).status_code == 401
    assert download(client_of(stranger), pk).status_code == 404
    assert download(client_of(teammate), pk).status_code == 404
    Membership.objects.filter(user=manager).update(role="annotator")
    assert download(client_of(manager), pk).status_code == 403


def test_the_same_ground_truth_makes_the_same_bytes(ask, manager):
    results = []
    for _ in range(2):
        done = jobs.run(ask(manager, images=True).json()["id"], exports.run_export)
        assert done
        results.append(done.result)
    assert results[0]["sha256"] == results[1]["sha256"]
    assert results[0]["file"] != results[1]["file"]


def test_only_managers_export(ask, owner, reviewer, teammate, stranger):
    for user, status in ((None, 401), (stranger, 404), (teammate, 403), (reviewer, 403)):
        assert ask(user).status_code == status
    assert not Job.objects.exists()
    assert ask(owner).status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "nonsense"}, "format"),
        ({"status": "rejected"}, "status"),
        ({"options": {"path": "/etc"}}, "options.path"),
        ({"options": {"splits": {"train": 2}}}, "options.splits"),
        ({"options": {"splits": {"train": "x"}}}, "options.splits"),
        ({"options": {"splits": {"../x": 1}}}, "options.splits"),
        ({"owner": 1}, "owner"),
    ],
)
def test_bad_requests_make_no_job(ask, manager, body, field):
    response = ask(manager, **body)
    assert response.status_code == 400
    assert response.json()["field"] == field
    assert not Job.objects.exists()


def test_the_same_key_is_the_same_export(client_of, imported, manager):
    url = f"/api/projects/{imported.pk}/exports"
    pks = {
        client_of(manager)
        .post(url, {"format": "coco"}, format="json", HTTP_IDEMPOTENCY_KEY=key)
        .json()["id"]
        for key in ("a", "a", "b")
    }
    assert len(pks) == 2


@pytest.mark.parametrize(("regions", "state"), [(1000, "done"), (0, "queued")])
def test_a_small_export_is_done_before_the_answer(
    ask, manager, client_of, monkeypatch, django_capture_on_commit_callbacks, regions, state
):
    monkeypatch.setattr(selectors, "SMALL_REGIONS", regions)
    woken: list[Job] = []
    monkeypatch.setattr(jobs, "wake", woken.append)
    with django_capture_on_commit_callbacks(execute=True):
        pk = ask(manager).json()["id"]
    assert Job.objects.get(pk=pk).state == state
    assert len(woken) == (state == "queued")
    assert download(client_of(manager), pk).status_code == (409 if woken else 200)


def test_what_a_format_cannot_hold_fails_the_job(ask, manager, monkeypatch):
    def refuse(*args: Any) -> None:
        raise coco_format.DatasetError("0.png has too many regions.", "0.png")

    monkeypatch.setattr(coco_format, "write", refuse)
    failed = jobs.run(ask(manager, images=True).json()["id"], exports.run_export)
    assert failed
    assert failed.error
    assert (failed.state, failed.error["field"]) == ("failed", "0.png")


@pytest.mark.django_db(transaction=True)
def test_no_partial_file_is_ever_readable(ask, manager, client_of, settings, monkeypatch):
    """Whatever stops an export before its end leaves no file in the storage and no download."""

    class Death(BaseException):
        pass

    def die(*args: Any, **kwargs: Any) -> None:
        raise Death

    pk = ask(manager, images=True).json()["id"]
    put = Placed.put

    def put_and_die(self: Placed, name: str, source: Any, **options: bool) -> None:
        put(self, name, source, **options)
        raise Death

    steps = ((coco_format, "write", die), (exports, "pack", die), (Placed, "put", put_and_die))
    for target, name, fault in (*steps, (jobs.JobRun, "finish", die)):
        Job.objects.update(state="queued", attempts=0)
        with monkeypatch.context() as patch:
            patch.setattr(target, name, fault)
            with pytest.raises(Death):
                jobs.run(pk, exports.run_export)
        assert download(client_of(manager), pk).status_code == 409
        assert not list((settings.MEDIA_ROOT / "exports").glob("*"))
        assert not list(settings.SPOOL_DIR.glob("tmp-*"))
    Job.objects.update(state="queued")
    done = jobs.run(pk, exports.run_export)
    assert done
    assert done.state == "done"
    assert download(client_of(manager), pk).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_export_leaves_nothing(ask, manager, settings, monkeypatch):
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    pk = ask(manager, images=True).json()["id"]
    write = coco_format.write

    def cancel_first(*args: Any) -> None:
        jobs.cancel(Job.objects.get(pk=pk))
        write(*args)

    monkeypatch.setattr(coco_format, "write", cancel_first)
    ended = jobs.run(pk, exports.run_export)
    assert ended
    assert ended.state == "cancelled"
    assert not list((settings.MEDIA_ROOT / "exports").glob("*"))


def test_formats_are_listed(client_of, teammate):
    formats = client_of(teammate).get("/api/formats").json()
    assert {"coco", "semantic_png", "instance_png"} <= {one["name"] for one in formats}
