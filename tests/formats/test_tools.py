"""The files of other labeling tools: labelme, CVAT, Datumaro, Label Studio."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from annotations.attributes import declared
from annotations.formats.label_studio import pack, unpack
from annotations.masks import polygons, rle
from annotations.records import CategoryRecord, DatasetError, Geometry, ImageRecord, RegionRecord
from tests.formats.helpers import (
    CATEGORIES,
    SIZE,
    box,
    masks_of,
    merged,
    read,
    save_json,
    simple_images,
    write,
)
from tests.masks.strategies import masks

TOOLS = ["labelme", "cvat", "datumaro", "label_studio"]


def refused(name, path, options=None) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(name, path, options)
    assert "/tmp" not in caught.value.detail
    return caught.value


@pytest.mark.parametrize("name", ["labelme", "cvat", "datumaro"])
def test_the_coco_sample_survives(name, shared_data, tmp_path):
    found, images = read("coco", shared_data / "coco_sample" / "instances.json")
    write(name, images, tmp_path / "out", categories=found.categories)
    again, back = read(name, tmp_path / "out")
    back.sort(key=lambda image: image.file_name)
    for image, expected in zip(back, sorted(images, key=lambda i: i.file_name), strict=True):
        assert image.file_name == expected.file_name
        assert masks_of(image, again.categories) == masks_of(expected, found.categories)
        for region, other in zip(image.regions, expected.regions, strict=True):
            assert region.geometry == other.geometry


def test_the_coco_sample_survives_label_studio(shared_data, tmp_path):
    """Vertices in percent come back to a millionth of a pixel; masks exactly."""
    found, images = read("coco", shared_data / "coco_sample" / "instances.json")
    images.sort(key=lambda image: -sum(region.is_crowd for region in image.regions))
    images = images[:12]
    assert any(region.is_crowd for region in images[5].regions)
    write("label_studio", images, tmp_path / "out", categories=found.categories)
    again, back = read("label_studio", tmp_path / "out")
    for image, expected in zip(back, images, strict=True):
        assert masks_of(image, again.categories) == masks_of(expected, found.categories)
        for region, other in zip(image.regions, expected.regions, strict=True):
            assert region.is_crowd == other.is_crowd
            if other.geometry.polygons and len(other.geometry.polygons) == 1:
                assert region.geometry == other.geometry


@pytest.mark.parametrize("name", TOOLS)
def test_holes_go_out_as_masks_and_are_reported(name, tmp_path):
    report = write(name, simple_images(), tmp_path / "out")
    assert any("Region 10 of 'second.png'" in note and "mask" in note for note in report.notes)


# --- labelme -------------------------------------------------------------------------------------


def labelme_document(**shape) -> dict:
    ring = [[5, 5], [25, 5], [25, 25]]
    entry: dict = {
        "label": "cell",
        "points": ring,
        "shape_type": "polygon",
        "group_id": None,
        "flags": {},
    }
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [entry | shape],
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 40,
        "imageWidth": 60,
    }


def png(pixels: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_labelme_files(tmp_path):
    write("labelme", simple_images(), tmp_path / "out")
    first = json.loads((tmp_path / "out" / "first.json").read_text())
    assert first["imagePath"] == "first.jpg"
    kinds = [shape["shape_type"] for shape in first["shapes"]]
    assert kinds == ["polygon", "polygon", "polygon", "mask"]
    assert [shape["group_id"] for shape in first["shapes"]] == [None, 4, 4, None]
    nested = json.loads((tmp_path / "out" / "folder" / "nothing here.json").read_text())
    assert (nested["imagePath"], nested["shapes"]) == ("nothing here.png", [])
    lines = (tmp_path / "out" / "labels.txt").read_text().splitlines()
    assert lines == ["__ignore__", "_background_", "cell", "=cmd()", "sky"]


def test_labelme_shapes(tmp_path):
    """A mask's box includes its last row and column."""
    pixels = np.zeros((3, 4), np.uint8)
    pixels[1, 1:] = 1
    document = labelme_document()
    document["shapes"] += [
        labelme_document(shape_type="rectangle", points=[[2, 3], [12, 13]])["shapes"][0],
        labelme_document(shape_type="circle", points=[[30, 20], [30, 30]])["shapes"][0],
        labelme_document(shape_type="mask", points=[[10, 20], [13, 22]], mask=png(pixels))[
            "shapes"
        ][0],
    ]
    document["imagePath"] = "..\\images\\a.jpg"
    _, [image] = read("labelme", save_json(tmp_path / "a.json", document))
    assert image.file_name == "a.jpg"
    masks = [polygons.geometry_mask(region.geometry) for region in image.regions]
    assert [mask.sum() for mask in masks] == [pytest.approx(190, abs=25), 100, 312, 3]
    assert np.argwhere(masks[3]).tolist() == [[21, 11], [21, 12], [21, 13]]


