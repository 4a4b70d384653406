"""What holds for every format that writes."""

from pathlib import Path

import numpy as np
import PIL.Image as PIL
import pytest

from annotations.formats.names import stem
from annotations.formats.registry import FORMATS, load
from annotations.masks import rle
from annotations.records import DatasetError, Geometry, ImageRecord, RegionRecord, Report
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
    simple_images,
    tree,
    with_splits,
    write,
)

WRITERS = [name for name, info in FORMATS.items() if info.writes]
WITHOUT_SPLITS = ("coco_results", "labelme", "label_studio")


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_tells_the_truth(name):
    module = load(name)
    assert FORMATS[name].reads == hasattr(module, "read")
    assert FORMATS[name].writes == hasattr(module, "write")


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_data_set_makes_the_same_bytes(name, tmp_path):
    write(name, simple_images(), tmp_path / "a")
    write(name, simple_images(), tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a")


@pytest.mark.parametrize("name", WRITERS)
def test_images_are_taken_one_by_one_and_none_is_kept(name, tmp_path):
    """The writer never asks for an image before it is done with the one before."""
    done: list[int] = []

    def images():
        for index, image in enumerate(simple_images()):
            assert len(done) == index
            yield image

    report = Report()
    load(name).write(dataset(images()), tmp_path, {}, report, progress=done.append)
    assert done == [1, 2, 3]
    assert (report.images, report.regions) == (3, 5)


@pytest.mark.parametrize("name", WRITERS)
def test_rasters_are_copied_beside(name, tmp_path):
    load(name).write(dataset(simple_images()), tmp_path, {}, Report(), open_image=raster)
    contents = tree(tmp_path)
    if name == "voc":  # JPEGs, which hold one even colour nearly unchanged
        for image in simple_images():
            [path] = tmp_path.glob(f"JPEGImages/**/{Path(image.file_name).stem}.jpg")
            wanted, found = PIL.open(raster(image)), PIL.open(path)
            assert found.format == "JPEG"
            assert np.abs(np.asarray(found).astype(int) - np.asarray(wanted)).max() <= 3
        return
    for image in simple_images():
        [path] = [key for key, value in contents.items() if value == raster(image).read()]
        assert image.file_name.rsplit(".", 1)[0] in path


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_around_a_single_folder_may_be_left_out(name, tmp_path):
    """Archives are often unpacked that way."""
    write(name, simple_images(), tmp_path / "out")
    folder = tmp_path / "out"
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        folder = inside[0]
    assert len(read(name, folder)[1]) == 3


@pytest.mark.parametrize("name", WRITERS)
def test_a_split_is_no_path(name, tmp_path):
    with pytest.raises(DatasetError, match="split"):
        write(name, [ImageRecord("a.png", 60, 40, split="../x")], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


WITH_INSTANCES = [name for name in WRITERS if name != "semantic_png"]


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_masks_survive_pixel_for_pixel(name, tmp_path):
    write(name, simple_images(), tmp_path / "out")
    found, back = read(name, tmp_path / "out")
    assert {c.name for c in found.categories} <= {c.name for c in CATEGORIES}
    by_name = {stem(image.file_name.removesuffix("_leftImg8bit.png")): image for image in back}
    by_name = {key.removesuffix("_leftImg8bit"): image for key, image in by_name.items()}
    assert len(by_name) == 3
    for expected in simple_images():
        image = by_name[stem(expected.file_name)]
        assert (image.width, image.height) == (60, 40)
        got = sorted(masks_of(image, found.categories))
        assert got == sorted(masks_of(expected, CATEGORIES))


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "datumaro", "label_studio", "yolo"])
def test_a_polygon_survives_vertex_for_vertex(name, tmp_path):
    ring = [3.125, 4.1, 22.333333, 5.0, 17.77, 30.25, 40.0, 39.9, 2.000001, 38.0]
    region = RegionRecord(1, Geometry(SIZE, [[ring]]))
    write(name, [ImageRecord("a.png", 60, 40, (region,))], tmp_path / "out")
    [image] = read(name, tmp_path / "out")[1]
    assert image.regions[0].geometry.polygons == [[ring]]


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "datumaro"])
def test_a_polygon_in_parts_stays_one_region(name, tmp_path):
    parts = [[box(3, 3, 8, 8)], [box(20, 3, 8.5, 9)], [box(25, 5, 9, 9)]]
    other = [[box(40, 3, 8, 8)], [box(40, 20, 8, 8)]]
    regions = (
        RegionRecord(1, Geometry(SIZE, parts), id=4),
        RegionRecord(1, Geometry(SIZE, other), id=5),
    )
    write(name, [ImageRecord("a.png", 60, 40, regions)], tmp_path / "out")
    [image] = read(name, tmp_path / "out")[1]
    assert [region.geometry.polygons for region in image.regions] == [parts, other]


