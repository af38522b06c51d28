"""Any image becomes upright RGB and then the network's 28x28 pixels, or is refused."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.images import SIZE, decode, fit, is_image


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (height, width, channels), dtype=np.uint8)


def outcome(data: bytes) -> str:
    """Decode an image; return "decoded", or the message of a ``DatasetError``."""
    try:
        assert decode(data).shape[2] == 3
    except DatasetError as error:
        return str(error)
    return "decoded"


def plain(color: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (4, 3)) -> Image.Image:
    return Image.new(mode, size, color)


# -- decode -----------------------------------------------------------------------------------


def test_an_rgb_image_is_decoded_pixel_for_pixel() -> None:
    """A lossless RGB image is decoded exactly: rows, columns, and channels in order."""
    pixels = noise(5, 7)
    decoded = decode(encoded(Image.fromarray(pixels)))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG"])
def test_grey_images_get_three_equal_channels(form: str) -> None:
    """An 8-bit grey image of any format has its grey in all three channels."""
    decoded = decode(encoded(Image.new("L", (6, 4), 128), form))
    assert decoded.shape == (4, 6, 3)
    assert set(decoded.ravel().tolist()) == {128}


def test_black_and_white_images_are_black_and_white() -> None:
    """One-bit pixels are 0 and 255, not 0 and 1."""
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decode(encoded(image)).tolist() == [[[0] * 3, [255] * 3]]


def test_a_palette_is_looked_up() -> None:
    """An indexed image has the colours of its palette."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 0]]]


@pytest.mark.parametrize(
    ("mode", "color", "shown"),
    [
        ("RGBA", (0, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (0, 100, 200, 255), [0, 100, 200]),
        ("RGBA", (0, 0, 0, 51), [204, 204, 204]),
        ("LA", (0, 0), [255, 255, 255]),
        ("LA", (100, 255), [100, 100, 100]),
    ],
)
def test_transparency_shows_white(mode: str, color: tuple[int, ...], shown: Any) -> None:
    """Transparent pixels are shown on white, whatever colour they hold."""
    assert decode(encoded(plain(color, mode)))[0, 0].tolist() == shown


def test_a_transparent_palette_colour_shows_white() -> None:
    """A palette's transparent colour is shown as white."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image, transparency=1)).tolist() == [[[10, 20, 30], [255] * 3]]


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        (1, (0, 0)),
        (2, (0, 3)),
        (3, (2, 3)),
        (4, (2, 0)),
        (5, (0, 0)),
        (6, (0, 2)),
        (7, (3, 2)),
        (8, (3, 0)),
    ],
)
def test_a_photograph_is_turned_upright(orientation: int, corner: tuple[int, int]) -> None:
    """The EXIF orientation is applied: the stored top left corner moves to its upright place."""
    pixels = np.zeros((3, 4, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(Image.fromarray(pixels), exif=exif))
    assert decoded.shape == ((3, 4, 3) if orientation < 5 else (4, 3, 3))
    assert np.argwhere(decoded[..., 0] == 255).tolist() == [list(corner)]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_pixels_of_more_than_eight_bits_are_refused(dtype: Any) -> None:
    """Scaling 16-bit or float pixels would be a guess; the error says what to do."""
    deep = Image.fromarray(np.full((4, 4), 1000, dtype))
    with pytest.raises(DatasetError, match="8 bits per channel"):
        decode(encoded(deep, "TIFF"))


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_bytes_that_are_not_an_image_are_refused(data: bytes) -> None:
    """Text, an empty file, and a signature without a picture are refused with a reason."""
    with pytest.raises(DatasetError, match=r"\w"):
        decode(data)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "PPM"])
def test_a_truncated_image_is_refused(form: str) -> None:
    """Half of an image file is refused."""
    data = encoded(Image.fromarray(noise(40, 40)), form)
    with pytest.raises(DatasetError):
        decode(data[: len(data) // 2])


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damage that it could repair
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "DDS"])
def test_any_damage_is_refused_in_words_or_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """An image with any bit or byte changed is decoded or raises ``DatasetError``."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # a damaged size could be huge, and slow
    data = encoded(Image.fromarray(noise(4, 4)), form)
    for place in range(min(len(data), 800)):
        for flipped in (0x01, 0x40, 0xFF):
            damaged = bytearray(data)
            damaged[place] ^= flipped
            assert outcome(bytes(damaged)), (place, flipped)


def test_an_image_too_large_to_be_honest_is_refused() -> None:
    """A small file that claims 2.5 gigapixels is refused before it is decompressed."""
    data = bytearray(encoded(plain((0, 0, 0))))
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    with pytest.raises(DatasetError):
        decode(bytes(data))


@pytest.mark.parametrize(
    "suffix", ["jpg", "JPG", "jpeg", "jpe", "jfif", "png", "webp", "jp2", "tif"]
)
def test_a_name_is_an_images_if_pillow_decodes_its_format(suffix: str) -> None:
    """Every suffix of a format that the installed Pillow decodes counts, in upper case too."""
    assert is_image(Path("a") / f"b.{suffix}")


@pytest.mark.parametrize("name", ["a", "a.txt", "a.heic.bak", "a.mpg", "a.eps", "a.h5", ".png"])
def test_other_names_are_no_images(name: str) -> None:
    """Videos, what only Ghostscript can draw, and everything else are no images."""
    assert not is_image(Path(name))


def test_photographs_of_iphones_are_read_where_pillow_heif_is_installed() -> None:
    """HEIC is read by a package of its own."""
    heif = pytest.importorskip("pillow_heif", reason="Pillow alone does not read HEIC")
    heif.register_heif_opener()
    data = encoded(plain((200, 10, 10), size=(64, 48)), "HEIF", quality=90)
    assert is_image(Path("photo.HEIC"))
    assert decode(data).shape == (48, 64, 3)
    assert np.abs(decode(data).reshape(-1, 3).mean(axis=0) - (200, 10, 10)).max() < 10


def test_what_ghostscript_would_draw_is_refused_whatever_its_name() -> None:
    """The content decides: PostScript is a program, and a picture's suffix does not start it."""
    with pytest.raises(DatasetError, match="not an image"):
        decode(encoded(plain((9, 9, 9)), "EPS"))


def broken_exif(form: str, exif: bytes) -> bytes:
    return encoded(Image.fromarray(noise(40, 30)), form, exif=exif)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG", "TIFF"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0orientation=6", b"Exif\0\0XX*\0\x08\0\0\0\x01\0", b"Exif\0\0"]
)
def test_without_a_usable_orientation_an_image_is_taken_as_it_lies(form: str, exif: bytes) -> None:
    """Broken EXIF data cost nothing: the pixels are sound."""
    image = Image.fromarray(noise(40, 30))
    data = encoded(image, form) if form == "TIFF" else encoded(image, form, exif=exif)
    if form == "TIFF":  # its orientation is a field of its own: of a type that no number has
        data = encoded(image, form, tiffinfo={0x0112: 99})
    assert decode(data).shape == (40, 30, 3)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_taken(form: str) -> None:
    """An animation is its first frame."""
    first, second = plain((255, 0, 0)), plain((0, 0, 255))
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(first, form, save_all=True, append_images=[second], **options)
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


