"""Semantic and instance PNGs, bad masks among them (cases 53 to 58)."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from annotations.formats import pngs
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
    read,
    simple_images,
    write,
)

BOTH = ["semantic_png", "instance_png"]


def overlapping() -> list[ImageRecord]:
    back = RegionRecord(1, Geometry(SIZE, [[box(5, 5, 20, 20)]]), id=1, order=0)
    front = RegionRecord(2, Geometry(SIZE, [[box(15, 15, 20, 20)]]), id=2, is_crowd=True, order=1)
    hidden = RegionRecord(1, Geometry(SIZE, [[box(40, 5, 4, 4)]]), id=3, order=2)
    cover = RegionRecord(7, Geometry(SIZE, [[box(38, 2, 10, 10)]]), id=4, order=3)
    return [ImageRecord("a.jpg", 60, 40, (back, front, hidden, cover), id=1)]


def test_semantic_masks_survive(tmp_path):
    write("semantic_png", simple_images(), tmp_path / "out")
    found, back = read("semantic_png", tmp_path / "out")
    assert found.kind == "semantic"
    assert found.categories == CATEGORIES
    for image, expected in zip(back, simple_images(), strict=True):
        assert image.file_name == expected.file_name
        assert merged(image, found.categories) == merged(expected, CATEGORIES)
        assert len(image.regions) == len({region.category_id for region in expected.regions})


def test_a_semantic_mask_is_a_palette_png_of_category_ids(tmp_path):
    write("semantic_png", simple_images(), tmp_path / "out")
    with Image.open(tmp_path / "out" / "masks" / "first.png") as image:
        assert image.mode == "P"
        values = np.asarray(image)
        palette = np.array(image.getpalette()).reshape(-1, 3)
    assert sorted(np.unique(values)) == [1, 7, 255]
    assert palette[1].tolist() == [255, 0, 0]
    assert palette[255].tolist() == [224, 224, 192]
    assert (values == 7).sum() == rle.area(mask((2, 20, 12, 15)))
    empty = pngs.read(tmp_path / "out" / "masks" / "folder" / "nothing here.png", "")
    assert np.unique(empty).tolist() == [255]


def test_contiguous_values_start_at_0(tmp_path):
    write("semantic_png", simple_images(), tmp_path / "out", {"contiguous": True})
    values = pngs.read(tmp_path / "out" / "masks" / "first.png", "")
    assert np.unique(values).tolist() == [0, 2, 255]
    found, back = read("semantic_png", tmp_path / "out")
    assert merged(back[0], found.categories) == merged(simple_images()[0], CATEGORIES)


def test_the_legend_for_people_runs_no_formula(tmp_path):
    write("semantic_png", simple_images(), tmp_path / "out")
    with (tmp_path / "out" / "legend.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["cell", "'=cmd()", "sky"]
    assert [row["value"] for row in rows] == ["1", "2", "7"]


def test_more_than_255_categories_do_not_fit(tmp_path):
    many = tuple(CategoryRecord(id, f"c{id}") for id in range(1, 257))
    with pytest.raises(DatasetError, match="255"):
        write("semantic_png", [], tmp_path / "out", categories=many)
    write("semantic_png", [], tmp_path / "most", categories=many[:255])
    assert len(read("semantic_png", tmp_path / "most")[0].categories) == 255


@pytest.mark.parametrize("name", BOTH)
def test_the_region_in_front_is_seen_and_the_report_says_what_it_hides(name, tmp_path):
    report = write(name, overlapping(), tmp_path / "out")
    found, [image] = read(name, tmp_path / "out")
    seen = merged(image, found.categories)
    expected = merged(overlapping()[0], CATEGORIES)
    assert seen["=cmd()"] == expected["=cmd()"]
    assert rle.area(seen["cell"]) == 300
    assert "Region 2 of 'a.jpg': it hides 100 pixels of regions behind it." in report.notes
    assert "Region 4 of 'a.jpg': it hides 16 pixels of regions behind it." in report.notes


def test_what_semantic_masks_cannot_say_is_in_the_report(tmp_path):
    report = write("semantic_png", overlapping(), tmp_path / "out")
    words = "Region 2 of 'a.jpg': the crowd flag cannot be said in this format."
    assert report.notes.count(words) == 1


def test_instances_survive(tmp_path):
    report = write("instance_png", simple_images(), tmp_path / "out")
    found, back = read("instance_png", tmp_path / "out")
    assert report.notes == []
    assert found.categories == CATEGORIES
    for image, expected in zip(back, simple_images(), strict=True):
        assert image.file_name == expected.file_name
        assert [region.id for region in image.regions] == [region.id for region in expected.regions]
        assert masks_of(image, found.categories) == masks_of(expected, CATEGORIES)


def test_instance_values_count_from_1_and_the_hidden_is_left_out(tmp_path):
    report = write("instance_png", overlapping(), tmp_path / "out")
    values = pngs.read(tmp_path / "out" / "masks" / "a.png", "")
    assert values.dtype == np.uint16
    assert np.unique(values).tolist() == [0, 1, 2, 4]
    legend = json.loads((tmp_path / "out" / "legend.json").read_text())
    assert [entry["value"] for entry in legend["images"][0]["regions"]] == [1, 2, 4]
    assert "Region 3 of 'a.jpg': no pixel of it is seen, and it is left out." in report.notes
    [image] = read("instance_png", tmp_path / "out")[1]
    assert [region.is_crowd for region in image.regions] == [False, True, False]


def test_the_nuclei_go_in_and_come_out_equal(shared_data, tmp_path):
    folder = shared_data / "nuclei" / "masks"
    found, images = read("instance_png", folder, {"category": "nucleus"})
    assert [category.name for category in found.categories] == ["nucleus"]
    assert len(images) == 80
    write("instance_png", images, tmp_path / "out", categories=found.categories)
    _, back = read("instance_png", tmp_path / "out")
    for image, again in zip(images, back, strict=True):
        source = np.asarray(Image.open(folder / image.file_name))
        assert len(image.regions) == len(np.unique(source)) - 1
        for region, other in zip(image.regions, again.regions, strict=True):
            assert region.geometry == other.geometry
        first = rle.decode(image.regions[0].geometry.counts or "", source.shape)
        assert (first == (source == source[first][0])).all()


@pytest.mark.parametrize("name", BOTH)
def test_an_all_zero_mask_is_an_image_without_objects(name, tmp_path):
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "a.png")
    _, [image] = read(name, tmp_path)
    assert image.regions == ()
    assert (image.width, image.height, image.file_name) == (60, 40, "a.png")


def test_bare_semantic_masks_name_their_classes_by_value(tmp_path):
    values = np.zeros(SIZE, np.uint8)
    values[5:9, 5:9], values[20:, 20:], values[0] = 3, 7, 255
    Image.fromarray(values).save(tmp_path / "a.png")
    found, [image] = read("semantic_png", tmp_path, {"names": {"7": "road"}})
    assert [(c.id, c.name) for c in found.categories] == [(3, "class 3"), (7, "road")]
    assert merged(image, found.categories)["road"] == rle.encode(values == 7)


def test_colours_are_read_by_the_legend(tmp_path):
    write("semantic_png", simple_images(), tmp_path / "out")
    path = tmp_path / "out" / "masks" / "first.png"
    with Image.open(path) as image:
        image.convert("RGB").save(path)
    found, back = read("semantic_png", tmp_path / "out")
    assert merged(back[0], found.categories) == merged(simple_images()[0], CATEGORIES)


@pytest.mark.parametrize(("bits", "values"), [(1, 2), (2, 4), (4, 16)])
def test_grey_of_few_bits_keeps_its_values(tmp_path, bits, values):
    """Written by hand: Pillow only writes such files with a palette."""
    import struct
    import zlib

    width = 16
    labels = np.arange(width) % values
    packed = np.packbits(
        ((labels[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)
    ).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" + packed))
        + chunk(b"IEND", b"")
    )
    assert pngs.read(tmp_path / "a.png", "a.png").tolist() == [labels.tolist()]


@pytest.fixture
def written(tmp_path):
    def make(name):
        write(name, simple_images(), tmp_path / name)
        return tmp_path / name

    return make


def refused(name, path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(name, path)
    assert "/tmp" not in caught.value.detail
    return caught.value


@pytest.mark.parametrize("name", BOTH)
def test_a_mask_of_another_size(name, written):
    path = written(name)
    Image.fromarray(np.full((40, 61), 0, np.uint8)).save(path / "masks" / "first.png")
    error = refused(name, path)
    assert "61 × 40" in error.detail
    assert error.pointer == "masks/first.png"


@pytest.mark.parametrize("name", BOTH)
def test_colours_without_a_legend(name, tmp_path):
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "a.png")
    assert refused(name, tmp_path).pointer == "a.png"


def test_an_unknown_colour(written):
    path = written("semantic_png")
    colors = np.zeros((*SIZE, 3), np.uint8)
    colors[3, 3] = (1, 2, 3)
    Image.fromarray(colors).save(path / "masks" / "first.png")
    assert "#010203" in refused("semantic_png", path).detail


@pytest.mark.parametrize(("name", "value"), [("semantic_png", 3), ("instance_png", 9)])
def test_an_unknown_value(name, value, written):
    path = written(name)
    labels = pngs.read(path / "masks" / "first.png", "").copy()
    labels[0, 0] = value
    pngs.write(path / "masks" / "first.png", labels)
    assert f"value {value} is not in the legend" in refused(name, path).detail


def test_16_bit_values_that_mean_nothing(written, tmp_path):
    labels = np.zeros(SIZE, np.uint16)
    labels[3, 3] = 300
    path = written("semantic_png")
    pngs.write(path / "masks" / "first.png", labels)
    assert "value 300 is not in the legend" in refused("semantic_png", path).detail
    (tmp_path / "bare").mkdir()
    pngs.write(tmp_path / "bare" / "a.png", labels)
    assert "300 is above 255" in refused("semantic_png", tmp_path / "bare").detail


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: Image.new("L", (60, 40)).save(path, "JPEG"), "must be a PNG"),
        (lambda path: Image.new("I;16", (60, 40)).save(path, "TIFF"), "must be a PNG"),
        (lambda path: path.write_bytes(b""), "must be a PNG"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "broken"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), "must be a PNG"),
        (lambda path: Image.new("1", (30000, 30000)).save(path), "30000 × 30000"),
    ],
    ids=["JPEG", "TIFF", "empty", "cut short", "header cut", "bomb"],
)
def test_what_is_no_exact_mask(name, make, words, written):
    path = written(name)
    make(path / "masks" / "first.png")
    error = refused(name, path)
    assert words in error.detail
    assert error.pointer == "masks/first.png"


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda legend: legend.pop("categories"), "/categories"),
        (lambda legend: legend["categories"].append(legend["categories"][0]), "/categories/3"),
        (lambda legend: legend["images"][0].update(mask="../x.png"), "/images/0/mask"),
        (lambda legend: legend["images"][0].update(mask="none.png"), "/images/0/mask"),
        (lambda legend: legend["images"][0].update(file_name="../x.png"), "/images/0/file_name"),
        (lambda legend: legend["images"].append(legend["images"][0]), "/images/3"),
    ],
)
def test_a_bad_legend(name, change, pointer, written):
    path = written(name)
    legend = json.loads((path / "legend.json").read_text())
    change(legend)
    (path / "legend.json").write_text(json.dumps(legend))
    assert refused(name, path).pointer == pointer


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"region": 4}, "/images/0/regions/0/region"),
        ({"category": 99}, "/images/0/regions/0/category"),
        ({"value": 99}, "/images/0/regions/0/value"),
        ({"value": 2**20}, "/images/0/regions/0/value"),
        ({"iscrowd": "no"}, "/images/0/regions/0/iscrowd"),
    ],
)
def test_a_bad_region_in_the_legend(values, pointer, written):
    path = written("instance_png")
    legend = json.loads((path / "legend.json").read_text())
    legend["images"][0]["regions"][0].update(values)
    (path / "legend.json").write_text(json.dumps(legend))
    assert refused("instance_png", path).pointer.startswith("/images/0/regions/")


def test_more_objects_than_16_bits_hold(tmp_path):
    region = RegionRecord(1, Geometry(SIZE, counts=mask((1, 1, 2, 2))))
    images = [ImageRecord("a.png", 60, 40, (region,) * 65536)]
    with pytest.raises(DatasetError, match="65535"):
        load("instance_png").write(dataset(images), tmp_path, {}, Report())


@pytest.mark.parametrize("name", BOTH)
def test_a_link_out_of_the_folder_is_not_followed(name, written, tmp_path):
    path = written(name)
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(secret)
    (path / "masks" / "first.png").unlink()
    (path / "masks" / "first.png").symlink_to(secret)
    assert refused(name, path).pointer == "/images/0/mask"
