"""pycocotools, supervision and Datumaro load what we write and see the same masks."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.readers.conftest import REGIONS, masks, read


def same(found: Iterable[Any], wanted: Iterable[npt.NDArray[np.bool_]]) -> None:
    """The masks are equal, in any order."""
    first = sorted(np.array(one, dtype=bool).tobytes() for one in found)
    assert first == sorted(one.tobytes() for one in wanted)


def agree(found: list[Any], wanted: list[npt.NDArray[np.bool_]]) -> None:
    """Each mask has its like. OpenCV fills outlines and cuts too, so small masks gain much."""
    assert len(found) == len(wanted)
    for mask in wanted:
        others = [np.array(one, dtype=bool) for one in found]
        assert max((mask & other).sum() / (mask | other).sum() for other in others) > 0.7
        assert any((other >= mask).all() for other in others)


def test_pycocotools_and_its_evaluation(written, tmp_path):
    path = written("coco") / "annotations" / "instances.json"
    document = json.loads(path.read_text())
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{**one, "score": 0.9} for one in document["annotations"]]))
    seen = read("coco", path, results)
    same(seen["masks"].values(), [mask for name in REGIONS for mask in masks(name)])
    assert seen["ap"] == pytest.approx(1)


def test_supervision_reads_coco(written):
    seen = read("supervision_", "coco", written("coco"))
    assert seen["classes"] == ["car", "tree"]
    assert set(seen["masks"]) == set(REGIONS)
    for name in REGIONS:
        agree(seen["masks"][name], masks(name))


def test_supervision_reads_yolo(written):
    seen = read("supervision_", "yolo", written("yolo"))
    assert seen["classes"] == ["car", "tree"]
    for name in REGIONS:
        agree(seen["masks"][name], masks(name))


@pytest.mark.torch
def test_ultralytics_reads_yolo(written):
    torch = pytest.importorskip("torch")
    seen = read("ultralytics_", written("yolo") / "data.yaml", Path(torch.__file__).parent.parent)
    assert seen["classes"] == ["car", "tree"]
    assert set(seen["masks"]) == set(REGIONS)
    for name in REGIONS:
        agree(seen["masks"][name], masks(name))


@pytest.mark.parametrize("format", ["datumaro", "coco"])
def test_datumaro_reads(format, written):
    folder = written(format)
    if format == "coco":  # Datumaro wants the subset in the name
        path = folder / "annotations" / "instances.json"
        path.rename(path.with_name("instances_default.json"))
    seen = read("datumaro_", {"coco": "coco_instances"}.get(format, format), folder)
    assert {Path(name).stem for name in seen} == {Path(name).stem for name in REGIONS}
    for name in REGIONS:
        same(seen[Path(name).stem], masks(name))


def test_the_checks_of_panopticapi(written):
    """Done again, as its package is not published: PNG ids, areas, boxes and JSON agree."""
    folder = written("coco_panoptic", "panoptic") / "annotations"
    document = json.loads((folder / "panoptic.json").read_text())
    categories = {one["id"]: one for one in document["categories"]}
    assert {one["isthing"] for one in categories.values()} <= {0, 1}
    images = {one["id"]: one for one in document["images"]}
    assert [one["image_id"] for one in document["annotations"]] == list(images)
    for annotation in document["annotations"]:
        name = Path(annotation["file_name"])
        assert name.stem == Path(images[annotation["image_id"]]["file_name"]).stem
        pixels = np.asarray(Image.open(folder / "panoptic" / name).convert("RGB")).astype(int)
        ids = pixels[..., 0] + 256 * pixels[..., 1] + 256**2 * pixels[..., 2]
        segments = {one["id"]: one for one in annotation["segments_info"]}
        assert len(segments) == len(annotation["segments_info"])
        assert set(np.unique(ids)) - {0} == set(segments)
        for id, segment in segments.items():
            ys, xs = np.nonzero(ids == id)
            assert segment["category_id"] in categories
            assert segment["area"] == len(ys)
            assert segment["bbox"] == [
                xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1,
            ]  # fmt: skip
            assert segment["iscrowd"] in (0, 1)


@pytest.mark.torch
def test_torchvision_reads_coco(written):
    datasets = pytest.importorskip("torchvision.datasets")
    folder = written("coco")
    path = folder / "annotations" / "instances.json"
    dataset = datasets.CocoDetection(str(folder / "images"), str(path))
    assert len(dataset) == len(REGIONS)
    for (picture, target), (name, regions) in zip(dataset, REGIONS.items(), strict=True):
        assert picture.size == (80, 60)
        assert len(target) == len(regions)
        same((dataset.coco.annToMask(one) for one in target), masks(name))


@pytest.mark.torch
def test_torchvision_reads_voc(written, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    out = written("voc")
    folder = tmp_path / "root" / "VOCdevkit" / "VOC2012"
    folder.parent.mkdir(parents=True)
    out.rename(folder)
    dataset = datasets.VOCSegmentation(str(tmp_path / "root"), image_set="train")
    assert len(dataset) == len(REGIONS)
    for (picture, labels), name in zip(dataset, REGIONS, strict=True):
        assert picture.size == labels.size == (80, 60)
        covered = np.zeros((60, 80), bool)
        for mask in masks(name):
            covered |= mask
        values = np.asarray(labels)
        assert np.array_equal(~np.isin(values, (0, 255)), covered)


@pytest.mark.torch
def test_torchvision_reads_cityscapes(written):
    datasets = pytest.importorskip("torchvision.datasets")
    folder = written("cityscapes")
    dataset = datasets.Cityscapes(str(folder), "train", target_type=["instance", "polygon"])
    seen = {
        Path(path).name.removesuffix("_leftImg8bit.png"): n for n, path in enumerate(dataset.images)
    }
    assert set(seen) == {Path(name).stem for name in REGIONS}
    for name, regions in REGIONS.items():
        picture, (labels, objects) = dataset[seen[Path(name).stem]]
        assert picture.size == labels.size == (80, 60)
        assert len(objects["objects"]) >= len(regions)
        covered = np.zeros((60, 80), bool)
        for mask in masks(name):
            covered |= mask
        assert np.array_equal(np.asarray(labels) > 0, covered)
