"""Small data sets and projects with pictures behind their images."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotations.masks import rle
from annotations.models import (
    Annotation,
    Category,
    Image,
    Job,
    Prediction,
    Project,
    Proposal,
    Region,
    RegionRevision,
    Review,
    StoredFile,
)
from annotations.services import ingest, jobs
from tests.ingest import samples


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch) -> None:
    monkeypatch.setattr(jobs, "wake", lambda job: None)


@pytest.fixture
def filled(project, manager) -> Project:
    """An instance project with three pictures of 40 × 30 pixels: 0.png, 1.png, 2.png."""
    for number in range(3):
        ingest.add_image(manager, project, io.BytesIO(samples.png(number)), f"{number}.png")
    return project


def small_coco() -> dict[str, Any]:
    """Polygons in two parts, compressed and uncompressed RLE, a crowd, an image without objects."""
    mask = samples.np.zeros((30, 40), bool)
    mask[5:12, 7:20] = True
    counts = rle.encode(mask)
    return {
        "images": [
            {"id": 11, "file_name": "0.png", "width": 40, "height": 30},
            {"id": 12, "file_name": "1.png", "width": 40, "height": 30},
            {"id": 13, "file_name": "2.png", "width": 40, "height": 30},
        ],
        "categories": [
            {"id": 3, "name": "car", "supercategory": "vehicle"},
            {"id": 7, "name": "tree", "supercategory": "plant"},
        ],
        "annotations": [
            {
                "id": 101,
                "image_id": 11,
                "category_id": 3,
                "iscrowd": 0,
                "segmentation": [
                    [1.25, 2.5, 10, 2.5, 10, 9.75],
                    [20, 20, 25, 20, 25, 28.5, 20, 27],
                ],
            },
            {
                "id": 105,
                "image_id": 11,
                "category_id": 7,
                "iscrowd": 1,
                "segmentation": {"size": [30, 40], "counts": rle.to_runs(counts).tolist()},
            },
            {
                "id": 90,
                "image_id": 12,
                "category_id": 7,
                "iscrowd": 0,
                "segmentation": {"size": [30, 40], "counts": counts},
            },
        ],
    }


@pytest.fixture
def coco() -> dict[str, Any]:
    return copy.deepcopy(small_coco())


@pytest.fixture
def send(client_of, filled) -> Callable[..., Any]:
    """`send(user, document, kind="ground_truth", format="coco", name="a.json")` by the API."""

    def post(
        user: Any,
        document: Any,
        kind: str = "ground_truth",
        format: str = "coco",
        name: str = "a.json",
        **more: str,
    ) -> Any:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return client_of(user).post(
            f"/api/projects/{filled.pk}/imports",
            {"file": SimpleUploadedFile(name, data), "as": kind, "format": format, **more},
            format="multipart",
        )

    return post


@pytest.fixture
def state(settings, db) -> Callable[[], Any]:
    """All that an import could change: counts of rows, ids, files."""
    models = (
        Annotation, Category, Image, Job, Prediction, Project, Proposal, Region, RegionRevision,
        Review, StoredFile,
    )  # fmt: skip

    def look() -> Any:
        roots = (Path(settings.MEDIA_ROOT), Path(settings.SPOOL_DIR))
        files = [p for root in roots for p in sorted(root.rglob("*")) if p.is_file()]
        values = list(Image.objects.order_by("pk").values_list("name", "status", "export_id"))
        return [model.objects.count() for model in models], values, files

    return look