@pytest.mark.parametrize(
    ("shape", "pointer"),
    [
        ({"shape_type": "line"}, "/shapes/0/shape_type"),
        ({"points": [[5, 5], [25, 5]]}, "/shapes/0/points"),
        ({"points": [[5, 5], [25, 5], [25]]}, "/shapes/0/points"),
        ({"points": [[5, 5], [25, 5], [25, "5"]]}, "/shapes/0/points"),
        ({"points": [[5, 5], [25, 5], [1e8, 5]]}, "/shapes/0/points"),
        ({"shape_type": "rectangle"}, "/shapes/0/points"),
        ({"label": ""}, "/shapes/0/label"),
        ({"shape_type": "mask", "points": [[10, 20], [13, 22]], "mask": "?"}, "/shapes/0/mask"),
        ({"shape_type": "mask", "points": [[10, 20], [13, 22]], "mask": "aGk="}, "/shapes/0/mask"),
        ({"shape_type": "mask", "points": [[10, 20], [13, 22]]}, "/shapes/0/mask"),
        (
            {
                "shape_type": "mask",
                "points": [[10, 20], [13, 22]],
                "mask": png(np.ones((4, 3), np.uint8)),
            },
            "/shapes/0/mask",
        ),
        (
            {
                "shape_type": "mask",
                "points": [[10, 20], [13, 22]],
                "mask": png(np.zeros((3, 4), np.uint8)),
            },
            "/shapes/0/mask",
        ),
        (
            {
                "shape_type": "mask",
                "points": [[57, 38], [60, 40]],
                "mask": png(np.ones((3, 4), np.uint8)),
            },
            "/shapes/0/points",
        ),
    ],
)
def test_bad_labelme_shapes(tmp_path, shape, pointer):
    save_json(tmp_path / "a.json", labelme_document(**shape))
    assert refused("labelme", tmp_path).pointer == f"a.json#{pointer}"


def test_bad_labelme_files(tmp_path):
    assert "no JSON" in refused("labelme", tmp_path).detail
    document = labelme_document()
    document["imageHeight"] = 0
    save_json(tmp_path / "a.json", document)
    assert refused("labelme", tmp_path).pointer == "a.json#/imageHeight"
    save_json(tmp_path / "a.json", labelme_document())
    save_json(tmp_path / "b.json", labelme_document(label="CELL") | {"imagePath": "b.jpg"})
    assert "case" in refused("labelme", tmp_path).detail


# --- CVAT ----------------------------------------------------------------------------------------

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels>
    <label><name>car</name><color>#ff00ff</color><attributes></attributes></label>
    <label><name>sky</name><color>#0000ff</color><attributes></attributes></label>
  </labels></task></meta>
  <image id="0" name="sub/a.jpg" subset="train" width="60" height="40">
    <tag label="car" source="manual"></tag>
    <mask label="sky" source="manual" rle="3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1,
 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3" left="7" top="8" width="13" height="15"></mask>
    <polygon label="car" occluded="0" points="25.5,5.25;45,5;45,25" z_order="0">
      <attribute name="parked">false</attribute>
    </polygon>
    <box label="car" occluded="0" xtl="2" ytl="3" xbr="12.5" ybr="13" z_order="1"></box>
  </image>
  <image id="1" name="b.jpg" width="60" height="40"></image>
