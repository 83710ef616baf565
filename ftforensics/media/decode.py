"""File bytes become a small sRGB picture for reading. Runs inside a worker: Pillow only, no NumPy.

Every mode is converted to what a viewer would show: palettes looked up, CMYK and 16 bits reduced, embedded ICC profiles
turned to sRGB, transparency laid on white, EXIF orientation applied, the first frame of an animation. Only the parser
that the magic bytes ask for is ever tried.
"""

from __future__ import annotations

import hashlib
import importlib
import io
from dataclasses import dataclass

from PIL import Image, ImageCms

from ftforensics.domain.evidence import DecodeInfo
from ftforensics.errors import EvidenceTooLarge, EvidenceUnreadable
from ftforensics.media.escape import describe_exception, escape_text
from ftforensics.media.exif_ifd import TAG_ORIENTATION, parse_orientation
from ftforensics.media.jpeg_container import find_unusual_coding
from ftforensics.media.limits import MAX_PIXELS, MAX_SIDE_PX

_PLUGINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "image/jpeg": ("PIL.JpegImagePlugin", ("JPEG",)),
    "image/png": ("PIL.PngImagePlugin", ("PNG",)),
    "image/gif": ("PIL.GifImagePlugin", ("GIF",)),
    "image/webp": ("PIL.WebPImagePlugin", ("WEBP",)),
    "image/tiff": ("PIL.TiffImagePlugin", ("TIFF",)),
    "image/bmp": ("PIL.BmpImagePlugin", ("BMP",)),
    "image/avif": ("PIL.AvifImagePlugin", ("AVIF",)),
    "image/heic": ("pillow_heif", ("HEIF",)),
    "image/heif": ("pillow_heif", ("HEIF",)),
}

_UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_SRGB_NAMES = (
    b"sRGB IEC61966-2.1",
    b"s\x00R\x00G\x00B\x00 \x00I\x00E\x00C\x006\x001\x009\x006\x006\x00-\x002\x00.\x001",
)


@dataclass(frozen=True, slots=True)
class ReadingPicture:
    """A picture made ready to be read: ``rgb`` is width x height x 3 bytes, row by row, display-oriented sRGB."""

    width_px: int
    height_px: int
    rgb: bytes
    info: DecodeInfo


def decode_for_reading(data: bytes, media_type: str, *, max_px: int, max_pixels: int = MAX_PIXELS) -> ReadingPicture:
    """Decode a picture whose long side is brought down to at most ``max_px``.

    Args:
        data: The whole file.
        media_type: What ``sniff_media_type`` said of it.
        max_px: Longest side of the result in pixels; smaller pictures are never enlarged.
        max_pixels: Pictures with more pixels are refused before they are decoded.

    Raises:
        EvidenceTooLarge: More pixels than allowed, or out of memory.
        EvidenceUnreadable: Anything else that is wrong with the file.
    """
    try:
        with open_picture(data, media_type) as image:
            return _decode_open(image, media_type, max_px, max_pixels)
    except (EvidenceTooLarge, EvidenceUnreadable):
        raise
    except (MemoryError, Image.DecompressionBombError) as exc:
        raise EvidenceTooLarge("the picture needs more memory than a worker may use") from exc
    except Exception as exc:  # image parsers raise nearly every built-in exception on hostile bytes
        raise EvidenceUnreadable(f"the picture cannot be decoded ({describe_failure(exc, data, media_type)})") from exc


def open_picture(data: bytes, media_type: str) -> Image.Image:
    """Open a picture with the one parser that its type calls for; pixels are not decoded yet.

    Raises:
        EvidenceUnreadable: The type has no parser here.
        Exception: Whatever the parser raises on bytes it does not understand.
    """
    if media_type not in _PLUGINS:
        raise EvidenceUnreadable(f"not a picture that can be decoded ({escape_text(media_type, 60)})")
    module_name, formats = _PLUGINS[media_type]
    module = importlib.import_module(module_name)
    if module_name == "pillow_heif":
        module.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    image = Image.open(io.BytesIO(data), formats=formats)
    if media_type == "image/jpeg" and find_unusual_coding(data) is not None:
        # Arithmetic coding is read in one go: its decoder cannot wait for more bytes.
        image.decodermaxblock = max(len(data), 1 << 16)
    return image


def describe_failure(exc: Exception, data: bytes, media_type: str) -> str:
    """Why a parser gave up: in its words, or the coding of the JPEG where it is one that few programs can read."""
    coding = find_unusual_coding(data) if media_type == "image/jpeg" else None
    return describe_exception(exc) if coding is None else f"a JPEG of {coding}, which is not read here"