KEEPS = {
    "coco": {"crowd", "score", "attributes", "ids", "category ids"},
    "instance_png": {"crowd", "score", "attributes", "ids", "category ids"},
    "coco_panoptic": {"crowd", "ids", "category ids"},
    "coco_results": {"score", "category ids"},
    "cityscapes": {"crowd", "category ids"},
    "voc": set(),
    "yolo": set(),
    "labelme": {"crowd", "score", "attributes"},
    "cvat": {"attributes"},
    "datumaro": {"crowd", "score", "attributes", "ids"},
    "label_studio": {"crowd", "score", "attributes"},
}


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_what_is_not_kept_is_in_the_report(name, tmp_path):
    """The table in docs/formats.md says the same."""
    region = RegionRecord(
        2,
        Geometry(SIZE, counts=mask((3, 3, 9, 9))),
        id=12,
        is_crowd=True,
        score=0.75,
        attributes={"occluded": "yes"},
    )
    report = write(name, [ImageRecord("a.png", 60, 40, (region,), id=1)], tmp_path / "out")
    found, [image] = read(name, tmp_path / "out")
    [back] = image.regions
    notes = " ".join(report.notes)
    keeps = KEEPS[name]
    assert back.is_crowd == ("crowd" in keeps) != ("the crowd flag" in notes)
    assert (back.score == 0.75) == ("score" in keeps) != ("the score" in notes)
    assert (back.attributes != {}) == ("attributes" in keeps) != ("the attributes" in notes)
    assert back.id == (12 if "ids" in keeps else None)
    assert (back.category_id == 2) >= ("category ids" in keeps)
    assert masks_of(image, found.categories) == [("=cmd()", region.geometry.counts)]


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_overlaps_are_kept_or_reported(name, tmp_path):
    regions = (
        RegionRecord(1, Geometry(SIZE, [[box(5, 5, 20, 20)]]), order=0),
        RegionRecord(2, Geometry(SIZE, [[box(15, 15, 20, 20)]]), order=1),
    )
    report = write(name, [ImageRecord("a.png", 60, 40, regions)], tmp_path / "out")
    found, [image] = read(name, tmp_path / "out")
    seen = merged(image, found.categories)
    assert rle.area(seen["=cmd()"]) == 400
    if name in ("instance_png", "coco_panoptic", "cityscapes", "voc"):
        assert rle.area(seen["cell"]) == 300
        assert any("hides 100 pixels" in note for note in report.notes)
    else:
        assert rle.area(seen["cell"]) == 400


@pytest.mark.parametrize("name", WRITERS)
def test_a_region_without_a_pixel_stops_nothing(name, tmp_path):
    tiny = RegionRecord(1, Geometry(SIZE, [[[20.1, 20.1, 20.3, 20.1, 20.3, 20.3]]]))
    holed = RegionRecord(1, Geometry(SIZE, [[box(5, 5, 9, 9), box(4, 4, 12, 12)]]))
    report = write(name, [ImageRecord("a.png", 60, 40, (tiny, holed))], tmp_path / "out")
    assert report.regions == 2
    if name not in ("coco_results", "labelme", "label_studio", "datumaro"):
        assert report.notes


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_without_images_is_written(name, tmp_path):
    write(name, [], tmp_path / "out")
    assert tree(tmp_path / "out")


@pytest.mark.parametrize(
    "name", [n for n in WRITERS if FORMATS[n].reads and n not in WITHOUT_SPLITS]
)
def test_splits_survive(name, tmp_path):
    images = with_splits(simple_images())
    write(name, images, tmp_path / "out")
    _, back = read(name, tmp_path / "out")
    assert sorted((image.split, bool(image.regions)) for image in back) == [
        ("train", True),
        ("train", True),
        ("val", False),
    ]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "bad",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\a.png",
        "a\x00\r\nb.png",
        "x" * 500 + ".png",
        "..",
        "\u202egnp.exe",
    ],
)
def test_no_name_leaves_the_folder(name, bad, tmp_path):
    images = [ImageRecord(bad, 60, 40), ImageRecord(bad.upper(), 60, 40)]
    (tmp_path / "out").mkdir()
    report = Report()
    load(name).write(dataset(images), tmp_path / "out", {}, report, open_image=raster)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    for path in tree(tmp_path / "out"):
        assert all(char.isprintable() and char not in '\\:"<>|?*' for char in path)
        assert all(0 < len(part.encode()) <= 255 and part != ".." for part in path.split("/"))
    drawn = {raster(image).read() for image in images}
    rasters = [
        value
        for value in tree(tmp_path / "out").values()
        if value in drawn or value.startswith(b"\xff\xd8")  # voc makes JPEGs of them
    ]
    assert len(rasters) == 2
    assert report.notes