</annotations>
"""


def test_cvat_as_cvat_writes_it(tmp_path):
    """The mask is the example of CVAT's documentation, moved."""
    (tmp_path / "annotations.xml").write_text(CVAT)
    found, [first, second] = read("cvat", tmp_path)
    assert [(c.name, c.color) for c in found.categories] == [("car", "#ff00ff"), ("sky", "#0000ff")]
    assert (first.file_name, first.split, second.regions) == ("sub/a.jpg", "train", ())
    disc = polygons.geometry_mask(first.regions[0].geometry)
    ys, xs = np.nonzero(disc)
    assert (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1) == (7, 8, 13, 15)
    assert disc.sum() == 5 + 7 + 9 + 11 + 11 + 12 + 12 + 26 + 12 + 12 + 11 + 9 + 7 + 5
    assert disc[8, 10:15].all()
    assert disc[8].sum() == 5
    assert first.regions[1].geometry.polygons == [[[25.5, 5.25, 45.0, 5.0, 45.0, 25.0]]]
    assert first.regions[1].attributes == {"parked": "false"}
    assert first.regions[2].geometry.polygons == [[box(2, 3, 10.5, 10)]]


def test_text_that_xml_must_escape_survives(tmp_path):
    attributes = {"a<b>&\"'": 'x < y & z\n"q" \x01'}
    region = RegionRecord(2, Geometry(SIZE, [[box(5, 5, 9, 9)]]), attributes=attributes)
    write("cvat", [ImageRecord("a&'.png", 60, 40, (region,))], tmp_path / "out")
    _, [image] = read("cvat", tmp_path / "out")
    assert image.file_name == "a&'.png"
    assert image.regions[0].attributes == {"a<b>&\"'": 'x < y & z\n"q" '}


LAUGHS = '<!DOCTYPE a [<!ENTITY l "lol">' + "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">'.replace("&l0;", "&l;") for n in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not xml",
        CVAT[:-40],
        "<a>" * 100_000,
        LAUGHS + "]><annotations>&l9;</annotations>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><annotations/>',
        '<?xml version="1.0" encoding="none"?><annotations/>',
        '<?xml version="1.0" encoding="utf-7"?><annotations/>',
    ],
    ids=["empty", "text", "cut", "deep", "laughs", "file", "dtd", "encoding", "multi-byte"],
)
def test_bad_xml(tmp_path, text):
    (tmp_path / "annotations.xml").write_text(text)
    error = refused("cvat", tmp_path)
    assert (error.code, error.pointer) == ("unreadable", "annotations.xml")


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ('name="sub/a.jpg"', 'name="../a.jpg"', "annotations.xml, image 0"),
        ('name="b.jpg"', 'name="sub/a.jpg"', "annotations.xml, image 1"),
        ('width="60"', 'width="x"', "annotations.xml, image 0"),
        ('width="60"', "", "annotations.xml, image 0"),
        ('rle="3, 5', 'rle="4, 5', "annotations.xml, image 0, shape 1"),
        ('rle="3, 5', 'rle="-3, 5', "annotations.xml, image 0, shape 1"),
        ('rle="3, 5', 'rle="99999999999, 5', "annotations.xml, image 0, shape 1"),
        ('left="7"', 'left="50"', "annotations.xml, image 0, shape 1"),
        ('points="25.5,5.25;45,5;45,25"', 'points="25.5,5.25;45,5"', "image 0, shape 2"),
        ('points="25.5,5.25;45,5;45,25"', 'points="25.5,x;45,5;45,25"', "image 0, shape 2"),
        ('points="25.5,5.25;45,5;45,25"', 'points="nan,5;45,5;45,25"', "image 0, shape 2"),
        ('points="25.5,5.25;45,5;45,25"', "", "image 0, shape 2"),
        ('xtl="2"', 'xtl="1e9"', "image 0, shape 3"),
        ("<polygon", '<polyline label="car" points="1,1;2,2"/><polygon', "image 0, shape 2"),
        ("<name>sky</name>", "<name>CAR</name>", "annotations.xml"),
        ('label="car" occluded', "occluded", "annotations.xml"),
    ],
)
def test_bad_cvat(tmp_path, old, new, pointer):
    assert old in CVAT
    (tmp_path / "annotations.xml").write_text(CVAT.replace(old, new, 1))
    assert refused("cvat", tmp_path).pointer.endswith(pointer)


