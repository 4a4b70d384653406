import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from annotations.formats.registry import load
from annotations.masks import polygons, rle
from annotations.masks.validation import GeometryError, validate_polygons
from annotations.records import DatasetError, Geometry, ImageRecord, RegionRecord, Report
from tests.formats.helpers import (
    CATEGORIES,
    SIZE,
    box,
    dataset,
    masks_of,
    raster,
    read,
    simple_images,
    with_splits,
    write,
)


def refused(path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read("yolo", path)
    assert "/tmp" not in caught.value.detail
    return caught.value


def test_the_files(tmp_path):
    images = with_splits(simple_images())
    load("yolo").write(dataset(images), tmp_path, {}, Report(), open_image=raster)
    config = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert config == {
        "train": "images/train",
        "val": "images/val",
        "names": {0: "cell", 1: "=cmd()", 2: "sky"},
    }
    assert (tmp_path / "labels" / "val" / "folder" / "nothing here.txt").read_text() == ""
    lines = (tmp_path / "labels" / "train" / "first.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "0", "2"]
    for line in lines:
        numbers = [float(word) for word in line.split()[1:]]
        assert len(numbers) >= 6
        assert len(numbers) % 2 == 0
        assert 0 <= min(numbers) <= max(numbers) <= 1


def test_sizes_come_from_the_images(tmp_path):
    images = with_splits(simple_images())
    load("yolo").write(dataset(images), tmp_path, {}, Report(), open_image=raster)
    found, back = read("yolo", tmp_path, {"image_size": None})
    assert [image.file_name for image in back] == [
        "first.jpg",
        "second.png",
        "folder/nothing here.png",
    ]
    assert masks_of(back[0], found.categories) == masks_of(simple_images()[0], CATEGORIES)


@pytest.mark.parametrize("start", ["./images/train/", "images/train/", "/data/coco/images/train/"])
def test_images_may_be_listed_in_a_text_file(start, tmp_path):
    images = simple_images()
    load("yolo").write(dataset(images), tmp_path, {}, Report(), open_image=raster)
    names = [image.file_name for image in images[:2]]
    (tmp_path / "train.txt").write_text("".join(f"{start}{name}\n" for name in names))
    text = "train: train.txt\nval: train.txt\nnames: [cell, '=cmd()', sky]\n"
    (tmp_path / "data.yaml").write_text(text)
    found, back = read("yolo", tmp_path, {"image_size": None})
    assert [image.file_name for image in back] == [f"train/{name}" for name in names]
    assert [image.split for image in back] == ["train", "train"]
    assert masks_of(back[0], found.categories) == masks_of(images[0], CATEGORIES)
    assert back[1].regions == ()


@pytest.mark.parametrize(
    ("lines", "pointer"),
    [
        (b"images/train/first.jpg\n./images/train/first.jpg\n", "train.txt, line 2"),
        (b"images/train/gone.jpg\n", "train.txt, line 1"),
        (b"\xff\xfe", "train.txt"),
        (b"a\x00.jpg", "train.txt, line 1"),
        (b"images/train/" + b"a" * 256, "train.txt, line 1"),
        (b"../../../../etc/passwd", "train.txt, line 1"),
        (None, "data.yaml"),
    ],
)
def test_bad_lists_of_images(lines, pointer, tmp_path):
    load("yolo").write(dataset(simple_images()), tmp_path, {}, Report(), open_image=raster)
    if lines is not None:
        (tmp_path / "train.txt").write_bytes(lines)
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: [a, b, c]\n")
    with pytest.raises(DatasetError) as caught:
        read("yolo", tmp_path, {"image_size": None})
    assert caught.value.pointer == pointer


def test_without_images_the_caller_says_the_size(tmp_path):
    write("yolo", simple_images(), tmp_path / "out")
    with pytest.raises(DatasetError, match="not there"):
        read("yolo", tmp_path / "out", {"image_size": lambda stem: None})


def test_parts_and_holes_are_joined_and_reported(tmp_path):
    report = write("yolo", simple_images(), tmp_path / "out")
    joined = [note.split(":")[0] for note in report.notes if "joined by cuts" in note]
    assert joined == [
        "Region 4 of 'first.jpg'",
        "Region 10 of 'second.png'",
        "Region 11 of 'second.png'",
    ]


coordinate = st.floats(0, 40).map(lambda n: round(n, 2))


@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9, unique=True))
def test_any_polygon_comes_back_as_drawn(tmp_path_factory, points):
    ring = [n for point in points for n in point]
    folder = tmp_path_factory.mktemp("yolo")
    region = RegionRecord(1, Geometry(SIZE, [[ring]]))
    write("yolo", [ImageRecord("a.png", 60, 40, (region,))], folder / "out")
    try:
        [image] = read("yolo", folder / "out")[1]
    except DatasetError:
        with pytest.raises(GeometryError, match=r"one line|outside"):
            validate_polygons([[ring]], SIZE)
    else:
        assert image.regions[0].geometry.polygons == [[ring]]