def lift_library_limit() -> None:
    """Let this process's own pixel limit be the only one; for workers, whose memory is bounded besides."""
    Image.MAX_IMAGE_PIXELS = None


def check_size(width_px: int, height_px: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a picture by its stated size, before any pixel is decoded.

    Raises:
        EvidenceTooLarge: More than ``max_pixels`` pixels or a side over 65,535.
        EvidenceUnreadable: No pixels at all.
    """
    if width_px < 1 or height_px < 1:
        raise EvidenceUnreadable("the picture has no pixels")
    if width_px * height_px > max_pixels or max(width_px, height_px) > MAX_SIDE_PX:
        raise EvidenceTooLarge(f"the picture claims {width_px} x {height_px} pixels, over the limit of {max_pixels}")


def describe_picture(image: Image.Image, media_type: str) -> DecodeInfo:
    """How an opened picture is coded; must be asked before its pixels are loaded."""
    icc = image.info.get("icc_profile")
    width_px, height_px = image.size
    orientation = 1
    if media_type == "image/tiff":
        stated = getattr(image, "tag_v2", {}).get(TAG_ORIENTATION, 1)
        orientation = stated if isinstance(stated, int) and 1 <= stated <= 8 else 1
        if orientation >= 5:  # Pillow states the size of a TIFF as it is displayed
            width_px, height_px = height_px, width_px
    elif media_type not in ("image/heic", "image/heif", "image/gif", "image/bmp"):
        orientation = parse_orientation(image.info.get("exif"))
    return DecodeInfo(
        codec="jpeg" if image.format == "MPO" else str(image.format or "unknown").lower(),
        mode=image.mode,
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
        icc=hashlib.sha256(icc).hexdigest() if isinstance(icc, bytes) and icc else None,
        frames=int(getattr(image, "n_frames", 1)),
    )


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation 1..8."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def convert_to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Turn any mode into RGB as a viewer would show it: ICC profile applied, transparency on white.

    A profile that is broken, or does not fit the mode, is ignored.
    """
    alpha = None
    if image.mode in ("P", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("PA", "La", "RGBa"):
        image = image.convert("RGBA" if image.mode != "La" else "LA")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    image = _apply_profile(_to_eight_bits(image), icc)
    if alpha is not None and alpha.getextrema() != (255, 255):
        paper = Image.new("RGB", image.size, (255, 255, 255))
        paper.paste(image, mask=alpha)
        return paper
    return image


def _decode_open(image: Image.Image, media_type: str, max_px: int, max_pixels: int) -> ReadingPicture:
    info = describe_picture(image, media_type)
    check_size(info.width_px, info.height_px, max_pixels)
    icc = image.info.get("icc_profile")
    if info.codec == "jpeg":  # draft() of other formats may hand out an embedded thumbnail instead of the picture
        long_px = max(image.size)
        image.draft(None, tuple(max(1, side * min(max_px, long_px) // long_px) for side in image.size))  # type: ignore[arg-type]
    image.load()
    small = _shrink(image, max_px)
    orientation = 1 if media_type == "image/tiff" else info.orientation  # load() has turned a TIFF already
    shown = upright(convert_to_srgb(small, icc if isinstance(icc, bytes) else None), orientation)
    return ReadingPicture(shown.width, shown.height, shown.tobytes(), info)


def _shrink(image: Image.Image, max_px: int) -> Image.Image:
    long_px = max(image.size)
    if long_px <= max_px:
        return image
    if image.mode in ("P", "1", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode in _SIXTEEN_BITS:
        image = _to_eight_bits(image)
    size = (max(1, round(image.width * max_px / long_px)), max(1, round(image.height * max_px / long_px)))
    # Half as dear as Lanczos, which took longer than the reader itself; tags read as clearly (docs/adr/0009).
    return image.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen-bit, 32-bit integer and floating-point samples to eight bits; other modes unchanged."""
    if image.mode in _SIXTEEN_BITS:
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
            return image
        if image.mode == "F" and low >= 0 and high <= 1:
            top = 1.0
        else:
            top = 255.0 if high <= 255 else max(65535.0, float(high))
        return image.convert("F").point(lambda value: value * (255.0 / top)).convert("L")
    return image


def _apply_profile(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc and image.mode in ("RGB", "L", "CMYK", "LAB") and not _is_srgb(icc):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            pass
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB") or image
    return image if image.mode == "RGB" else image.convert("RGB")


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(icc: bytes) -> bool:
    return len(icc) < 4096 and any(name in icc for name in _SRGB_NAMES)
