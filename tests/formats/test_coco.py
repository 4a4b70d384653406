import json
import math

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO

from annotations.formats.coco import read as read_coco
from annotations.masks import polygons, rle
from annotations.records import DatasetError, Geometry, ImageRecord, RegionRecord
from tests.formats.helpers import SIZE, mask, read, save_json, simple_images, tree, write


def document() -> dict:
    return {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40},
            {"id": 2, "file_name": "b.jpg", "width": 60, "height": 40},
        ],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "sky"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [[5, 5, 25, 5, 25, 25, 5, 25]],
                "area": 400,
                "bbox": [5, 5, 20, 20],
            },
            {
                "id": 2,
                "image_id": 1,
                "category_id": 2,
                "segmentation": {"size": [40, 60], "counts": [100, 50, 2250]},
                "iscrowd": 1,
            },
        ],
    }


def refused(tmp_path, value) -> DatasetError:
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    path = tmp_path / "instances.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError) as caught:
        list(read_coco(path, {}).images)
    return caught.value


@pytest.fixture
def sample(shared_data):
    return json.loads((shared_data / "coco_sample" / "instances.json").read_text())


def test_the_coco_sample_goes_in_and_comes_out_equal(shared_data, sample, tmp_path):
    source = shared_data / "coco_sample" / "instances.json"
    _, images = read("coco", source)
    categories = read_coco(source, {}).categories
    write("coco", images, tmp_path / "out", categories=categories)
    text = (tmp_path / "out" / "annotations" / "instances.json").read_text()
    out = json.loads(text)
    by_id = {entry["id"]: entry for entry in out["annotations"]}
    assert len(by_id) == len(out["annotations"]) == len(sample["annotations"]) == 680
    for entry in sample["annotations"]:
        made = by_id[entry["id"]]
        for key in ("segmentation", "iscrowd", "category_id", "image_id"):
            assert json.dumps(made[key], sort_keys=True) == json.dumps(entry[key], sort_keys=True)
    assert sum(entry["iscrowd"] for entry in out["annotations"]) == 9
    keys = ("id", "file_name", "width", "height")
    assert out["images"] == [{key: image[key] for key in keys} for image in sample["images"]]
    assert [(c["id"], c["name"], c["supercategory"]) for c in out["categories"]] == [
        (c["id"], c["name"], c["supercategory"]) for c in sample["categories"]
    ]


def test_pycocotools_reads_the_same_masks(shared_data, tmp_path):
    source = shared_data / "coco_sample" / "instances.json"
    found, images = read("coco", source)
    write("coco", images, tmp_path / "out", categories=found.categories)
    before, after = COCO(source), COCO(tmp_path / "out" / "annotations" / "instances.json")
    assert set(before.imgs) == set(after.imgs)
    for id, annotation in before.anns.items():
        made = after.annToMask(after.anns[id])
        assert (before.annToMask(annotation) == made).all()
        assert after.anns[id]["area"] == made.sum()
        encoded = coco.encode(np.asfortranarray(made))
        assert after.anns[id]["bbox"] == coco.toBbox(encoded).tolist()


@pytest.mark.parametrize("options", [{}, {"uncompressed": True}])
def test_geometry_survives(tmp_path, options):
    write("coco", simple_images(), tmp_path / "out", options)
    found, images = read("coco", tmp_path / "out")
    assert [c.name for c in found.categories] == ["cell", "=cmd()", "sky"]
    assert [c.is_thing for c in found.categories] == [True, True, False]
    assert [c.color for c in found.categories] == ["#ff0000", "#00ff80", "#0000ff"]
    for image, expected in zip(images, simple_images(), strict=True):
        assert (image.file_name, image.id) == (expected.file_name, expected.id)
        assert (image.width, image.height) == (60, 40)
        for region, other in zip(image.regions, expected.regions, strict=True):
            assert (region.id, region.category_id) == (other.id, other.category_id)
            counts = polygons.geometry_counts(other.geometry)
            assert polygons.geometry_counts(region.geometry) == counts
            assert region.area == rle.area(counts)
            parts = other.geometry.polygons
            if parts and all(len(rings) == 1 for rings in parts):
                assert region.geometry.polygons == parts


