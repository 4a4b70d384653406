"""The commands on real data: what goes in comes out, and the exit code tells."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pycocotools.coco import COCO

from annotations.masks import rle
from annotations.models import Annotation, Image, Project, Region
from tests.ingest import samples


def run(*words: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=out, **options)
    return out.getvalue()


def test_the_coco_sample_comes_back_equal(shared_data, owner, tmp_path):
    folder = shared_data / "coco_sample"
    source = folder / "instances.json"
    images = folder / "images"
    run("import_dataset", "coco", source, "--project", "sample", "--images", images)
    project = Project.objects.get(name="sample")
    assert (project.kind, project.created_by) == ("instance", owner)
    said = run("import_dataset", "coco", source, "--project", "sample", "--images", images)
    assert "70 images had them already" in said
    assert (Image.objects.count(), Region.objects.count()) == (70, 680)

    run("export_dataset", "coco", tmp_path / "out", "--project", "sample")
    exported = tmp_path / "out" / "annotations" / "instances.json"
    before, after = json.loads(source.read_text()), json.loads(exported.read_text())

    def plain(rows: list[dict[str, Any]], *keys: str) -> dict[int, list[Any]]:
        return {row["id"]: [row[key] for key in keys] for row in rows}

    for part, keys in (
        ("images", ("file_name", "width", "height")),
        ("categories", ("name", "supercategory")),
        ("annotations", ("image_id", "category_id", "iscrowd", "segmentation")),
    ):
        assert plain(after[part], *keys) == plain(before[part], *keys)
    assert sum(row["iscrowd"] for row in after["annotations"]) == 9

    theirs, ours = COCO(str(source)), COCO(str(exported))
    for pk in theirs.anns:
        counts = theirs.annToRLE(theirs.anns[pk])["counts"]
        assert ours.annToRLE(ours.anns[pk])["counts"] == counts
        assert ours.anns[pk]["area"] == rle.area(counts.decode())


@pytest.mark.parametrize("format", ["semantic_png", "instance_png"])
def test_masks_of_the_sample_come_back_equal(shared_data, owner, tmp_path, format):
    """A semantic and a panoptic project, out as masks with images, and in again."""
    folder = shared_data / "coco_sample"
    kind = {"semantic_png": "semantic", "instance_png": "panoptic"}[format]
    words = ["import_dataset", "coco", folder / "instances.json", "--images", folder / "images"]
    run(*words, "--project", "first", "--kind", kind)
    run("export_dataset", format, tmp_path / "out.zip", "--project", "first", "--images")
    run("import_dataset", format, tmp_path / "out.zip", "--project", "second", "--kind", kind)

    def contents(name: str) -> list[Any]:
        rows = Region.objects.filter(annotation__project__name=name)
        return sorted(rows.values_list("annotation__image__name", "category__name", "counts"))

    assert contents("second") == contents("first")
    assert len(contents("first")) > 250
    assert Annotation.objects.filter(project__name="second", status="approved").count() == 70


def test_a_failed_import_leaves_no_project(owner, tmp_path):
    (tmp_path / "a.json").write_text("no json")
    with pytest.raises(CommandError, match="JSON"):
        run("import_dataset", "coco", tmp_path / "a.json", "--project", "new")
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 4}],'
        ' "annotations": [], "categories": []}'
    )
    with pytest.raises(CommandError, match=r"/images/0: There is no image a\.png"):
        run("import_dataset", "coco", tmp_path / "a.json", "--project", "new")
    with pytest.raises(CommandError, match="There is no file"):
        run("import_dataset", "coco", tmp_path / "b.json", "--project", "new")
    assert not Project.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_images_from_files_folders_and_zips(filled, tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(samples.png(10))
    (folder / "sub" / "b.jpg").write_bytes(samples.jpeg(11))
    (folder / "notes.txt").write_text("hello")
    (tmp_path / "c.png").write_bytes(samples.png(0))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("in/d.png", samples.png(12))
    words = ["import_images", folder, tmp_path / "c.png", tmp_path / "d.zip"]
    said = run(*words, "--project", filled.name)
    assert said == f"3 images added to {filled.name}, 1 were there already\n"
    names = set(Image.objects.values_list("name", flat=True))
    assert {"a.png", "sub/b.jpg", "in/d.png"} <= names
    (tmp_path / "bad.png").write_bytes(b"no")
    with pytest.raises(CommandError, match="1 file could not be taken"):
        run("import_images", tmp_path / "bad.png", "--project", filled.name)
    with pytest.raises(CommandError, match="There is no project"):
        run("import_images", tmp_path / "c.png", "--project", "nobody's")


def test_an_export_replaces_nothing(filled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(CommandError, match="is there already"):
        run("export_dataset", "coco", tmp_path / "out", "--project", filled.name)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    run("export_dataset", "coco", tmp_path / "new.zip", "--project", filled.name)
    assert zipfile.is_zipfile(tmp_path / "new.zip")
    assert {path.name for path in tmp_path.iterdir()} >= {"out", "new.zip"}
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
