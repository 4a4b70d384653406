"""DICOM and NIfTI: each frame or slice a picture, with the file's own window as its view.

Needs requirements/medical.txt. The values of a pixel are kept beside the view (`Deep`). Pixels stay
square even where a file says that they are not.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from annotations.imaging.deep import Deep
from annotations.imaging.frame import (
    TILED_FROM,
    Limits,
    Refused,
    Reply,
    TakesLong,
    reply,
    save_thumbnail,
)

MAX_VOXELS = 1_000_000_000


def missing(what: str, file: str) -> Refused:
    return Refused(
        "reader_missing",
        f"{what} files cannot be read on this server. Its administrator can change that: "
        f"pip install -r requirements/{file}.",
    )


def damaged(what: str) -> Refused:
    return Refused("damaged_image", f"The {what} file is damaged: it cannot be read to its end.")


def gray(values: Deep, folder: Path, number: int, total: int) -> Reply:
    """The files of one slice."""
    if values.raw.size > TILED_FROM:
        raise Refused(
            "too_many_pixels", f"A slice has more than {TILED_FROM:,} pixels, which is too much."
        )
    view, window = values.view()
    name, scale = values.save(folder, number)
    return colour(view, folder, number, total, values=name, window=window | scale)


def colour(image: Image.Image, folder: Path, number: int, total: int, **deep: Any) -> Reply:
    name, size = f"{number}-upright.png", image.size
    image.save(folder / name, compress_level=4)
    thumbnail = save_thumbnail(image, folder, number)
    return reply(number, total, size, thumbnail, upright=name, **deep)


# --- DICOM ----------------------------------------------------------------------------------------


def dicom(source: Path, folder: Path, limits: Limits) -> Iterator[Reply]:
    """Each frame. Gray is rescaled (modality LUT) and shown by its window (DICOM PS3.3, C.11)."""
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_modality_lut, iter_pixels
    except ImportError:
        raise missing("DICOM", "medical.txt")
    try:
        data = pydicom.dcmread(source)
        if "PixelData" not in data:
            raise Refused("empty_image", "The DICOM file holds no picture.")
        total = int(data.get("NumberOfFrames") or 1)
        limits.size(int(data.Columns), int(data.Rows))
        limits.count(total)
        interpretation = str(data.PhotometricInterpretation)
        for number, pixels in enumerate(iter_pixels(data)):
            if interpretation == "PALETTE COLOR":
                pixels = apply_color_lut(pixels, data)
            if pixels.ndim == 3:
                if pixels.dtype.itemsize > 1:
                    pixels = (pixels >> 8).astype(np.uint8)
                rgb = np.ascontiguousarray(pixels[..., :3], np.uint8)
                yield colour(Image.fromarray(rgb), folder, number, total)
                continue
            scale = float(_element(data, number, "RescaleSlope") or 1)
            offset = float(_element(data, number, "RescaleIntercept") or 0)
            if "ModalityLUTSequence" in data:
                pixels, scale, offset = apply_modality_lut(pixels, data), 1.0, 0.0
            low, high = _window(data, number)
            inverted = interpretation == "MONOCHROME1"
            yield gray(Deep(pixels, scale, offset, low, high, inverted), folder, number, total)
    except (Refused, TakesLong, MemoryError):
        raise
    except (NotImplementedError, RuntimeError):  # pydicom has no reader for this packing
        raise Refused(
            "unsupported_dicom", "The DICOM file packs its pixels in a way that is not read here."
        )
    except OSError as error:
        if error.errno:
            raise
        raise damaged("DICOM")
    except Exception:  # pydicom raises of all kinds
        raise damaged("DICOM")


_GROUPS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
}


def _element(data: Any, number: int, name: str) -> Any:
    """A value of the file, or of one frame of an enhanced file; the first of several, or None."""
    groups = [*(data.get("PerFrameFunctionalGroupsSequence") or [])[number : number + 1]]
    groups += [*(data.get("SharedFunctionalGroupsSequence") or [])[:1]]
    places = [data, *(one for group in groups for one in (group.get(_GROUPS[name]) or [])[:1])]
    for place in places:
        value = place.get(name)
        if value is not None and value != "":
            return value if isinstance(value, int | float) else next(iter(value), None)
    return None


def _window(data: Any, number: int) -> tuple[float, float]:
    """(low, high) of the file's first window, (0, 0) where it has none (PS3.3, C.11.2.1.2.1)."""
    centre, width = (_element(data, number, name) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or float(width) <= 1:
        return 0.0, 0.0
    return (
        float(centre) - 0.5 - (float(width) - 1) / 2,
        float(centre) - 0.5 + (float(width) - 1) / 2,
    )


# --- NIfTI ----------------------------------------------------------------------------------------


def nifti(source: Path, folder: Path, limits: Limits, *, packed: bool) -> Iterator[Reply]:
    """Axial slices, foot to head, then the next volume: front up, the patient's right on the left.

    Shown from cal_min to cal_max where the header has them, else from the file's least to its
    greatest value.
    """
    try:
        import nibabel
        from nibabel import orientations
    except ImportError:
        raise missing("NIfTI", "medical.txt")
    try:
        with cast(BinaryIO, gzip.open(source) if packed else source.open("rb")) as file:
            size = file.read(4)
            file.seek(0)
            second = size in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
            kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
            header = kind.from_fileobj(file)
            volume = _voxels(file, header, limits)
        try:
            found = orientations.io_orientation(header.get_best_affine())
            wanted = orientations.axcodes2ornt(("L", "P", "S"))
            turn = orientations.ornt_transform(found, wanted)
            volume = orientations.apply_orientation(volume, turn)
        except (ValueError, np.linalg.LinAlgError):
            pass  # a file that does not say how the patient lies is shown as it is
        scale, offset = (one if one is not None else d for one, d in zip(
            header.get_slope_inter(), (1.0, 0.0), strict=True))  # fmt: skip
        low, high = float(header["cal_min"]), float(header["cal_max"])
        if not high > low:
            ends = [float(volume.min()) * scale + offset, float(volume.max()) * scale + offset]
            low, high = min(ends), max(ends)
        _, _, depth, times = volume.shape
        limits.size(volume.shape[0], volume.shape[1])
        for number in range(depth * times):
            raw = volume[:, :, number % depth, number // depth].T
            values = Deep(np.ascontiguousarray(raw), scale, offset, low, high)
            yield gray(values, folder, number, depth * times)
    except (Refused, TakesLong, MemoryError):
        raise
    except OSError as error:
        if error.errno:
            raise
        raise damaged("NIfTI")
    except Exception:  # nibabel raises of all kinds
        raise damaged("NIfTI")


def _voxels(file: BinaryIO, header: Any, limits: Limits) -> np.ndarray:
    """Four axes; read after its size was checked, so that a bomb unpacks to nothing more."""
    shape = header.get_data_shape()
    kind = header.get_data_dtype()
    if not 2 <= len(shape) <= 7 or min(shape) < 1:
        raise Refused("empty_image", "The NIfTI file has no pixels: one of its sides is 0.")
    if kind.kind not in "iuf":
        raise Refused("unsupported_nifti", "NIfTI files of colours or complex numbers aren't read.")
    voxels = int(np.prod([int(side) for side in shape], dtype=object))
    if voxels * kind.itemsize > MAX_VOXELS:
        raise Refused("too_many_pixels", f"The volume has {voxels:,} values, which is too much.")
    limits.size(int(shape[0]), int(shape[1]))
    limits.count(voxels // (int(shape[0]) * int(shape[1])))
    file.seek(int(header["vox_offset"]))
    data = file.read(voxels * kind.itemsize)
    if len(data) < voxels * kind.itemsize:
        raise damaged("NIfTI")
    volume = np.frombuffer(data, kind).reshape(shape, order="F")
    if volume.ndim == 2:
        volume = volume[:, :, None]
    return volume.reshape((*volume.shape[:3], -1), order="F")