def test_cvat_too_large_or_missing(tmp_path):
    assert "annotations.xml" in refused("cvat", tmp_path).detail
    (tmp_path / "annotations.xml").write_text(CVAT)
    assert refused("cvat", tmp_path, {"max_bytes": 10}).code == "too_large"


# --- Datumaro ------------------------------------------------------------------------------------


def datumaro_document(**annotation) -> dict:
    entry = {
        "id": 1,
        "type": "polygon",
        "attributes": {"is_crowd": False},
        "group": 0,
        "label_id": 0,
        "points": [5, 5, 25, 5, 25, 25],
        "z_order": 0,
    }
    return {
        "info": {},
        "categories": {"label": {"labels": [{"name": "cell", "parent": ""}], "attributes": []}},
        "items": [
            {
                "id": "a",
                "annotations": [entry | annotation],
                "image": {"path": "a.jpg", "size": [40, 60]},
            }
        ],
    }


def test_datumaro_keeps_ids_and_boxes_are_rings(tmp_path):
    document = datumaro_document(id=7)
    document["items"][0]["annotations"].append(
        {
            "id": 8,
            "type": "bbox",
            "bbox": [2, 3, 10, 12],
            "label_id": 0,
            "attributes": {},
            "group": 0,
        }
    )
    document["items"][0]["annotations"].append({"id": 0, "type": "label", "label_id": 0})
    save_json(tmp_path / "annotations" / "default.json", document)
    _, [image] = read("datumaro", tmp_path)
    assert image.regions[1].geometry.polygons == [[box(2, 3, 10, 12)]]
    assert [region.id for region in image.regions] == [None, None]
    document["items"][0]["annotations"].pop()
    save_json(tmp_path / "annotations" / "default.json", document)
    assert [region.id for region in read("datumaro", tmp_path)[1][0].regions] == [7, 8]


def test_datumaro_without_sizes_asks_for_them(tmp_path):
    document = datumaro_document()
    del document["items"][0]["image"]
    path = save_json(tmp_path / "annotations" / "default.json", document)
    assert read("datumaro", path)[1][0].width == 60
    assert "size" in refused("datumaro", path, {"image_size": lambda name: None}).detail


@pytest.mark.parametrize(
    ("annotation", "pointer"),
    [
        ({"type": "polyline"}, "/items/0/annotations/0/type"),
        ({"label_id": 1}, "/items/0/annotations/0/label_id"),
        ({"label_id": None}, "/items/0/annotations/0/label_id"),
        ({"points": [5, 5, 25, 5]}, "/items/0/annotations/0"),
        ({"points": "x"}, "/items/0/annotations/0/points"),
        ({"type": "mask", "rle": {"counts": "1", "size": [40, 60]}}, "/items/0/annotations/0"),
        ({"type": "mask"}, "/items/0/annotations/0/rle"),
        ({"type": "bbox", "bbox": [1, 2, 3]}, "/items/0/annotations/0/bbox/h"),
        ({"attributes": {"is_crowd": "no"}}, "/items/0/annotations/0/attributes/is_crowd"),
        ({"id": -1}, "/items/0/annotations/0/id"),
    ],
)
def test_bad_datumaro(tmp_path, annotation, pointer):
    save_json(tmp_path / "annotations" / "default.json", datumaro_document(**annotation))
    assert refused("datumaro", tmp_path).pointer == f"default.json#{pointer}"


def test_bad_datumaro_items(tmp_path):
    assert "annotations" in refused("datumaro", tmp_path).detail
    document = datumaro_document()
    document["items"] *= 2
    path = save_json(tmp_path / "annotations" / "default.json", document)
    assert "Another image" in refused("datumaro", path).detail
    document = datumaro_document()
    document["items"][0]["image"]["path"] = "../a.jpg"
    assert "relative" in refused("datumaro", save_json(path, document)).detail
    document["items"][0]["image"]["size"] = [40]
    assert "size" in refused("datumaro", save_json(path, document)).detail


