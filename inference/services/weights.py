"""Weights files: fetched, checked, kept in step with the table of models.

A file is used only when its SHA-256 is the one on record and an engine took it in a process of its
own without running anything in it. Otherwise its model is `rejected`, with the reason. On record
are the hashes in OFFICIAL and, for any other file, those of `SHA256SUMS` in the models folder, as
`sha256sum` writes them, where whoever runs the installation puts what authors publish.
"""

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction

from annotations.errors import ServiceError
from annotations.services.files import settle, space
from inference.models import ModelVersion

State = ModelVersion.State
Watch = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all; 0 where unknown)."""

CHUNK = 2**20
TIMEOUT_SECONDS = 30
INSPECTION_SECONDS = 600
ENDINGS = (".pth", ".pt", ".safetensors")
CLASSIC = "classic"
MANIFEST = "SHA256SUMS"
TRAINED = "trained"
"""The folder in the models folder of what projects trained; put there with its row, or not."""


@dataclass(frozen=True, slots=True)
class Official:
    """Weights that their authors publish. `sha256` is the whole hash or how it starts."""

    url: str
    engine: str
    title: str
    megabytes: int
    sha256: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


_TORCH = "https://download.pytorch.org/models/"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
OFFICIAL: dict[str, Official] = {
    "sam_vit_b": Official(
        _SAM + "sam_vit_b_01ec64.pth", "sam", "Segment Anything ViT-B", 375,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "sam_vit_l": Official(
        _SAM + "sam_vit_l_0b3195.pth", "sam", "Segment Anything ViT-L", 1250,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "sam_vit_h": Official(
        _SAM + "sam_vit_h_4b8939.pth", "sam", "Segment Anything ViT-H", 2564,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    "mask_rcnn_coco": Official(
        _TORCH + "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        "mask_rcnn", "Mask R-CNN ResNet-50, COCO", 178, "bf2d0c1e",
    ),
    "lraspp_coco": Official(
        _TORCH + "lraspp_mobilenet_v3_large-d234d4ea.pth",
        "semantic", "LR-ASPP MobileNetV3, COCO (20 classes)", 12, "d234d4ea",
    ),
    "deeplabv3_mobilenet_coco": Official(
        _TORCH + "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        "semantic", "DeepLabV3 MobileNetV3, COCO (20 classes)", 42, "fc3c493d",
    ),
    "deeplabv3_resnet50_coco": Official(
        _TORCH + "deeplabv3_resnet50_coco-cd0a2569.pth",
        "semantic", "DeepLabV3 ResNet-50, COCO (20 classes)", 161, "cd0a2569",
    ),
    "deeplabv3_resnet101_coco": Official(
        _TORCH + "deeplabv3_resnet101_coco-586e9e4e.pth",
        "semantic", "DeepLabV3 ResNet-101, COCO (20 classes)", 233, "586e9e4e",
    ),
    "fcn_resnet50_coco": Official(
        _TORCH + "fcn_resnet50_coco-1167a1af.pth",
        "semantic", "FCN ResNet-50, COCO (20 classes)", 135, "1167a1af",
    ),
    "fcn_resnet101_coco": Official(
        _TORCH + "fcn_resnet101_coco-7ecb50ca.pth",
        "semantic", "FCN ResNet-101, COCO (20 classes)", 208, "7ecb50ca",
    ),
}  # fmt: skip


class FetchError(ServiceError):
    """Weights that could not be fetched or were not what they should be; nothing was installed."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(422, "weights", detail, "name", hint)


def keep_classic() -> None:
    """The engine that needs no weights is always there."""
    ModelVersion.objects.get_or_create(name=CLASSIC, defaults={"engine": "classic"})


def path_of(model: ModelVersion) -> Path | None:
    return settings.MODELS_DIR / model.weights if model.weights else None


# --- installing ---------------------------------------------------------------------------------


