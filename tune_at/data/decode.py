"""What an image file becomes: 8-bit RGB, as a viewer shows it on a white page; for folders and shards alike."""

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tune_at.errors import UserError

WHITE = (255, 255, 255, 255)
"""What shows through where an image is transparent."""

_ORIENTATION = 0x0112  # the tag of EXIF
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of TIFF
_ZERO_IS_WHITE = 0  # a value of the latter
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS_AS_I = ("PNG", "PPM")
"""Formats whose grey values of 16 bits Pillow hands over as 32-bit integers, in some of its versions."""

_OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def decode_image(source: Path | bytes, where: str, remedy: str = "remove or replace the file") -> Image.Image:
    """The image in a file, or in a file's bytes, as 8-bit RGB.

    By Pillow's mode of the image:

    - `1`, `L`: the grey value three times. `P`, `YCbCr`, `CMYK` (Adobe's inverted ones, too), `LAB`, `HSV`: converted.
    - `LA`, `PA`, `RGBA`, with `La` and `RGBa`, and any other with a transparent colour: laid on white.
    - `I;16` and its byte orders, 16 bits of grey: v / 257, rounded (12 bits, in TIFF: v · 255 / 4095). A PNG of 3 × 16
      bits is cut to its upper 8 by Pillow.
    - `I` and `F`, 32 bits: refused, as nothing says which value is white. So is any mode that is not named here.

    The EXIF orientation is applied. Of several frames or pages it is the first. Colour profiles are not looked at.

    Args:
        source: the file's path, or its bytes.
        where: the file and the row, for the message.
        remedy: what to do about a damaged file.

    Raises:
        UserError: what is there is not an image, is damaged, or has no reading as RGB.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            _scale_transparent_colour(image)  # before the pixels are read, and for a PNG's EXIF they are
            orientation = _orientation(image)
            image.load()
            if image.format == "TIFF":
                orientation = 1  # applied in loading
            rgb = _as_rgb(image)
    except UnidentifiedImageError:  # whose own message names an object in memory
        raise UserError(where, "is not an image: of no format that Pillow knows", remedy) from None
    except Exception as error:  # decoders raise whatever their libraries raise
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(where, f"is not an image: {cause}", remedy) from None
    if rgb is None:
        kind = f"an image of mode {image.mode} ({image.format})"
        raise UserError(where, f"is {kind}, whose values have no range", "save it with 8 or 16 bits a channel")
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _orientation(image: Image.Image) -> int:
    """How the camera was held; 1 where that is not said, or not legibly."""
    with contextlib.suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def _scale_transparent_colour(image: Image.Image) -> None:
    """A PNG's transparent colour in 8 bits a channel, like the pixels: Pillow leaves it in the bits of the file."""
    colour = image.info.get("transparency")
    tiles = getattr(image, "tile", []) if image.format == "PNG" else []
    packed = str(tiles[0].args) if tiles else ""
    if isinstance(colour, int) and packed in ("L;2", "L;4"):
        image.info["transparency"] = colour * (85 if packed == "L;2" else 17)
    elif isinstance(colour, tuple) and packed == "RGB;16B":
        image.info["transparency"] = tuple(channel >> 8 for channel in colour)


def _as_rgb(image: Image.Image) -> Image.Image | None:
    """The image as RGB, or None for one without a right reading."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS_AS_I):
        return _from_16_bits(image)
    if image.has_transparency_data and image.mode in (*_OPAQUE, *_WITH_ALPHA):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, WHITE), layer).convert("RGB")
    return image.convert("RGB") if image.mode in _OPAQUE else None


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits, or of as many as a TIFF says, scaled to 8."""
    values = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})
    white = 2 ** int(tags.get(_BITS_PER_SAMPLE, (16,))[0]) - 1
    grey = (values * 255 + white // 2) // white
    if tags.get(_PHOTOMETRIC) == _ZERO_IS_WHITE:
        grey = 255 - grey
    grey = np.where(values == image.info.get("transparency", -1), 255, grey)
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
