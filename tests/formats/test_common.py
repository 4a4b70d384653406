"""What holds for every format that writes."""

import pytest

from annotations.formats.registry import FORMATS, load
from annotations.records import ImageRecord, Report
from tests.formats.helpers import dataset, raster, read, simple_images, tree, with_splits, write

WRITERS = [name for name, info in FORMATS.items() if info.writes]


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
    for image in simple_images():
        [path] = [key for key, value in contents.items() if value == raster(image).read()]
        assert path.endswith(image.file_name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_without_images_is_written(name, tmp_path):
    write(name, [], tmp_path / "out")
    assert tree(tmp_path / "out")


@pytest.mark.parametrize("name", [n for n in WRITERS if FORMATS[n].reads])
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
        "‮gnp.exe",
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
    rasters = [
        value for value in tree(tmp_path / "out").values() if value.startswith(b"the raster")
    ]
    assert len(rasters) == 2
    assert report.notes
