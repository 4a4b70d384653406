import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotations.formats import pngs
from annotations.masks import rle
from annotations.records import DatasetError, Geometry, ImageRecord, RegionRecord
from tests.formats.helpers import (
    CATEGORIES,
    SIZE,
    box,
    mask,
    read,
    save_json,
    simple_images,
    tree,
    write,
)


def refused(name, path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(name, path)
    assert "/tmp" not in caught.value.detail
    return caught.value


def change(path, keys, value):
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    save_json(path, document)


def ids_in(path) -> np.ndarray:
    colors = np.asarray(Image.open(path)).astype(int)
    return colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]


def test_the_panoptic_sample_goes_in_and_comes_out_equal(shared_data, tmp_path):
    folder = shared_data / "coco_panoptic"
    found, images = read("coco_panoptic", folder)
    assert found.kind == "panoptic"
    assert len(found.categories) == 133
    assert sorted(len(image.regions) for image in images) == [18, 32]
    write("coco_panoptic", images, tmp_path / "out", categories=found.categories)
    source = json.loads((folder / "panoptic_examples.json").read_text())
    out = json.loads((tmp_path / "out" / "annotations" / "panoptic.json").read_text())
    assert len(out["annotations"]) == 2
    written = {entry["image_id"]: entry for entry in out["annotations"]}
    for entry in source["annotations"]:
        made = written[entry["image_id"]]
        before = ids_in(folder / "panoptic_examples" / entry["file_name"])
        after = ids_in(tmp_path / "out" / "annotations" / "panoptic" / made["file_name"])
        assert ((before == 0) == (after == 0)).all()
        # COCO's ids are unique within an image only, so they are counted anew.
        for segment, other in zip(entry["segments_info"], made["segments_info"], strict=True):
            assert ((before == segment["id"]) == (after == other["id"])).all()
            assert {**segment, "id": 0} == {**other, "id": 0}
    colors = {c["name"]: c["color"] for c in source["categories"]}
    for category in found.categories:
        assert pngs.rgb(category.color) == tuple(colors[category.name])


def test_stuff_of_one_category_is_one_segment(tmp_path):
    regions = (
        RegionRecord(7, Geometry(SIZE, [[box(2, 2, 9, 9)]]), id=4),
        RegionRecord(1, Geometry(SIZE, [[box(20, 2, 9, 9)]]), id=5),
        RegionRecord(7, Geometry(SIZE, [[box(40, 2, 9, 9)]]), id=6),
    )
    images = [ImageRecord("a.jpg", 60, 40, regions)]
    report = write("coco_panoptic", images, tmp_path / "out")
    [image] = read("coco_panoptic", tmp_path / "out")[1]
    assert [(region.id, region.area) for region in image.regions] == [(4, 162), (5, 81)]
    assert report.notes == ["Region 6 of 'a.jpg': it is joined with the stuff region 4."]


def test_ids_beyond_24_bits_are_counted_anew(tmp_path):
    regions = tuple(
        RegionRecord(1, Geometry(SIZE, [[box(x, 2, 9, 9)]]), id=2**24 + x) for x in (2, 20)
    )
    report = write("coco_panoptic", [ImageRecord("a.jpg", 60, 40, regions)], tmp_path / "out")
    [image] = read("coco_panoptic", tmp_path / "out")[1]
    assert [region.id for region in image.regions] == [1, 2]
    assert any("counted from 1" in note for note in report.notes)


def test_ids_that_two_images_share_are_left_out(tmp_path):
    write("coco_panoptic", simple_images(), tmp_path / "out")
    path = tmp_path / "out" / "annotations" / "panoptic.json"
    document = json.loads(path.read_text())
    png = path.with_suffix("") / "second.png"
    labels = pngs.packed(pngs.read(png, "")[..., ::-1])
    labels[labels == 10] = 3
    colors = np.stack([labels & 255, labels >> 8 & 255, labels >> 16], axis=-1)
    pngs.write(png, colors.astype(np.uint8))
    document["annotations"][2]["segments_info"][0]["id"] = 3
    save_json(path, document)
    _, images = read("coco_panoptic", tmp_path / "out")
    assert {region.id for image in images for region in image.regions} == {None}


