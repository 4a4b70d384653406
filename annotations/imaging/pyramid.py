"""Tile pyramids, and rasters that are too large for Pillow's memory, by libvips, row by row.

A pyramid is JPEG tiles of 512 pixels: `<level>/<x>_<y>.jpg`; level 0 is one tile, each next level
twice as wide and high, the last one has the raster's own pixels.
"""

from pathlib import Path
from typing import Any

from PIL import Image

from annotations.imaging.frame import Refused

TILE = 512


def load(source: Path, kind: str, page: int = 0) -> Any:
    """A libvips image, not yet decoded. `kind`: JPEG, PNG, WEBP or TIFF."""
    import pyvips

    pyvips.cache_set_max(0)
    more = {"page": page} if kind == "TIFF" else {}
    reader = getattr(pyvips.Image, f"{kind.lower()}load")
    return reader(str(source), access="sequential", fail_on="error", **more)


def tiles(source: Path, kind: str, folder: Path, number: int) -> tuple[str, int]:
    """Writes the pyramid of an upright 8-bit file. Returns (name of its folder, levels)."""
    image = load(source, kind).colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    image.dzsave(
        str(folder / f"{number}-tiles"),
        layout="dz",
        tile_size=TILE,
        overlap=0,
        depth="onetile",
        suffix=".jpg[Q=92,subsample-mode=off,keep=none]",
    )
    name = f"{number}-tiles_files"
    (folder / name / "vips-properties.xml").unlink(missing_ok=True)
    return name, len(list((folder / name).iterdir()))


def top(folder: Path) -> Image.Image:
    """The whole picture, at most TILE pixels, from its pyramid."""
    with Image.open(folder / "0" / "0_0.jpg") as opened:
        return opened.convert("RGB")


def upright(source: Path, kind: str, target: Path, *, page: int, turned: bool) -> None:
    """Writes `source` as an upright 8-bit sRGB file, PNG or JPEG as `target` is named.

    libvips' conversions: an embedded profile (perceptual), CMYK without one by libvips' own; gray
    of more than 8 bits from its least to its greatest value; alpha on white.
    """
    import pyvips

    try:
        image = load(source, kind, page)
        if turned:  # needs the rows in another order: they are written to a file first
            aside = target.with_suffix(".v")
            image.write_to_file(str(aside))
            image = pyvips.Image.new_from_file(str(aside)).autorot()
        if image.bands < 3 and image.format != "uchar":
            gray = load(source, kind, page).extract_band(0)
            low, high = gray.min(), load(source, kind, page).extract_band(0).max()
            image = ((image.extract_band(0) - low) * (255 / ((high - low) or 1))).rint()
            image = image.cast("uchar").copy(interpretation="b-w")
        elif image.get_typeof("icc-profile-data") or image.interpretation == "cmyk":
            image = image.icc_transform("srgb", embedded=True, intent="perceptual")
        else:
            image = image.colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=255)
        image = image.cast("uchar")
        if target.suffix == ".jpg":
            image.jpegsave(str(target), Q=95, subsample_mode="off", keep="none")
        else:
            image.pngsave(str(target), compression=3, keep="none")
    except pyvips.Error:
        raise Refused("damaged_image", "The file is damaged: it cannot be decoded to its end.")
