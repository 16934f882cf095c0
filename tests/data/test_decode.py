"""What each of Pillow's modes becomes, by value, through the files that carry it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.data.test_sources import write_shard
from tune_at.config.data import ImageFolder
from tune_at.data import cache
from tune_at.data.decode import decode_image
from tune_at.data.parquet import decode_shards, find_shards
from tune_at.data.vision import load_image_folder
from tune_at.errors import UserError


def saved(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def pixels(data):
    """The decoded image's pixels, row by row."""
    image = decode_image(data, "here")
    assert image.mode == "RGB"
    return np.asarray(image).reshape(-1, 3).tolist()


def row(values, mode=None):
    """An image one pixel high."""
    return Image.fromarray(np.array([values], dtype=np.uint8), mode)


def grey(*values):
    return [[value] * 3 for value in values]


def stored_mode(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.mode


def png(depth, colour_type, packed, transparent=b"", width=4):
    """A PNG one pixel high, written by hand: Pillow does not write these."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + packed)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts if data or kind == b"IEND")


COLOURS = [[0, 0, 0], [1, 2, 3], [255, 0, 0], [250, 251, 252]]
LOSSLESS = ["PNG", "TIFF", "BMP", "WEBP"]


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_rgb_is_what_it_is(file_format):
    options = {"lossless": True} if file_format == "WEBP" else {}
    assert pixels(saved(row(COLOURS), file_format, **options)) == COLOURS


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF"])
def test_grey_and_black_and_white(file_format):
    values = [0, 7, 128, 255]
    assert pixels(saved(row(values), file_format)) == grey(*values)
    assert pixels(saved(row([0, 255, 255, 0]).convert("1"), file_format)) == grey(0, 255, 255, 0)


def test_grey_in_a_jpeg():
    flat = Image.fromarray(np.full((8, 8), 130, dtype=np.uint8))
    assert pixels(saved(flat, "JPEG", quality=100)) == grey(*[130] * 64)


# 10 · 128/255 + 255 · 127/255 = 132.02
ALPHA = [[10, 20, 30, 0], [10, 20, 30, 128], [10, 20, 30, 255], [200, 0, 0, 0]]
ON_WHITE = [[255, 255, 255], [132, 137, 142], [10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_what_is_transparent_is_laid_on_white(file_format):
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    data = saved(row(ALPHA, "RGBA"), file_format, **options)
    assert stored_mode(data) == "RGBA"
    assert pixels(data) == ON_WHITE


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_grey_with_alpha_is_laid_on_white(file_format):
    data = saved(row([[10, 0], [10, 128], [10, 255], [3, 0]], "LA"), file_format)
    assert stored_mode(data) == "LA"
    assert pixels(data) == grey(255, 132, 10, 255)


def test_premultiplied_alpha_in_a_tiff():
    """Half of red, stored as 128: the alpha is already in the colour, 128 + 127 of the white behind."""
    data = bytearray(saved(row([[128, 0, 0, 128], [0, 0, 0, 0]], "RGBA"), "TIFF"))
    place = data.find(struct.pack("<HHI", 338, 3, 1))  # ExtraSamples: 1 is premultiplied alpha, 2 is not
    data[place + 8] = 1
    assert pixels(bytes(data)) == [[255, 127, 127], [255, 255, 255]]


def palette_image():
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.putdata([0, 1, 2, 3])
    return image


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette(file_format):
    data = saved(palette_image(), file_format)
    assert stored_mode(data) == "P"
    assert pixels(data) == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]


def test_a_palette_with_transparency():
    for file_format in ("PNG", "GIF"):
        data = saved(palette_image(), file_format, transparency=1)
        assert pixels(data) == [[255, 0, 0], [255, 255, 255], [0, 0, 255], [9, 9, 9]]
    data = saved(palette_image(), "PNG", transparency=b"\x00\x80\xff\xff")
    assert pixels(data) == [[255, 255, 255], [127, 255, 127], [0, 0, 255], [9, 9, 9]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved(row([0, 7, 128, 255]), "PNG", transparency=7), grey(0, 255, 128, 255)),
        (saved(row(COLOURS), "PNG", transparency=(1, 2, 3)), [[0] * 3, [255] * 3, [255, 0, 0], [250, 251, 252]]),
        (png(1, 0, bytes([0b01010000]), struct.pack(">H", 0)), grey(255, 255, 255, 255)),
        (png(2, 0, bytes([0b00011011]), struct.pack(">H", 1)), grey(0, 255, 170, 255)),
        (png(4, 0, bytes([0x03, 0x7F]), struct.pack(">H", 3)), grey(0, 255, 119, 255)),
        (png(16, 0, struct.pack(">4H", 0, 1000, 32768, 65535), struct.pack(">H", 1000)), grey(0, 255, 128, 255)),
        (
            png(16, 2, struct.pack(">12H", *[0] * 3, 258, 515, 772, 65535, 0, 128, 40000, 0, 0), b"\1\2\2\3\3\4"),
            [[0, 0, 0], [255, 255, 255], [255, 0, 0], [156, 0, 0]],
        ),
    ],
    ids=["L", "RGB", "1 bit", "2 bits", "4 bits", "16 bits", "3 × 16 bits"],
)
def test_a_transparent_colour(data, expected):
    assert pixels(data) == expected


RAMP = np.array([[0, 1000, 32768, 65535]], dtype=np.uint16)  # 1000 / 257 = 3.9, 32768 / 257 = 127.5


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_are_scaled_not_clipped(file_format):
    assert pixels(saved(Image.fromarray(RAMP), file_format)) == grey(0, 4, 128, 255)


def test_sixteen_bits_in_the_other_byte_order_and_with_white_at_zero():
    data = saved(Image.fromarray(RAMP.astype(">u2")), "TIFF")
    assert stored_mode(data) == "I;16B"
    assert pixels(data) == grey(0, 4, 128, 255)
    inverted = bytearray(saved(Image.fromarray(RAMP), "TIFF"))
    inverted[inverted.find(struct.pack("<HHI", 262, 3, 1)) + 8] = 0  # PhotometricInterpretation: white is zero
    assert pixels(bytes(inverted)) == grey(255, 251, 127, 0)


def test_twelve_bits_in_a_tiff():
    data = bytearray(saved(Image.fromarray(np.zeros((1, 3), dtype=np.uint16)), "TIFF"))
    data[data.find(struct.pack("<HHI", 258, 3, 1)) + 8] = 12  # BitsPerSample
    (strip,) = struct.unpack("<I", data[(place := data.find(struct.pack("<HHI", 273, 4, 1)) + 8) : place + 4])
    data[strip : strip + 5] = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0])  # 0, 2048 and 4095, twelve bits each
    assert pixels(bytes(data)) == grey(0, 128, 255)


def flat(values, mode):
    return Image.fromarray(np.full((8, 8, len(values)), values, dtype=np.uint8), mode)


@pytest.mark.parametrize(
    ("inks", "colour"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_also_with_the_inverted_values_of_adobes_jpegs(inks, colour):
    for data in (saved(flat(inks, "CMYK"), "TIFF"), saved(flat(inks, "CMYK"), "JPEG", quality=100)):
        assert stored_mode(data) == "CMYK"
        assert np.abs(np.array(pixels(data)) - colour).max() <= 1
    assert b"Adobe" in data  # whose values Pillow writes inverted, as Adobe does


def test_ycbcr_and_lab():
    """Red is (76, 85, 255) in YCbCr (ITU-R BT.601), and L*a*b* has white at (100, 0, 0) and black at (0, 0, 0)."""
    red = saved(flat((76, 85, 255), "YCbCr"), "TIFF", compression=None)
    assert stored_mode(red) == "YCbCr"
    assert pixels(red)[0] == pytest.approx([254, 0, 0], abs=1)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.applyTransform(row(COLOURS), ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    data = saved(image, "TIFF")
    assert stored_mode(data) == "LAB"
    assert np.abs(np.array(pixels(data)) - COLOURS).max() <= 6  # of eight bits each, of which L*a*b* has a coarser grid


def test_jpegs_of_colour():
    assert np.abs(np.array(pixels(saved(flat((200, 100, 50), "RGB"), "JPEG", quality=100))) - (200, 100, 50)).max() <= 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_what_has_no_range_is_refused_by_name(mode):
    values = np.array([[0, 1, 70000]], dtype=np.int32 if mode == "I" else np.float32)
    with pytest.raises(UserError) as caught:
        decode_image(saved(Image.fromarray(values), "TIFF"), "a/b.tif")
    assert str(caught.value) == (
        f"a/b.tif: is an image of mode {mode} (TIFF), whose values have no range; save it with 8 or 16 bits a channel"
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(file_format, orientation):
    """Against Pillow's own, on an image whose four quarters differ."""
    quarters = np.array([[10, 80], [150, 250]], dtype=np.uint8).repeat(16, 0).repeat(24, 1)
    upright = Image.fromarray(np.stack([quarters] * 3, 2))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 100} if file_format == "JPEG" else {}
    found = decode_image(saved(stored, file_format, exif=exif, **options), "here")
    assert found.size == upright.size
    assert np.abs(np.asarray(found).astype(int) - np.asarray(upright)).max() <= 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_is_passed_over():
    data = saved(row(COLOURS), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert pixels(data) == COLOURS


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_it_is_the_first(file_format):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("white", "black")]
    data = saved(frames[0], file_format, save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    assert pixels(data) == [[255, 255, 255]] * 16


def test_what_is_not_an_image_is_named():
    whole = saved(row(COLOURS), "PNG")
    for data in (b"no image", b"", whole[:40], whole[: len(whole) // 2]):
        with pytest.raises(UserError, match=r"^p\.png: is not an image: .*; fetch it again$") as caught:
            decode_image(data, "p.png", "fetch it again")
        assert "0x" not in str(caught.value)


def test_a_folder_and_a_shard_agree(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))
    images = [Image.new("RGBA", (8, 8), (10, 20, 30, 128)), Image.fromarray(np.full((8, 8), 32768, dtype=np.uint16))]
    cells = [{"bytes": saved(image, "PNG"), "path": None} for image in images]
    for split in ("train", "test"):
        write_shard(tmp_path / f"{split}-00000-of-00001.parquet", cells, [0, 1])
        for label, cell in enumerate(cells):
            folder = tmp_path / "folder" / split / f"class {label}"
            folder.mkdir(parents=True)
            (folder / "0.png").write_bytes(cell["bytes"])
    shards = decode_shards(find_shards(tmp_path, "x"), "label")
    folder = load_image_folder(ImageFolder(path=str(tmp_path / "folder"), image_size=8))
    assert shards.train.images[:, :, 0, 0].tolist() == [[132, 137, 142], [128, 128, 128]]
    assert np.array_equal(shards.train.images, folder.train.images)


def test_what_was_decoded_before_is_not_taken_from_the_cache(tmp_path, monkeypatch):
    file = tmp_path / "0.png"
    file.write_bytes(b"content")
    now = cache.content_key("x", [file])
    monkeypatch.setattr(cache, "LAYOUT", 1)
    assert cache.content_key("x", [file]) != now