def test_four_inks_become_rgb() -> None:
    """A CMYK photograph from a printer's shop has its colours."""
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    red, green, blue = decode(data)[0, 0].tolist()
    assert red > 230
    assert max(green, blue) < 30


@pytest.mark.long
def test_damaged_images_leave_the_console_alone(tmp_path: Path) -> None:
    """Neither Pillow's warnings and log nor libtiff's own lines come out; reasons are returned."""
    random = np.random.RandomState(1)
    whole = [encoded(Image.fromarray(noise(40, 40)), "TIFF", compression="tiff_lzw")]
    whole += [encoded(Image.fromarray(noise(40, 40)), "TIFF", compression="tiff_adobe_deflate")]
    whole += [encoded(Image.fromarray(noise(9, 9)), "TIFF"), broken_exif("JPEG", b"Exif\0\0MM")]
    whole += [encoded(plain((0, 0, 0), size=(10_000, 9_000)), "PNG")]  # Pillow warns above 89 MP
    for number, data in enumerate(whole * 20):
        damaged = np.frombuffer(data, np.uint8).copy()
        if number >= len(whole):
            damaged[random.randint(len(damaged), size=3)] ^= 0x55
        if number < len(whole) or len(data) < 10_000:
            (tmp_path / f"{number:03d}.tif").write_bytes(damaged.tobytes())
    script = (
        "import sys; from pathlib import Path\n"
        "from hyperhive.common.errors import DatasetError\n"
        "from hyperhive.model.data.images import decode\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: decode(path.read_bytes())\n"
        "    except DatasetError: pass\n"
        "print('stderr works', file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, check=True
    )
    assert ran.stderr.split(b"\n") == [b"stderr works", b""]


def test_an_image_beyond_pillows_limit_says_how_large_it_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason is a sentence for its owner, and not a warning."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(DatasetError, match="more than 2 megapixels: make it smaller"):
        decode(encoded(plain((0, 0, 0), size=(2000, 1001))))


# -- fit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (1, 1), (1, 100), (100, 3), (240, 320), (5, 28)])
def test_every_image_fits(channels: int, size: tuple[int, int]) -> None:
    """An image of any size becomes 28x28 pixels of uint8."""
    fitted = fit(noise(*size), channels)
    assert fitted.shape == (SIZE, SIZE, channels)
    assert fitted.dtype == np.uint8


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    """An image of 28x28 pixels is not resampled."""
    pixels = noise(28, 28)
    assert np.array_equal(fit(pixels, 3), pixels)


def test_grey_is_itu_luma() -> None:
    """Grey is 0.299 R + 0.587 G + 0.114 B, as in JPEG and in Simpsons-MNIST's grey images."""
    pixels = noise(28, 28)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(fit(pixels, 1)[..., 0] - luma).max() <= 1


@pytest.mark.parametrize("upright", [True, False])
def test_the_centre_of_an_oblong_image_is_taken(upright: bool) -> None:
    """A 28x84 image becomes exactly its middle 28x28 pixels."""
    pixels = noise(28, 84)
    middle = pixels[:, 28:56]
    if upright:
        pixels, middle = pixels.transpose(1, 0, 2).copy(), middle.transpose(1, 0, 2)
    assert np.array_equal(fit(pixels, 3), middle)


def test_downsampling_averages() -> None:
    """A fine checkerboard becomes uniform grey, because downsampling is antialiased."""
    board = np.indices((280, 280)).sum(axis=0) % 2 * 255
    fitted = fit(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), 3)
    assert np.abs(fitted.astype(int) - 127).max() <= 2


def test_a_large_frame_keeps_its_mean() -> None:
    """Resizing does not change the mean brightness of a frame."""
    pixels = noise(480, 480)
    assert fit(pixels, 3).mean() == pytest.approx(pixels.mean(), abs=1)
