import json

import numpy as np
import pytest
from PIL import Image

from annotations.formats import cityscapes, pngs, voc
from annotations.formats.registry import load
from annotations.masks import rle
from annotations.records import (
    CategoryRecord,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)
from tests.formats.helpers import (
    CATEGORIES,
    SIZE,
    box,
    dataset,
    mask,
    masks_of,
    merged,
    raster,
    read,
    save_json,
    simple_images,
    with_splits,
    write,
)


def refused(name, path, options=None) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(name, path, options)
    assert "/tmp" not in caught.value.detail
    return caught.value


def test_vocs_colours_are_its_own():
    """Spot checks against the published colour map."""
    known = {1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    for index, color in known.items():
        assert pngs.rgb(pngs.default_color(index)) == color
    assert pngs.rgb(pngs.default_color(255)) == pngs.BORDER


def test_voc_files(tmp_path):
    images = with_splits(simple_images())
    load("voc").write(dataset(images), tmp_path / "out", {}, Report(), open_image=raster)
    lists = tmp_path / "out" / "ImageSets" / "Segmentation"
    assert (lists / "train.txt").read_text() == "first\nsecond\n"
    assert (lists / "val.txt").read_text() == "folder/nothing here\n"
    assert (tmp_path / "out" / "labelmap.txt").read_text().splitlines()[1:] == [
        "background:0,0,0::",
        "cell:255,0,0::",
        "=cmd():0,255,128::",
        "sky:0,0,255::",
    ]
    with Image.open(tmp_path / "out" / "SegmentationClass" / "first.png") as image:
        assert image.mode == "P"
        assert np.unique(np.asarray(image)).tolist() == [0, 1, 3]
    objects = pngs.read(tmp_path / "out" / "SegmentationObject" / "first.png", "")
    assert np.unique(objects).tolist() == [0, 1, 2, 3]
    _, back = read("voc", tmp_path / "out")
    assert [image.file_name for image in back] == [
        "first.jpg",
        "second.jpg",
        "folder/nothing here.jpg",
    ]


def test_a_voc_border_is_asked_for(tmp_path):
    report = write("voc", simple_images(), tmp_path / "out", {"border": 5})
    classes = pngs.read(tmp_path / "out" / "SegmentationClass" / "first.png", "")
    edge = classes == 255
    assert edge.any()
    assert any("are border" in note for note in report.notes)
    _, back = read("voc", tmp_path / "out")
    drawn = rle.decode(simple_images()[0].regions[2].geometry.counts or "", SIZE)
    [region] = [r for r in back[0].regions if r.category_id == 3]
    inner = rle.decode(region.geometry.counts or "", SIZE)
    assert (inner == (drawn & ~edge)).all()
    assert inner.sum() < drawn.sum()


def test_voc_of_2012_and_colour_pngs_and_semantic_only(tmp_path):
    labels = np.zeros(SIZE, np.uint8)
    labels[5:15, 5:15], labels[20:30, 20:30], labels[0] = 15, 1, 255
    palette = {i: pngs.rgb(pngs.default_color(i)) for i in range(256)}
    path = tmp_path / "VOC2012" / "SegmentationClass" / "a.png"
    pngs.write(path, labels, palette)
    expected = {"aeroplane": rle.encode(labels == 1), "person": rle.encode(labels == 15)}
    for _ in range(2):
        found, [image] = read("voc", tmp_path)
        assert found.kind == "semantic"
        assert [c.name for c in found.categories] == list(voc.STANDARD)
        assert merged(image, found.categories) == expected
        with Image.open(path) as picture:
            picture.convert("RGB").save(path)


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda out: (out / "labelmap.txt").write_text("cell:1,2\n"), "labelmap.txt"),
        (lambda out: (out / "labelmap.txt").write_text("a:1,2,3::\nA:3,4,5::\n"), "labelmap.txt"),
        (lambda out: (out / "labelmap.txt").write_bytes(b"\xff\xfe"), "labelmap.txt"),
        (
            lambda out: (out / "labelmap.txt").write_text("cell:1,2,3::\n"),
            "SegmentationClass/first.png",
        ),
        (
            lambda out: (out / "SegmentationObject" / "first.png").unlink(),
            "SegmentationObject/first.png",
        ),
        (
            lambda out: pngs.write(
                out / "SegmentationObject" / "first.png", np.ones(SIZE, np.uint8)
            ),
            "SegmentationObject/first.png",
        ),
        (
            lambda out: pngs.write(
                out / "SegmentationObject" / "first.png", np.ones((9, 9), np.uint8)
            ),
            "SegmentationObject/first.png",
        ),
        (
            lambda out: (out / "ImageSets" / "Segmentation" / "train.txt").write_text("../../x"),
            "train.txt",
        ),
        (
            lambda out: (out / "ImageSets" / "Segmentation" / "train.txt").write_text("ä" * 126),
            f"SegmentationClass/{'ä' * 126}.png",
        ),
    ],
)
def test_bad_voc(tmp_path, spoil, pointer):
    write("voc", simple_images(), tmp_path / "out")
    spoil(tmp_path / "out")
    assert refused("voc", tmp_path / "out").pointer == pointer


def test_voc_without_its_folder(tmp_path):
    assert "SegmentationClass" in refused("voc", tmp_path).detail


def test_voc_holds_254_objects(tmp_path):
    region = RegionRecord(1, Geometry(SIZE, counts=mask((1, 1, 2, 2))))
    with pytest.raises(DatasetError, match="254"):
        write("voc", [ImageRecord("a.png", 60, 40, (region,) * 255)], tmp_path / "out")