def fetch(name: str, *, file: Path | None = None, sha256: str = "", watch: Watch) -> ModelVersion:
    """Install official weights from their authors, or from a local file, or weights of one's own.

    `name` is a key of OFFICIAL, or any other name with `file`. `sha256` is what the file must have.
    A fetch that was cut off goes on where it stopped. Raises FetchError.
    """
    official = OFFICIAL.get(name)
    if official is None and file is None:
        raise FetchError(
            f"“{name}” is not among the official weights: {', '.join(OFFICIAL)}.",
            "Name one of them, or give your own weights with --file.",
        )
    if official is None and (
        not name.replace("_", "").replace("-", "").isalnum() or name == CLASSIC
    ):
        raise FetchError("A model's name is made of letters, digits, - and _.")
    if file is not None and file.suffix not in ENDINGS:
        raise FetchError(f"“{file.name}” is no weights file: those end in {', '.join(ENDINGS)}.")
    target_name = official.file if official else f"{name}{file.suffix if file else ''}"
    settings.MODELS_DIR.mkdir(parents=True, exist_ok=True)
    target = settings.MODELS_DIR / target_name
    aside = target.with_name(f"{target_name}.part")
    wanted = sha256.lower() or (official.sha256 if official else "")
    if target.exists() and file is None and _sha256(target, watch).startswith(wanted):
        return register(target, name)
    with space():
        if file is not None:
            _copy(file, aside, watch)
        elif official is not None:
            _download(official.url, aside, watch)
    found = _sha256(aside, lambda *_: None)
    if not found.startswith(wanted):
        aside.unlink()
        raise FetchError(
            f"The file is not {name}: its SHA-256 is {found}, not {wanted}.",
            "It was changed, cut off, or is something else. Nothing was installed.",
        )
    aside.replace(target)
    settle([target], settings.MODELS_DIR)
    return register(target, name, found)


def _download(url: str, aside: Path, watch: Watch) -> None:
    """Into `aside`, from where an earlier try stopped."""
    have = aside.stat().st_size if aside.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:  # noqa: S310
            resumed = reply.status == 206
            total = int(reply.headers.get("Content-Length") or 0) + (have if resumed else 0)
            with aside.open("ab" if resumed else "wb") as out:
                _pump(reply, out, have if resumed else 0, total, watch)
                if total and out.tell() < total:
                    raise urllib.error.URLError("the connection was closed")
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # all of it is there already, or it is another file
            return
        raise FetchError(f"The server answered {error.code} for {url}.") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise FetchError(
            f"{url} could not be fetched: {reason}.",
            "Run the same command again to go on, or give a local copy with --file.",
        ) from None


def _copy(file: Path, aside: Path, watch: Watch) -> None:
    try:
        with file.open("rb") as source, aside.open("wb") as out:
            _pump(source, out, 0, file.stat().st_size, watch)
    except FileNotFoundError:
        raise FetchError(f"There is no file “{file.name}”.") from None


def _pump(source: Any, out: BinaryIO, done: int, total: int, watch: Watch) -> None:
    while chunk := source.read(CHUNK):
        out.write(chunk)
        done += len(chunk)
        watch(done, total)
    out.flush()
    os.fsync(out.fileno())


def _sha256(path: Path, watch: Watch) -> str:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(8 * CHUNK):
            digest.update(chunk)
            done += len(chunk)
            watch(done, total)
    return digest.hexdigest()


# --- the table ----------------------------------------------------------------------------------


def refresh() -> list[ModelVersion]:
    """Bring the table in step with the models folder; files that did not change are not read."""
    keep_classic()
    official = {entry.file: name for name, entry in OFFICIAL.items()}
    found = []
    if settings.MODELS_DIR.is_dir():
        files = [p for p in sorted(settings.MODELS_DIR.iterdir()) if p.suffix in ENDINGS]
        found = [register(path, official.get(path.name, path.stem)) for path in files]
    known = [model.pk for model in found]
    for model in ModelVersion.objects.filter(weights__startswith=f"{TRAINED}/"):
        if (path := path_of(model)) and path.exists():
            known.append(register(path, model.name).pk)
    gone = ModelVersion.objects.exclude(weights="").exclude(pk__in=known)
    gone.update(state=State.MISSING, reason="Its weights file is gone from the models folder.")
    return found


