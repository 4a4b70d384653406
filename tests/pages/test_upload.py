"""The upload page without its script."""

from io import BytesIO

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image


def picture(name: str) -> SimpleUploadedFile:
    out = BytesIO()
    Image.new("RGB", (12, 8), "red").save(out, "PNG")
    return SimpleUploadedFile(name, out.getvalue())


def test_the_plain_form_says_what_became_of_each_file(project, manager, browse):
    files = [picture("good.png"), SimpleUploadedFile("bad.png", b"<html>")]
    response = browse(manager).post(f"/projects/{project.pk}/upload", {"files": files})
    html = response.content.decode()
    assert [image.name for image in project.images.all()] == ["good.png"]
    assert "done" in html
    assert "is not an image that is taken here" in html


def test_the_plain_form_takes_either_choice_of_frames(project, manager, browse):
    for name, fields, said in [
        ("a.png", {"seconds": "1", "every": "5"}, "done"),
        ("b.png", {"seconds": "2", "every": ""}, "already in this project"),
        ("c.png", {"seconds": "", "every": "x"}, "whole number from 1"),
    ]:
        data = {"files": [picture(name)], **fields}
        html = browse(manager).post(f"/projects/{project.pk}/upload", data).content.decode()
        assert said in html
