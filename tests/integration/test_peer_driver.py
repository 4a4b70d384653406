"""`script/bench peer` asks us for all that it measures, and notices a wrong answer."""

import io
import json
import zipfile

import pytest
from PIL import Image

from bench import _peer_content as content
from bench._peer_ours import Ours
from bench._peer_sides import judge, picture_name
from bench.peer import Series, Table, requests, run
from tests.live import LiveApp

IMAGES = 5


def plain(number: int) -> bytes:
    buffer = io.BytesIO()
    color = (20 * number, 80, 120)
    Image.new("RGB", (content.WIDTH, content.HEIGHT), color).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("web_app", ["sqlite"], indirect=True)
def test_the_driver_gets_right_answers_and_notices_wrong_ones(
    web_app: LiveApp, capsys: pytest.CaptureFixture[str]
) -> None:
    side = Ours(people=2, port=web_app.port, root=web_app.processes["web"].pid)
    side.use(web_app, ["owner", "manager"])
    table = Table([side], turns=1)
    requests(table, {number: plain(number) for number in range(2 * IMAGES)}, IMAGES, people=2)
    said = capsys.readouterr().out
    assert table.wrong == 0, said
    assert "| submit 3 masks | 2 |" in said
    wrong = Series()
    run(side, [side.listed("polygons", IMAGES + 1)], 1, wrong)
    assert wrong.wrong


def exported(shift: float) -> bytes:
    """A zip with the polygons of picture 0, all but the first `shift` pixels away."""
    rings = content.rings(0)
    document = {
        "images": [{"id": 1, "file_name": picture_name(0)}],
        "categories": [{"id": 1 + at, "name": name} for at, name in enumerate(content.CATEGORIES)],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 1 + at % len(content.CATEGORIES),
                "segmentation": [(ring + (shift if at else 0)).ravel().tolist()],
            }
            for at, ring in enumerate(rings)
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("annotations.json", json.dumps(document))
    return buffer.getvalue()


def test_an_export_is_judged_region_by_region() -> None:
    assert judge(exported(0), "polygons", [0]).exact == content.POLYGONS
    assert judge(exported(1), "polygons", [0]).exact == 1