def register(path: Path, name: str, sha256: str = "") -> ModelVersion:
    """The model of a file in the models folder, checked unless this very file was before."""
    model = ModelVersion.objects.filter(name=name).first() or ModelVersion(name=name)
    found = stamp(path)
    official = OFFICIAL.get(name)
    wanted = official.sha256 if official else _manifest().get(path.name, "")
    checked = model.config.get("stamp") == found and model.state != State.MISSING
    refused = model.state == State.REJECTED and MANIFEST in model.reason
    checked = checked and model.sha256.startswith(wanted) and not refused
    same = model.weights == path.relative_to(settings.MODELS_DIR).as_posix()
    if checked and same and (not sha256 or sha256 == model.sha256):
        return model
    model.weights = path.relative_to(settings.MODELS_DIR).as_posix()
    model.sha256 = sha256 or _sha256(path, lambda *_: None)
    model.config, model.categories, model.reason = {"stamp": found}, [], ""
    model.engine = official.engine if official else model.engine
    if not model.sha256.startswith(wanted):
        model.state = State.REJECTED
        which = "official one" if official else f"one that {MANIFEST} names"
        model.reason = f"The file is not the {which}: its SHA-256 is {model.sha256}."
    else:
        _inspected(model, path)
    try:
        with transaction.atomic():
            model.save()
    except IntegrityError:  # another process registered it at the same time
        return ModelVersion.objects.get(name=name)
    return model


def _manifest() -> dict[str, str]:
    """File name → SHA-256."""
    path = settings.MODELS_DIR / MANIFEST
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {words[1].lstrip("*"): words[0].lower() for words in pairs if len(words) == 2}


def examine(path: Path, engine: str) -> dict[str, Any]:
    """What `engine` says of a file: fields of a ModelVersion. ServiceError 422: it is refused."""
    model = ModelVersion(engine=engine, config={"stamp": stamp(path)})
    _inspected(model, path, engine)
    if model.state != State.READY:
        raise ServiceError(422, "weights", f"The weights were refused: {model.reason}", "file")
    return {
        "engine": model.engine,
        "sha256": _sha256(path, _quiet),
        "config": model.config,
        "categories": model.categories,
    }


def unchanged(model: ModelVersion) -> bool:
    """Whether the weights file is still the one that was checked."""
    path = path_of(model)
    if path is None:
        return True
    try:
        return model.config.get("stamp") == stamp(path) or _sha256(path, _quiet) == model.sha256
    except OSError:
        return False


def reject(model: ModelVersion, reason: str) -> None:
    ModelVersion.objects.filter(pk=model.pk).update(state=State.REJECTED, reason=reason)


def _quiet(done: int, total: int) -> None:
    """Nobody watches."""


def stamp(path: Path) -> list[int]:
    """What tells without reading a file whether it is the one that was checked."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _inspected(model: ModelVersion, path: Path, engine: str = "") -> None:
    """Fills in what the weights are, from a process of its own that may die of them."""
    command = [sys.executable, "-m", "inference.inspection", str(path)]
    engine = engine or (model.engine if model.name in OFFICIAL else "")
    command += [engine] if engine else []
    try:
        done = subprocess.run(
            command,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=INSPECTION_SECONDS,
            check=False,
        )
        found = json.loads(done.stdout.strip().rpartition("\n")[2])
    except (subprocess.TimeoutExpired, ValueError):
        found = {"refused": "The process that looked into the file died of it."}
    if found.get("no_torch"):
        model.state = State.MISSING
        model.reason = "torch is not installed on this machine: run script/torch."
    elif "refused" in found:
        model.state, model.reason = State.REJECTED, found["refused"]
    else:
        model.state, model.engine = State.READY, found["engine"]
        model.config |= found["config"]
        model.categories = found["categories"]
    model.engine = model.engine or "sam"