@pytest.mark.parametrize(
    ("keys", "value", "pointer"),
    [
        (("annotations", 0, "image_id"), 99, "/annotations/0/image_id"),
        (("annotations", 0, "image_id"), 6, "/annotations/1/image_id"),
        (("annotations", 0, "file_name"), "../x.png", "/annotations/0/file_name"),
        (("annotations", 0, "file_name"), "none.png", "/annotations/0/file_name"),
        (("annotations", 0, "segments_info"), ..., "/annotations/0/segments_info"),
        (("annotations", 0, "segments_info"), [], "/annotations/0/file_name"),
        (("annotations", 0, "segments_info", 0, "id"), 77, "/annotations/0/segments_info/0/id"),
        (
            ("annotations", 0, "segments_info", 0, "category_id"),
            77,
            "/annotations/0/segments_info/0/category_id",
        ),
        (("images", 0, "width"), 61, "/annotations/0/file_name"),
        (("categories", 0, "isthing"), 5, "/categories/0/isthing"),
    ],
)
def test_bad_panoptic_files(tmp_path, keys, value, pointer):
    write("coco_panoptic", simple_images(), tmp_path / "out")
    change(tmp_path / "out" / "annotations" / "panoptic.json", keys, value)
    assert refused("coco_panoptic", tmp_path / "out").pointer == pointer


def scored() -> list[ImageRecord]:
    shapes = [mask((2, 2, 15, 15)), mask((20, 2, 15, 15)), mask((40, 2, 15, 15))]
    regions = tuple(
        RegionRecord(1, Geometry(SIZE, counts=counts), score=score)
        for counts, score in zip(shapes, (0.9, 0.5, 0.25), strict=True)
    )
    return [ImageRecord("a.jpg", 60, 40, regions, id=3), ImageRecord("b.jpg", 60, 40, id=4)]


def test_coco_evaluates_the_results(tmp_path):
    write("coco", scored(), tmp_path / "truth")
    write("coco_results", scored(), tmp_path / "results")
    truth = COCO(tmp_path / "truth" / "annotations" / "instances.json")
    results = truth.loadRes(str(tmp_path / "results" / "results.json"))
    evaluation = COCOeval(truth, results, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_results_survive_with_their_scores(tmp_path):
    report = write("coco_results", scored(), tmp_path / "out")
    assert report.notes == []
    found, images = read("coco_results", tmp_path / "out")
    assert found.categories == CATEGORIES
    assert [region.score for region in images[0].regions] == [0.9, 0.5, 0.25]
    assert [image.id for image in images] == [3, 4]
    for region, other in zip(images[0].regions, scored()[0].regions, strict=True):
        assert region.geometry == other.geometry


def test_results_may_name_another_file_for_the_images(tmp_path):
    write("coco", scored(), tmp_path / "truth")
    write("coco_results", scored(), tmp_path / "out")
    (tmp_path / "out" / "images.json").unlink()
    assert refused("coco_results", tmp_path / "out").pointer == "images.json"
    truth = tmp_path / "truth" / "annotations" / "instances.json"
    results = tmp_path / "out" / "results.json"
    assert len(read("coco_results", results, {"images": truth})[1][0].regions) == 3


@pytest.mark.parametrize(
    ("keys", "value", "pointer"),
    [
        ((0, "image_id"), 99, "/0/image_id"),
        ((0, "category_id"), 99, "/0/category_id"),
        ((1, "score"), ..., "/1/score"),
        ((1, "score"), 7, "/1/score"),
        ((2, "segmentation", "size"), [60, 40], "/2/segmentation/size"),
        ((2, "segmentation", "counts"), rle.from_runs([5, 6]), "/2/segmentation/counts"),
    ],
)
def test_bad_results(tmp_path, keys, value, pointer):
    write("coco_results", scored(), tmp_path / "out")
    change(tmp_path / "out" / "results.json", keys, value)
    assert refused("coco_results", tmp_path / "out").pointer == pointer


def test_results_that_are_no_list(tmp_path):
    write("coco_results", scored(), tmp_path / "out")
    (tmp_path / "out" / "results.json").write_text("{}")
    assert "list" in refused("coco_results", tmp_path / "out").detail


def test_a_region_without_a_score_is_reported(tmp_path):
    report = write("coco_results", simple_images(), tmp_path / "out")
    assert sum("no score" in note for note in report.notes) == 5
    assert sorted(tree(tmp_path / "out")) == ["images.json", "results.json"]