# --- Label Studio --------------------------------------------------------------------------------


def reference_unpack(data: list[int]) -> list[int]:
    """rle-pack as its documentation says, on a text of bits."""
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated = take(1)
        count = take(sizes[take(2)]) + 1
        values += [take(word)] * count if repeated else [take(word) for _ in range(count)]
    return values


@given(masks)
def test_brush_masks(mask):
    data = pack(mask)
    values = reference_unpack(data)
    assert values == np.repeat(mask.ravel() * 255, 4).tolist()
    assert (unpack(bytes(data), mask.shape) == mask).all()


def test_a_brush_mask_of_literals():
    """Label Studio's own encoder also writes runs of single values."""
    pixels = [0, 0, 0, 0, 9, 9, 9, 200, 0, 0, 0, 0, 1, 1, 1, 1]
    bits = f"{16:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    bits += "000" + f"{4:03b}" + "".join(f"{n:08b}" for n in pixels[:5])
    bits += "001" + f"{10:04b}" + "".join(f"{n:08b}" for n in pixels[5:])
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    assert unpack(data, (2, 2)).tolist() == [[False, True], [False, True]]


def test_a_large_brush_mask():
    mask = np.zeros((1500, 2000), bool)
    mask[100:1400, 7:1993] = True
    data = pack(mask)
    assert len(data) < 30_000
    assert (unpack(bytes(data), mask.shape) == mask).all()


def task(**result) -> dict:
    value = {"points": [[10, 10], [50, 10], [50, 50]], "polygonlabels": ["cell"], "closed": True}
    entry = {
        "id": "x",
        "type": "polygonlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": 60,
        "original_height": 40,
        "value": value,
    }
    return {
        "id": 1,
        "data": {"image": "/data/upload/3/1a2b3c4d-a.jpg"},
        "annotations": [{"result": [entry | result], "was_cancelled": False}],
        "predictions": [],
    }


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/3/1a2b3c4d-my%20image.jpg", "my image.jpg"),
        ("/data/local-files/?d=set/a.jpg", "set/a.jpg"),
        ("s3://bucket/folder/a.jpg", "a.jpg"),
        ("https://host/x/a.jpg?sig=1", "a.jpg"),
        ("images/folder/a.jpg", "folder/a.jpg"),
        ("a.jpg", "a.jpg"),
    ],
)
def test_the_image_behind_an_address(tmp_path, address, name):
    entry = task()
    entry["data"]["image"] = address
    path = save_json(tmp_path / "tasks.json", [entry])
    [image] = read("label_studio", path)[1]
    assert image.file_name == name
    assert image.regions[0].geometry.polygons == [[[6.0, 4.0, 30.0, 4.0, 30.0, 20.0]]]


def test_the_annotation_that_counts(tmp_path):
    entry = task()
    good = entry["annotations"][0]
    cancelled = {"result": [], "was_cancelled": True}
    result = dict(good["result"][0], score=0.5)
    entry["annotations"] = [cancelled, good]
    entry["predictions"] = [{"result": [result, result], "score": 0.5}]
    path = save_json(tmp_path / "tasks.json", [entry])
    assert [r.score for r in read("label_studio", path)[1][0].regions] == [None]
    back = read("label_studio", path, {"predictions": True})[1][0].regions
    assert [region.score for region in back] == [0.5, 0.5]
    entry["annotations"] = [cancelled]
    save_json(path, [entry])
    assert len(read("label_studio", path)[1][0].regions) == 2


