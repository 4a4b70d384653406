"""Bytes that nobody thought of, for everything that reads what strangers send.

    script/fuzz MINUTES TARGET [TARGET …]    or `all`; `script/fuzz 1 list` names them

Each target takes bytes and either reads them or refuses them in plain words; any other exception, a
crash of C code, more than 1 GB or more than 20 seconds is a finding. libFuzzer (by atheris) mutates
what it has found to lead to new lines of code; it begins with the files of `seeds`. What it found
stays in .cache/fuzz/<target>; an input that breaks something in .cache/fuzz/<target>.found.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY_MB = 1024
SECONDS_EACH = 20
SIZE = (40, 60)
FORMATS = (
    "coco", "coco_panoptic", "coco_results", "semantic_png", "instance_png", "cityscapes", "voc",
    "yolo", "labelme", "cvat", "datumaro", "label_studio",
)  # fmt: skip
PICTURES = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
TARGETS = ("rle", "polygons", "zip", *FORMATS, "pictures", "dicom", "nifti")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """In memory where there is such a file system: the fuzzer makes thousands a second."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)


# --- targets: each returns whether it took the bytes ----------------------------------------------
def rle(data: bytes) -> bool:
    """Size in the first two bytes, then the counts. What is taken can be used by C code."""
    from annotations.masks import rle as masks
    from annotations.masks.validation import GeometryError, validate_mask

    if len(data) < 2:
        return False
    size = (data[0] + 1, data[1] + 1)
    try:
        counts = validate_mask(data[2:].decode("latin-1"), list(size), size)
    except GeometryError:
        return False
    pixels = masks.decode(counts, size)
    assert pixels.shape == size
    assert masks.encode(pixels) == counts
    assert int(pixels.sum()) == masks.area(counts)
    assert masks.complement(masks.complement(counts)) == counts
    masks.bbox(counts, size)
    return True


def polygons(data: bytes) -> bool:
    """JSON as the API gets it."""
    from annotations.masks import polygons as shapes
    from annotations.masks import rle as masks
    from annotations.masks.validation import GeometryError, validate_polygons
    from annotations.records import Geometry

    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    try:
        found = validate_polygons(value, SIZE)
    except GeometryError:
        return False
    counts = shapes.geometry_counts(Geometry(size=SIZE, polygons=found))
    assert masks.decode(counts, SIZE).shape == SIZE
    return True


def zip(data: bytes) -> bool:
    from annotations.errors import ServiceError
    from annotations.services import zips

    with folder() as place:
        path = place / "upload.zip"
        path.write_bytes(data)
        try:
            entries = zips.check(path)
            with zips.opened(path) as archive:
                for entry in entries:
                    with zips.reading(archive, entry.name) as file:
                        while file.read(2**16):
                            pass
        except ServiceError as error:
            if error.status != 422:
                raise
            return False
    return True


@cache
def sample(name: str) -> dict[str, bytes]:
    """A good data set of a format, as path to bytes."""
    from annotations.formats.registry import load
    from annotations.records import Report
    from tests.formats.helpers import dataset, simple_images, tree

    with folder() as place:
        load(name).write(dataset(simple_images()), place, {}, Report())
        return tree(place)


def dataset_of(name: str) -> Callable[[bytes], bool]:
    """A data set one of whose files, by the first byte, has other contents."""

    def target(data: bytes) -> bool:
        from annotations.formats.registry import load
        from annotations.records import DatasetError

        files = sample(name)
        if not data:
            return False
        changed = sorted(files)[data[0] % len(files)]
        with folder() as place:
            for path, contents in files.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(data[1:] if path == changed else contents)
            try:
                found = load(name).read(place, {"image_size": lambda stem: SIZE})
                for _ in found.images:
                    pass
            except DatasetError:
                return False
        return True

    return target


def picture_of(*kinds: str) -> Callable[[bytes], bool]:
    """A file in the decoder, whose process has limits besides. The first byte says the type."""

    def target(data: bytes) -> bool:
        from PIL import Image

        from annotations.imaging import decoder
        from annotations.imaging.frame import Limits, Refused, TakesLong

        if not data:
            return False
        Image.MAX_IMAGE_PIXELS = None  # as `decoder.limit` does
        with folder() as place:
            source, kind = place / "source", kinds[data[0] % len(kinds)]
            source.write_bytes(data[1:])
            (place / "out").mkdir()
            ask = {"source": str(source), "folder": str(place / "out"), "type": kind}
            try:
                for _ in decoder.read(ask, Limits(10**6, True, lambda seconds: None)):
                    pass
            except (Refused, TakesLong, MemoryError):
                return False
            except OSError as error:
                if error.errno:
                    raise
                return False
        return True

    return target


def target_of(name: str) -> Callable[[bytes], bool]:
    if name in FORMATS:
        return dataset_of(name)
    pictures = {"pictures": PICTURES, "dicom": ("DICOM",), "nifti": ("NIFTI", "NIFTI_GZ")}
    if name in pictures:
        return picture_of(*pictures[name])
    return {"rle": rle, "polygons": polygons, "zip": zip}[name]


