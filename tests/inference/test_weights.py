"""Weights: fetched, resumed, checked, refused (BAD_INPUTS 80)."""

import hashlib
import io
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from annotations.errors import ServiceError
from inference.inspection import inspect
from inference.models import ModelVersion
from inference.selectors import default_model, get_model, installed_models
from inference.services import loading, weights
from inference.services.weights import Official
from tests.inference import tiny

pytestmark = pytest.mark.django_db
torch_needed = pytest.mark.torch


class Canary:
    """A pickle of it makes a file when it is opened carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def folder() -> Path:
    settings.MODELS_DIR.mkdir(parents=True)
    return Path(settings.MODELS_DIR)


@pytest.fixture
def served(monkeypatch):
    """`served(content)`: official weights “tiny”, from a server that notes what it is asked."""
    asked: list[str | None] = []
    servers = []

    def serve(content: bytes, sha256: str, cut: int | None = None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                asked.append(wanted)
                start = int(wanted[6:-1]) if wanted else 0
                part = content[start:]
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(part)))
                self.end_headers()
                nonlocal cut
                self.wfile.write(part[:cut])
                cut = None

            def log_message(self, *args) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/tiny.pth"
        monkeypatch.setitem(weights.OFFICIAL, "tiny", Official(url, "sam", "Tiny", 1, sha256))
        return asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(name: str, **options) -> ModelVersion:
    return weights.fetch(name, watch=lambda done, total: None, **options)


@torch_needed
def test_official_weights_are_fetched_resumed_and_checked(folder, served, tmp_path, capsys):
    content = tiny.save_sam(tmp_path / "tiny.pth").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    asked = served(content, sha256, cut=100_000)
    with pytest.raises(CommandError, match="Run the same command again"):
        call_command("fetch_model", "tiny")
    assert not (folder / "tiny.pth").exists()
    assert (folder / "tiny.pth.part").stat().st_size == 100_000
    assert get_model("classic").state == "ready"
    call_command("fetch_model", "tiny")
    assert asked == [None, "bytes=100000-"]
    model = get_model("tiny", "prompt")
    assert (model.sha256, model.engine, model.config["width"]) == (sha256, "sam", 32)
    assert default_model("prompt") == model
    call_command("fetch_model", "tiny")  # it is there: nothing is asked
    assert len(asked) == 2
    assert loading.engine_of(model).device
    assert ModelVersion.objects.get(pk=model.pk).device


def test_weights_of_another_hash_are_not_installed(folder, served):
    served(b"something else", "ab12")
    with pytest.raises(ServiceError, match="SHA-256"):
        fetch("tiny")
    assert list(folder.iterdir()) == []
    assert not ModelVersion.objects.filter(name="tiny").exists()


def test_a_local_file_must_have_the_hash_that_was_asked_for(folder, tmp_path):
    (tmp_path / "own.pth").write_bytes(b"x")
    with pytest.raises(ServiceError, match="SHA-256"):
        fetch("own", file=tmp_path / "own.pth", sha256="00")
    with pytest.raises(ServiceError, match="no file"):
        fetch("own", file=tmp_path / "absent.pth")
    with pytest.raises(ServiceError, match="no weights file"):
        fetch("own", file=tmp_path / "own.exe")
    with pytest.raises(ServiceError, match="letters"):
        fetch("../own", file=tmp_path / "own.pth")
    with pytest.raises(ServiceError, match="not among the official"):
        fetch("unknown")
    assert list(folder.iterdir()) == []


def pickled(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": Canary(canary)}))


def zipped_pickle(path: Path, canary: Path) -> None:
    import torch

    torch.save({"weight": Canary(canary)}, path)


def truncated(path: Path, canary: Path) -> None:
    tiny.save_sam(path)
    path.write_bytes(path.read_bytes()[:50_000])


def truncated_safetensors(path: Path, canary: Path) -> None:
    tiny.save_sam(path)
    path.write_bytes(path.read_bytes()[:50_000])


def not_weights(path: Path, canary: Path) -> None:
    path.write_bytes(b"<html>404</html>")


def empty(path: Path, canary: Path) -> None:
    path.write_bytes(b"")


def another_network(path: Path, canary: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(3, 3).state_dict(), path)


def one_weight_short(path: Path, canary: Path) -> None:
    import torch

    state = tiny.sam().state_dict()
    del state["mask_decoder.iou_token.weight"]
    torch.save(state, path)


def no_tensors(path: Path, canary: Path) -> None:
    import torch

    torch.save({"weight": [1, 2]}, path)


@torch_needed
@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (pickled, "bad.pth", "would run code"),
        (zipped_pickle, "bad.pth", "would run code"),
        (truncated, "bad.pth", "no checkpoint, or only a part"),
        (truncated_safetensors, "bad.safetensors", "only a part"),
        (not_weights, "bad.pth", "no checkpoint"),
        (empty, "bad.pth", "no checkpoint"),
        (another_network, "bad.pth", "fit none of the engines"),
        (one_weight_short, "bad.pth", "iou_token"),
        (no_tensors, "bad.pth", "something else than weights"),
    ],
)
def test_bad_weights_are_refused_with_the_reason(make, name, reason, tmp_path):
    canary = tmp_path / "canary"
    make(tmp_path / name, canary)
    refused = inspect(tmp_path / name)["refused"]
    assert reason in refused
    assert str(tmp_path) not in refused
    assert not canary.exists()


@torch_needed
def test_a_rejected_model_is_not_used(folder, tmp_path):
    canary = tmp_path / "canary"
    pickled(folder / "bad.pth", canary)
    weights.refresh()
    model = ModelVersion.objects.get(name="bad")
    assert (model.state, canary.exists()) == ("rejected", False)
    assert "would run code" in model.reason
    assert model not in installed_models()
    with pytest.raises(ServiceError, match="would run code"):
        get_model("bad")


@torch_needed
def test_the_canary_works():
    """Opened carelessly, such a pickle does run code."""
    path = Path(settings.MEDIA_ROOT) / "canary"
    path.parent.mkdir(parents=True)
    pickle.loads(pickle.dumps(Canary(path)))
    assert path.exists()


@torch_needed
def test_weights_changed_after_the_check_are_refused(folder):
    path = tiny.save_sam(folder / "own.pth")
    weights.refresh()
    model = get_model("own")
    tiny.save_sam(path, width=48)
    with pytest.raises(ServiceError, match="changed"):
        loading.engine_of(model)
    assert ModelVersion.objects.get(name="own").state == "rejected"
    weights.refresh()
    assert get_model("own").config["width"] == 48


@torch_needed
def test_a_file_under_an_official_name_must_be_the_official_one(folder):
    tiny.save_sam(folder / "sam_vit_b_01ec64.pth")
    weights.refresh()
    model = ModelVersion.objects.get(name="sam_vit_b")
    assert model.state == "rejected"
    assert "not the official one" in model.reason


def test_a_file_that_the_folders_manifest_names_must_have_its_hash(folder, monkeypatch):
    def inspected(model: ModelVersion, path: Path) -> None:
        model.state, model.engine = ModelVersion.State.READY, "sam2"

    monkeypatch.setattr(weights, "_inspected", inspected)
    (folder / "own.safetensors").write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    states = []
    for hashed in (sha256, "0" * 64, sha256):
        lines = f"{hashed}  own.safetensors\n{'1' * 64} *other.pth\n"
        (folder / "SHA256SUMS").write_text(lines)
        weights.refresh()
        model = ModelVersion.objects.get(name="own")
        states.append(model.state)
        assert (sha256 in model.reason) == (model.state == "rejected")
    assert states == ["ready", "rejected", "ready"]


@torch_needed
def test_the_table_follows_the_folder(folder, monkeypatch, capsys):
    path = tiny.save_mask_rcnn(folder / "ours.pth", names=["car", "tree"])
    call_command("list_models")
    model = get_model("ours", "detector")
    assert model.categories == ["car", "tree"]
    assert "fetch_model sam_vit_b" in capsys.readouterr().out

    def not_again(*args) -> None:
        raise AssertionError("a file that did not change was read again")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "_sha256", not_again)
        weights.refresh()
    path.unlink()
    weights.refresh()
    assert ModelVersion.objects.get(name="ours").state == "missing"
    with pytest.raises(ServiceError, match="gone"):
        get_model("ours")


def test_without_torch_the_reason_says_what_to_do(folder, monkeypatch):
    (folder / "own.pth").write_bytes(b"x")
    monkeypatch.setattr(
        weights.subprocess,
        "run",
        lambda *args, **options: type("Done", (), {"stdout": '{"no_torch": true}\n'}),
    )
    weights.refresh()
    model = ModelVersion.objects.get(name="own")
    assert model.state == "missing"
    assert "script/torch" in model.reason


def test_classic_is_always_there():
    assert default_model("prompt").name == default_model("detector").name == "classic"
    ModelVersion.objects.all().delete()
    call_command("list_models", stdout=io.StringIO())
    assert get_model("classic").state == "ready"