def test_a_label_studio_rectangle(tmp_path):
    value = {"x": 10, "y": 10, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["b"]}
    path = save_json(tmp_path / "tasks.json", [task(type="rectanglelabels", value=value)])
    [image] = read("label_studio", path)[1]
    assert image.regions[0].geometry.polygons == [[box(6.0, 4.0, 30.0, 20.0)]]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "keypointlabels"},
        {"original_width": 61},
        {"original_width": "60"},
        {"value": {"points": [[1, 1], [2, 2]], "polygonlabels": ["a"]}},
        {"value": {"points": [[1, 1], [2, 2], [3]], "polygonlabels": ["a"]}},
        {"value": {"points": [[1, 1], [2, 2], [1e9, 3]], "polygonlabels": ["a"]}},
        {"value": {"points": [[1, 1], [9, 2], [9, 9]], "polygonlabels": []}},
        {"value": {"points": [[1, 1], [9, 2], [9, 9]], "polygonlabels": [5]}},
        {"type": "brushlabels", "value": {"rle": [1, 2, 3], "brushlabels": ["a"]}},
        {"type": "brushlabels", "value": {"rle": [256], "brushlabels": ["a"]}},
        {
            "type": "brushlabels",
            "value": {"rle": pack(np.ones((3, 3), bool)), "brushlabels": ["a"]},
        },
        {"type": "brushlabels", "value": {"rle": pack(np.zeros(SIZE, bool)), "brushlabels": ["a"]}},
        {
            "type": "brushlabels",
            "value": {"rle": pack(np.eye(40, 60, dtype=bool))[:-9], "brushlabels": ["a"]},
        },
        {
            "type": "rectanglelabels",
            "value": {
                "x": 1,
                "y": 1,
                "width": 9,
                "height": 9,
                "rotation": 5,
                "rectanglelabels": ["a"],
            },
        },
        {"score": 3},
        {"meta": [1]},
    ],
)
def test_bad_label_studio(tmp_path, change):
    good = task()
    good["data"]["image"] = "b.jpg"
    bad = task(**change)
    if change == {"original_width": 61}:
        bad["annotations"][0]["result"].append(task()["annotations"][0]["result"][0])
    path = save_json(tmp_path / "tasks.json", [good, bad])
    assert re.match("/1(/|$)", refused("label_studio", path).pointer)


def test_bad_label_studio_files(tmp_path):
    assert "no JSON" in refused("label_studio", tmp_path).detail
    path = save_json(tmp_path / "tasks.json", {})
    assert "list" in refused("label_studio", path).detail
    save_json(path, [task(), task()])
    assert "Another task" in refused("label_studio", path).detail
    entry = task()
    entry["data"]["image"] = "../../a.jpg"
    assert refused("label_studio", save_json(path, [entry])).pointer == "/0/data/image"
    entry = task()
    entry["annotations"] = []
    save_json(path, [entry])
    assert read("label_studio", path)[1][0].regions == ()
    assert "size" in refused("label_studio", path, {"image_size": lambda name: None}).detail


def test_the_labeling_config_is_xml(tmp_path):
    from defusedxml.ElementTree import parse

    write("label_studio", simple_images(), tmp_path / "out")
    root = parse(tmp_path / "out" / "labeling_config.xml").getroot()
    assert root is not None
    names = [label.get("value") for label in root.iter("Label")]
    assert names == [category.name for category in CATEGORIES] * 2


def test_brush_and_polygon_of_one_category_are_one_category(tmp_path):
    write("label_studio", simple_images(), tmp_path / "out")
    found, images = read("label_studio", tmp_path / "out")
    assert sorted(category.name for category in found.categories) == ["=cmd()", "cell", "sky"]
    assert rle.area(merged(images[0], found.categories)["cell"]) > 0


def test_declared_attributes_survive_cvat(tmp_path):
    attributes = tuple(
        declared(
            [
                {"name": "colour", "type": "choice", "choices": ["red", "a b"], "default": "a b"},
                {"name": "doors", "type": "number", "default": 4},
                {"name": "parked", "type": "checkbox", "default": False},
                {"name": "note", "type": "text"},
            ]
        )
    )
    car = CategoryRecord(1, "car", "", "#ff0000", attributes=attributes)
    write("cvat", [], tmp_path / "out", categories=(car,))
    found, _ = read("cvat", tmp_path / "out")
    assert found.categories[0].attributes == attributes