CITY = (CategoryRecord(1, "car"), CategoryRecord(2, "Road", is_thing=False))


def city_images() -> list[ImageRecord]:
    regions = (
        RegionRecord(2, Geometry(SIZE, [[box(0, 20, 60, 20)]]), order=0),
        RegionRecord(1, Geometry(SIZE, [[box(3, 3, 9, 9)]]), order=1),
        RegionRecord(1, Geometry(SIZE, [[box(20, 3, 9, 9)]]), order=2),
        RegionRecord(1, Geometry(SIZE, [[box(40, 3, 9, 9)]]), is_crowd=True, order=3),
    )
    return [ImageRecord("ulm/ulm_000001_leftImg8bit.png", 60, 40, regions, split="val")]


def test_cityscapes_files(tmp_path):
    images = city_images()
    load("cityscapes").write(
        dataset(images, categories=CITY), tmp_path, {}, Report(), open_image=raster
    )
    assert (tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000001_leftImg8bit.png").is_file()
    folder = tmp_path / "gtFine" / "val" / "ulm"
    instances = pngs.read(folder / "ulm_000001_gtFine_instanceIds.png", "")
    assert instances.dtype == np.uint16
    assert np.unique(instances).tolist() == [0, 7, 26, 26000, 26001]
    labels = pngs.read(folder / "ulm_000001_gtFine_labelIds.png", "")
    assert np.unique(labels).tolist() == [0, 7, 26]
    polygons = json.loads((folder / "ulm_000001_gtFine_polygons.json").read_text())
    assert (polygons["imgHeight"], polygons["imgWidth"]) == (40, 60)
    assert [entry["label"] for entry in polygons["objects"]] == ["Road", "car", "car", "cargroup"]
    assert polygons["objects"][1]["polygon"] == [[3, 3], [12, 3], [12, 12], [3, 12]]


@pytest.mark.parametrize("options", [{}, {"polygons": True}])
def test_cityscapes_survive(tmp_path, options):
    write("cityscapes", city_images(), tmp_path / "out", categories=CITY)
    found, [image] = read("cityscapes", tmp_path / "out", options)
    assert found.categories == CITY
    assert (image.file_name, image.split) == ("ulm/ulm_000001_leftImg8bit.png", "val")
    assert sorted(masks_of(image, CITY)) == sorted(masks_of(city_images()[0], CITY))
    assert sum(region.is_crowd for region in image.regions) == 1


def test_cityscapes_without_a_legend_has_its_own_labels(tmp_path):
    write("cityscapes", city_images(), tmp_path / "out", categories=CITY)
    (tmp_path / "out" / "legend.json").unlink()
    found, [image] = read("cityscapes", tmp_path / "out")
    assert len(found.categories) == 30
    assert {name for name, _ in masks_of(image, found.categories)} == {"car", "road"}


def test_the_labels_of_other_categories():
    assert cityscapes.labels_of(CATEGORIES) == {1: 1, 2: 2, 7: 7}
    assert cityscapes.labels_of((CategoryRecord(5000, "a"), CategoryRecord(0, "b"))) == {
        5000: 1,
        0: 2,
    }
    with pytest.raises(DatasetError, match="64"):
        cityscapes.labels_of(tuple(CategoryRecord(i, f"c{i}") for i in range(65)))


def test_holes_that_cityscapes_polygons_cannot_say_are_reported(tmp_path):
    report = write("cityscapes", simple_images(), tmp_path / "out")
    assert [note for note in report.notes if "holes" in note] == [
        "Region 10 of 'second.png': its holes are in the PNGs, not in the polygons."
    ]


def test_more_objects_than_cityscapes_numbers(tmp_path):
    region = RegionRecord(1, Geometry(SIZE, counts=mask((1, 1, 2, 2))))
    with pytest.raises(DatasetError, match="1000"):
        write("cityscapes", [ImageRecord("a.png", 60, 40, (region,) * 1001)], tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"imgHeight": 0}, "imgHeight"),
        ({"objects": [{"label": "ufo", "polygon": [[1, 1], [5, 1], [5, 5]]}]}, "ufo"),
        ({"objects": [{"label": "car", "polygon": [[1, 1], [5, 1]]}]}, "3 points"),
        ({"objects": [{"label": "car", "polygon": [1, 2, 3]}]}, "[x, y]"),
        ({"objects": [{"label": "car", "polygon": [[1e8, 1], [5, 1], [5, 5]]}]}, "far outside"),
        ({"objects": ...}, "missing"),
    ],
)
def test_bad_cityscapes_polygons(tmp_path, change, words):
    write("cityscapes", city_images(), tmp_path / "out", categories=CITY)
    [path] = (tmp_path / "out").rglob("*_polygons.json")
    document = json.loads(path.read_text()) | change
    save_json(path, {key: value for key, value in document.items() if value is not ...})
    error = refused("cityscapes", tmp_path / "out", {"polygons": True})
    assert words in error.detail
    assert error.pointer.startswith("val/ulm/ulm_000001_gtFine_polygons.json")


def test_an_unknown_cityscapes_label(tmp_path):
    write("cityscapes", city_images(), tmp_path / "out", categories=CITY)
    [path] = (tmp_path / "out").rglob("*_instanceIds.png")
    pngs.write(path, np.full(SIZE, 55000, np.uint16))
    assert "label 55" in refused("cityscapes", tmp_path / "out").detail
    assert "instanceIds" in refused("cityscapes", tmp_path / "out" / "gtFine" / "none").detail