# --- where it begins ------------------------------------------------------------------------------
def seeds(name: str) -> list[bytes]:
    """Good inputs of a target."""
    if name in FORMATS:
        files = sample(name)
        return [bytes([place]) + files[path] for place, path in enumerate(sorted(files))]
    return {
        "rle": _masks,
        "polygons": _polygons,
        "zip": _zips,
        "pictures": _pictures,
        "dicom": _dicoms,
        "nifti": _niftis,
    }[name]()


def _masks() -> list[bytes]:
    import numpy as np

    from annotations.masks import rle as masks

    chance = np.random.default_rng(1)
    found = [np.eye(9, dtype=bool), np.ones((5, 7), bool), chance.random((30, 20)) < 0.3]
    return [bytes([n - 1 for n in one.shape]) + masks.encode(one).encode() for one in found]


def _polygons() -> list[bytes]:
    box = [[1, 1, 30, 1, 30, 20.5, 1, 20]]
    return [json.dumps(one).encode() for one in ([box], [[*box, [5, 5, 9, 5, 9, 9]], box])]


def _zips() -> list[bytes]:
    from tests.ingest.samples import png, zipped

    files = {"a/one.png": png(1), "b.txt": b"words", "__MACOSX/._x": b"x", "empty/": b""}
    return [zipped(files), zipped(files, zipfile.ZIP_STORED), zipped({})]


def _pictures() -> list[bytes]:
    from tests.ingest.samples import encoded, pixels

    small = pixels()
    return [bytes([place]) + encoded(small, kind) for place, kind in enumerate(PICTURES)]


def _dicoms() -> list[bytes]:
    import numpy as np
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import (
        ExplicitVRLittleEndian,
        RLELossless,
        SecondaryCaptureImageStorage,
        generate_uid,
    )

    found = []
    for packed in (False, True):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["labeler"])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.Rows, data.Columns, data.SamplesPerPixel = 6, 8, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        data.WindowCenter, data.WindowWidth, data.RescaleSlope = "40", "80", "2"
        data.PixelData = np.arange(48, dtype="<u2").tobytes()
        if packed:
            data.compress(RLELossless)
        file = io.BytesIO()
        data.save_as(file, enforce_file_format=True)
        found.append(b"\0" + file.getvalue())
    return found


def _niftis() -> list[bytes]:
    import nibabel
    import numpy as np

    volume = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), np.eye(4))
    plain = volume.to_bytes()
    import gzip

    return [b"\0" + plain, b"\1" + gzip.compress(plain, mtime=0)]


# --- the fuzzer -----------------------------------------------------------------------------------
def hunt(name: str, seconds: int, home: Path) -> bool:
    """Runs the fuzzer in a process with limits; whether nothing was found."""
    corpus, begin, found = (home / f"{name}{end}" for end in ("", ".seeds", ".found"))
    for path in (corpus, begin, found):
        path.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (begin / f"seed-{number}").write_bytes(seed)
    command = [
        *[sys.executable, "-m", "tests.trust.fuzz", "--child", name, str(corpus), str(begin)],
        *[f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS_EACH}"],
        *[f"-artifact_prefix={found}/", "-max_len=16384", "-print_final_stats=1", "-verbosity=1"],
    ]
    environment = os.environ | {"DEBUG": "1", "READ_DOTENV": "0", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as data:
        environment["LABELER_DATA"] = data
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace"
        )
    lines = done.stderr.splitlines()
    stats = dict(line[6:].split(": ") for line in lines if line.startswith("stat::"))
    tried = int(stats.get("number_of_executed_units", 0))
    covered = next((line for line in reversed(lines) if " cov: " in line), " cov: ?").split("cov: ")
    print(
        f"{name:14} {'nothing found' if not done.returncode else 'FOUND'}: {tried:,} inputs in "
        f"{seconds} s, {covered[1].split()[0]} places of code reached, "
        f"{stats.get('peak_rss_mb', '?').strip()} MB",
        flush=True,
    )
    if done.returncode:
        print("\n".join([*done.stdout.splitlines()[-25:], *lines[-12:]]))
    return not done.returncode


def child(name: str, arguments: list[str]) -> None:
    """The fuzzer's process: the project's code is instrumented as it is imported."""
    import atheris

    with atheris.instrument_imports(include=["annotations", "zipfile", "pydicom", "nibabel"]):
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
        django.setup()
        target = target_of(name)
        for seed in seeds(name):
            assert target(seed), f"a seed of {name} is refused"
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
        return 0
    usage = f"{__doc__}\nTargets: {' '.join(TARGETS)}"
    if len(sys.argv) < 3 or not sys.argv[1].replace(".", "", 1).isdigit():
        sys.exit(usage)
    names = list(TARGETS) if sys.argv[2:] == ["all"] else sys.argv[2:]
    if set(names) - set(TARGETS):
        sys.exit(usage)
    home = ROOT / ".cache" / "fuzz"
    seconds = max(1, int(60 * float(sys.argv[1])))
    results = [hunt(name, seconds, home) for name in names]
    for name in names:
        shutil.rmtree(home / f"{name}.seeds")
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
