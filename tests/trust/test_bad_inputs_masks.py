"""Masks that cannot be taken, through the import of the API: 422 by name, and nothing changed."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image as Pillow

from annotations.services import ingest
from tests.ingest import samples

SIZE = (30, 40)
LEGEND = {
    "categories": [{"id": 1, "name": "car", "value": 1, "color": "#e69f00"}],
    "images": [{"file_name": "0.png", "mask": "masks/0.png", "width": 40, "height": 30}],
}


def png(values: np.ndarray) -> bytes:
    return samples.encoded(Pillow.fromarray(values))


def grey(value: int, kind: type = np.uint8) -> np.ndarray:
    """Nothing but one pixel of a value."""
    values: np.ndarray = np.zeros(SIZE, kind)
    values[3, 3] = value
    return values


def coloured(*color: int) -> np.ndarray:
    values: np.ndarray = np.zeros((*SIZE, 3), np.uint8)
    values[3, 3] = color
    return values


def lossy() -> bytes:
    return samples.encoded(Pillow.new("L", (40, 30), 1), "JPEG")


MASKS = {
    "53 another size": png(np.ones((31, 40), np.uint8)),
    "54 RGB": png(coloured(9, 9, 9)),
    "54 RGBA": png(np.full((*SIZE, 4), 9, np.uint8)),
    "56 16 bit beyond 8": png(grey(300, np.uint16)),
    "57 JPEG": lossy(),
}
"""Without a legend: the mask alone, named like its image."""

WITH_LEGEND = {
    "53 another size": png(np.zeros((30, 41), np.uint8)),
    "55 an unknown colour": png(coloured(1, 2, 3)),
    "55 an unknown value": png(grey(7)),
    "56 a 16-bit value that means nothing": png(grey(65535, np.uint16)),
    "57 JPEG": lossy(),
}


@pytest.fixture
def send(project, manager, client_of):
    """`send({name: bytes}, format)` imports a zip as ground truth into a project with 0.png."""
    ingest.add_image(manager, project, io.BytesIO(samples.png(0)), "0.png")

    def post(entries: dict[str, bytes], format: str = "semantic_png") -> Any:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
        fields = {"file": SimpleUploadedFile("m.zip", out.getvalue()), "format": format}
        url = f"/api/projects/{project.pk}/imports"
        return client_of(manager).post(url, fields | {"as": "ground_truth"}, format="multipart")

    return post


def refused(reply: Any) -> None:
    body = reply.json()
    assert reply.status_code == 422, body
    assert set(body) >= {"code", "detail", "field", "hint"}
    assert "0." in body["field"] or "0." in body["detail"]
    assert "/tmp" not in str(body)


@pytest.mark.parametrize("case", MASKS)
def test_a_bare_mask_is_refused(case, send, everything):
    before = everything()
    refused(send({"0.png": MASKS[case]}))
    assert everything() == before


@pytest.mark.parametrize("case", WITH_LEGEND)
def test_a_mask_with_a_legend_is_refused(case, send, everything):
    entries = {"legend.json": json.dumps(LEGEND).encode(), "masks/0.png": WITH_LEGEND[case]}
    before = everything()
    refused(send(entries))
    assert everything() == before


@pytest.mark.parametrize("format", ["semantic_png", "instance_png"])
def test_58_a_mask_of_zeros_holds_no_object(format, send):
    reply = send({"0.png": png(np.zeros(SIZE, np.uint8))}, format)
    assert reply.status_code == 201, reply.json()
    assert reply.json()["result"]["regions"] == 0


def test_the_legend_of_these_tests_is_good(send):
    entries = {"legend.json": json.dumps(LEGEND).encode(), "masks/0.png": png(grey(1))}
    reply = send(entries)
    assert reply.status_code == 201, reply.json()
    assert reply.json()["result"]["regions"] == 1