def test_holes_become_a_mask_and_the_report_says_so(tmp_path):
    report = write("coco", simple_images(), tmp_path / "out")
    assert report.notes == ["Region 10 of 'second.png': it has holes and is written as a mask."]
    loaded = COCO(tmp_path / "out" / "annotations" / "instances.json")
    assert isinstance(loaded.anns[10]["segmentation"], dict)
    drawn = polygons.geometry_mask(simple_images()[2].regions[0].geometry)
    assert (loaded.annToMask(loaded.anns[10]) == drawn).all()


def test_ids_count_from_1_where_none_are_given(tmp_path):
    region = RegionRecord(1, Geometry(SIZE, counts=mask((3, 3, 9, 9))))
    images = [
        ImageRecord("a.jpg", 60, 40, (region, region)),
        ImageRecord("b.jpg", 60, 40, (region,)),
    ]
    write("coco", images, tmp_path / "out")
    out = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())
    assert [entry["id"] for entry in out["annotations"]] == [1, 2, 3]
    assert [entry["image_id"] for entry in out["annotations"]] == [1, 1, 2]
    assert [entry["iscrowd"] for entry in out["annotations"]] == [0, 0, 0]


def test_scores_attributes_and_crowds_survive(tmp_path):
    region = RegionRecord(
        2,
        Geometry(SIZE, counts=mask((3, 3, 9, 9))),
        id=4,
        is_crowd=True,
        score=0.25,
        attributes={"occluded": True, "note": "ä <script>"},
    )
    write("coco", [ImageRecord("a.jpg", 60, 40, (region,))], tmp_path / "out")
    out = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())
    assert isinstance(out["annotations"][0]["segmentation"]["counts"], list)
    [back] = read("coco", tmp_path / "out")[1][0].regions
    assert (back.is_crowd, back.score, back.attributes) == (True, 0.25, region.attributes)


def test_the_drawn_geometry_wins_over_the_area_in_the_file(tmp_path):
    value = document()
    value["annotations"][0]["area"] = 12.5
    path = save_json(tmp_path / "in.json", value)
    _, images = read("coco", path)
    assert images[0].regions[0].area == 12.5
    write("coco", images, tmp_path / "out")
    out = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())
    assert out["annotations"][0]["area"] == 400


def test_numbers_keep_their_text(tmp_path):
    value = document()
    ring = [5, 5.0, 25.1, 5, 25.12345678901234, 25, 5, 2.5e1]
    value["annotations"][0]["segmentation"] = [ring]
    _, images = read("coco", save_json(tmp_path / "in.json", value))
    write("coco", images, tmp_path / "out")
    text = (tmp_path / "out" / "annotations" / "instances.json").read_text()
    assert "[[5,5.0,25.1,5,25.12345678901234,25,5,25.0]]" in text


def test_ids_below_1_are_counted_anew(tmp_path):
    value = document()
    value["annotations"][0]["id"] = 0
    _, images = read("coco", save_json(tmp_path / "in.json", value))
    assert [region.id for region in images[0].regions] == [None, None]
    assert [image.id for image in images] == [1, 2]


def test_missing_iscrowd_is_0(tmp_path):
    _, images = read("coco", save_json(tmp_path / "in.json", document()))
    assert [region.is_crowd for region in images[0].regions] == [False, True]
    assert images[1].regions == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"images": [NaN]}', "NaN"),
        (b'{"images": [-Infinity]}', "Infinity"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
    ],
)
def test_what_is_not_json(tmp_path, text, words):
    error = refused(tmp_path, text)
    assert error.code == "unreadable"
    assert words in error.detail


def test_a_file_that_is_too_large(tmp_path):
    path = save_json(tmp_path / "in.json", document())
    with pytest.raises(DatasetError) as caught:
        read_coco(path, {"max_bytes": 100})
    assert caught.value.code == "too_large"


def change(path: str, value):
    """A document with the value at a JSON pointer replaced; `...` removes it."""
    result = document()
    *parents, last = path.strip("/").split("/")
    place = result
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return result