def test_the_coco_sample_keeps_its_pixels(shared_data, tmp_path):
    found, images = read("coco", shared_data / "coco_sample" / "instances.json")
    write("yolo", images, tmp_path / "out", categories=found.categories)
    sizes = {image.file_name.split(".")[0]: (image.height, image.width) for image in images}
    again, back = read("yolo", tmp_path / "out", {"image_size": sizes.get})
    before = {image.file_name.split(".")[0]: image for image in images}
    assert len(back) == 70
    regions = 0
    for image in back:
        expected = masks_of(before[image.file_name], found.categories)
        assert masks_of(image, again.categories) == expected
        regions += len(expected)
    assert regions == 680


def roboflow(root):
    """The layout of another well-known exporter."""
    (root / "train" / "images").mkdir(parents=True)
    (root / "train" / "labels").mkdir()
    image = ImageRecord("a.jpg", 60, 40)
    (root / "train" / "images" / "a.jpg").write_bytes(raster(image).read())
    (root / "train" / "labels" / "a.txt").write_text(
        "1 0.1 0.1 0.5 0.1 0.5 0.5\n\n0 0.5 0.5 0.2 0.5\n"
    )
    (root / "data.yaml").write_text("train: ../train/images\nnames: ['a', 'b']\nnc: 2\n")


def test_other_layouts_and_boxes(tmp_path):
    roboflow(tmp_path)
    found, [image] = read("yolo", tmp_path)
    assert [c.name for c in found.categories] == ["a", "b"]
    assert image.regions[0].geometry.polygons == [[[6.0, 4.0, 30.0, 4.0, 30.0, 20.0]]]
    assert image.regions[1].geometry.polygons == [[box(24.0, 10.0, 12.0, 20.0)]]


@pytest.mark.parametrize(
    "line",
    [
        "x 0.1 0.1 0.5 0.1 0.5 0.5",
        "2 0.1 0.1 0.5 0.1 0.5 0.5",
        "-1 0.1 0.1 0.5 0.1 0.5 0.5",
        "0 0.1 0.1 0.5",
        "0 0.1 0.1 0.5 0.1 0.5",
        "0 0.1 0.1 0.5 0.1 nan 0.5",
        "0 0.1 0.1 0.5 0.1 inf 0.5",
        "0 0.1 0.1 0.5 0.1 9e9 0.5",
        "0",
    ],
)
def test_bad_lines(tmp_path, line):
    roboflow(tmp_path)
    (tmp_path / "train" / "labels" / "a.txt").write_text(f"\n{line}\n")
    assert refused(tmp_path).pointer == "train/labels/a.txt, line 2"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(15)
)


@pytest.mark.parametrize(
    "text",
    [
        "names: [a, b",
        "- a",
        "",
        "names: {0: a, 2: b}\ntrain: train/images",
        "names: [a, A]\ntrain: train/images",
        "names: ['', b]\ntrain: train/images",
        "names: [[a], b]\ntrain: train/images",
        f"names: [a, b]\ntrain: {'a' * 256}",
        "train: train/images",
        "names: [a, b]\ntrain: 5",
        "names: [a, b]\ntrain: images/none",
        "names: !!python/object/apply:os.system ['touch /tmp/x']",
        BOMB + "names: [*p, *p]",
        BOMB + "names: [a, b]\ntrain: *p",
        "[" * 100_000,
    ],
)
def test_bad_yaml(tmp_path, text):
    roboflow(tmp_path)
    (tmp_path / "data.yaml").write_text(text)
    assert refused(tmp_path).pointer == "data.yaml"


def test_a_broken_image(tmp_path):
    roboflow(tmp_path)
    (tmp_path / "train" / "images" / "a.jpg").write_bytes(b"no image")
    assert "cannot be read" in refused(tmp_path).detail
    assert "data.yaml" in refused(tmp_path / "train" / "labels").detail


def test_a_mask_of_a_whole_image(tmp_path):
    counts = rle.encode(np.ones(SIZE, bool))
    region = RegionRecord(1, Geometry(SIZE, counts=counts))
    write("yolo", [ImageRecord("a.png", 60, 40, (region,))], tmp_path / "out")
    [image] = read("yolo", tmp_path / "out")[1]
    assert polygons.geometry_counts(image.regions[0].geometry) == counts