RLE = {"size": [40, 60], "counts": rle.from_runs([100, 50, 2250])}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/images", ...),
        ("/categories", ...),
        ("/annotations", ...),
        ("/annotations", {}),
        ("/images/0", 5),
        ("/images/0/id", ...),
        ("/images/0/id", "1"),
        ("/images/0/id", True),
        ("/images/0/id", 1.0),
        ("/images/1/id", 1),
        ("/images/0/width", ...),
        ("/images/0/height", 0),
        ("/images/0/width", 10**9),
        ("/images/0/file_name", ...),
        ("/images/1/file_name", "a.jpg"),
        ("/images/0/file_name", "../a.jpg"),
        ("/images/0/file_name", "/etc/passwd"),
        ("/images/0/file_name", "C:\\a.jpg"),
        ("/images/0/file_name", "a/../../b.jpg"),
        ("/images/0/file_name", "a\u0000.jpg"),
        ("/images/0/file_name", "\ud800.jpg"),
        ("/images/0/file_name", ""),
        ("/categories/1/id", 1),
        ("/categories/1/name", "CELL"),
        ("/categories/0/name", ""),
        ("/categories/0/name", ...),
        ("/categories/0/name", "a\u0000"),
        ("/categories/0/name", "x" * 201),
        ("/categories/0/color", "red"),
        ("/annotations/1/id", 1),
        ("/annotations/0/id", ...),
        ("/annotations/0/id", 2**63),
        ("/annotations/0/image_id", 3),
        ("/annotations/0/category_id", 3),
        ("/annotations/0/image_id", ...),
        ("/annotations/0/category_id", None),
        ("/annotations/0/iscrowd", 2),
        ("/annotations/0/iscrowd", "0"),
        ("/annotations/0/score", 1.5),
        ("/annotations/0/area", "4"),
        ("/annotations/0/attributes", [1]),
        ("/annotations/0/attributes", {"a": "\u0000"}),
        ("/annotations/0/attributes", {"a": "\ud800"}),
        ("/annotations/0/segmentation", ...),
        ("/annotations/0/segmentation", []),
        ("/annotations/0/segmentation", "x"),
        ("/annotations/0/segmentation/0", 5),
        ("/annotations/0/segmentation/0", [5, 5, 25, 5]),
        ("/annotations/0/segmentation/0", [5, 5, 25, 5, 25]),
        ("/annotations/0/segmentation/0", [5, 5, 10, 10, 20, 20]),
        ("/annotations/0/segmentation/0", [1, 2] * 10_001),
        ("/annotations/0/segmentation/0", RLE),
        ("/annotations/0/segmentation/0/3", 1e8),
        ("/annotations/0/segmentation/0/0", math.inf),
        ("/annotations/1/segmentation/counts", [100, 50, 2249]),
        ("/annotations/1/segmentation/counts", [100, -50, 2350]),
        ("/annotations/1/segmentation/counts", [100, 2**32, 2]),
        ("/annotations/1/segmentation/counts", [[5, 5, 25, 5, 25, 25]]),
        ("/annotations/1/segmentation/counts", "abc"),
        ("/annotations/1/segmentation/counts", ...),
        ("/annotations/1/segmentation/size", [60, 40]),
        ("/annotations/1/segmentation/size", ...),
    ],
)
def test_what_is_wrong_is_named_by_its_pointer(tmp_path, pointer, value):
    changed = change(pointer, value)
    text = json.dumps(changed).replace("Infinity", "1e999")
    error = refused(tmp_path, text)
    assert error.pointer.startswith(pointer)
    assert error.code == "invalid_dataset"
    assert "/tmp" not in error.detail


def test_a_list_at_the_top_is_refused(tmp_path):
    error = refused(tmp_path, [])
    assert error.pointer == ""


def test_a_missing_key_is_named(tmp_path):
    error = refused(tmp_path, change("/annotations/1/segmentation", {"size": [40, 60]}))
    assert error.pointer == "/annotations/1/segmentation/counts"


def test_splits_must_agree(tmp_path):
    folder = tmp_path / "annotations"
    save_json(folder / "instances_train.json", document())
    other = document()
    other["annotations"] = []
    save_json(folder / "instances_val.json", other)
    with pytest.raises(DatasetError, match="another file"):
        read_coco(tmp_path, {})
    for image in other["images"]:
        image["id"] += 10
    save_json(folder / "instances_val.json", other)
    assert [image.split for image in read_coco(tmp_path, {}).images] == ["train"] * 2 + ["val"] * 2
    other["categories"][0]["name"] = "nucleus"
    save_json(folder / "instances_val.json", other)
    with pytest.raises(DatasetError, match="categories"):
        read_coco(tmp_path, {})


def test_a_folder_without_json(tmp_path):
    with pytest.raises(DatasetError, match="no JSON"):
        read_coco(tmp_path, {})


def test_no_spool_is_left_behind(tmp_path):
    write("coco", simple_images(), tmp_path / "out")
    assert list(tree(tmp_path / "out")) == ["annotations/instances.json"]
