"""Photographs for tagging: opened with all that makes their file what it is, written back as the same kind of file.

Enters: a path that the issuer named. Leaves: a ``Photo``, and later a file with new pixels whose format, compression
settings, orientation, colour profile, EXIF and XMP are the source's. Pictures that would come back as something else
are refused instead. These are the issuer's own files: they are parsed in this process, under the same pixel limits as
evidence.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.domain.evidence import DecodeInfo
from ftforensics.errors import EvidenceError, EvidenceTooLarge, EvidenceUnreadable, FtfError, ModeUnsupported
from ftforensics.media import jpeg_container, plain_containers, png_container, tiff_container
from ftforensics.media.decode import check_size, describe_failure, describe_picture, open_picture
from ftforensics.media.escape import describe_exception
from ftforensics.media.intake import CANNOT_OPEN, IntakeStopped, read_evidence
from ftforensics.media.limits import MAX_PIXELS
from ftforensics.media.photo import Photo, Pixels, compose, orient, unorient
from ftforensics.media.plain_containers import encode_bmp_like, encode_heic_like, encode_webp_like
from ftforensics.media.sniff import EMPTY
from ftforensics.media.tiff_container import encode_tiff_like
from ftforensics.media.writing import atomic_write

__all__ = [
    "Photo",
    "Pixels",
    "SavedFile",
    "atomic_write",
    "encode_like",
    "list_dropped",
    "load_photo",
    "orient",
    "save_like",
    "unorient",
]

MAX_FILE_BYTES = 1 << 30
TAGGABLE_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/heic", "image/heif"}
)
_MODES = frozenset({"RGB", "RGBA", "L", "LA"})
_REMEDY = "convert it to an 8-bit RGB picture first"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """A file as written. ``dropped`` says in words what the source held that could not be carried over."""

    path: Path
    sha256: str
    size_bytes: int
    media_type: str
    dropped: tuple[str, ...]


def load_photo(path: Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Open a photograph for tagging.

    Args:
        path: A file; a symbolic link is followed, for the issuer named it.
        max_pixels: Larger pictures are refused before they are decoded.

    Raises:
        EvidenceUnreadable: Missing, not permitted, empty, truncated, or not a picture.
        EvidenceTooLarge: Over the size, pixel or memory limit.
        ModeUnsupported: A picture that cannot be written back as the same kind of file.
    """
    try:
        read = read_evidence(os.fsencode(path.resolve()), keep_bytes=MAX_FILE_BYTES)
    except (IntakeStopped, OSError, RuntimeError) as exc:
        reason = str(exc).removeprefix(f"{CANNOT_OPEN}: ")  # or it would be said twice
        raise EvidenceUnreadable(
            f"The photograph cannot be opened ({reason})", subject=str(path), remedy="check path and permissions"
        ) from exc
    if read.media_type.startswith("image/") and read.media_type not in TAGGABLE_TYPES:
        raise ModeUnsupported(
            f"{read.media_type} pictures are not tagged", subject=str(path), remedy="convert it to JPEG or PNG first"
        )
    if read.data is None or read.media_type == EMPTY:
        raise _refuse_bytes(path, read.media_type, read.size_bytes)
    try:
        return _decode_photo(path, bytes(read.data), read.sha256, read.media_type, max_pixels)
    except EvidenceError as exc:
        raise type(exc)(exc.what, subject=str(path), remedy=exc.remedy) from exc
    except (MemoryError, Image.DecompressionBombError) as exc:
        raise EvidenceTooLarge("The photograph needs too much memory", subject=str(path)) from exc
    except Exception as exc:  # image parsers raise nearly every built-in exception on hostile bytes
        raise EvidenceUnreadable(
            f"The photograph cannot be decoded ({describe_failure(exc, bytes(read.data), read.media_type)})",
            subject=str(path),
            remedy="open it in an editor and save it again",
        ) from exc


def encode_like(photo: Photo, pixels: Pixels) -> bytes:
    """The bytes of a file like ``photo`` with other pixels.

    Args:
        photo: The source.
        pixels: uint8 (H, W, 3), display-oriented, shaped as ``photo.pixels``. Of grey pictures the luminance counts.

    Raises:
        EvidenceUnreadable: The source's metadata cannot be carried over.
        ValueError: ``pixels`` have another shape or type than ``photo.pixels``.
    """
    if pixels.shape != photo.pixels.shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 {photo.pixels.shape}, not {pixels.dtype} {pixels.shape}")
    picture = compose(photo, unorient(pixels, photo.decode.orientation))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries warn on the console of every flaw that they forgive
            return _encode(photo, picture)
    except EvidenceUnreadable as exc:
        raise EvidenceUnreadable(exc.what, subject=str(photo.path), remedy=exc.remedy) from exc
    except (FtfError, MemoryError):
        raise
    except Exception as exc:  # the encoders raise what they like on metadata they do not understand
        raise EvidenceUnreadable(
            f"The photograph cannot be written like its source ({describe_exception(exc)})",
            subject=str(photo.path),
            remedy="save it without its metadata and tag that",
        ) from exc


def save_like(photo: Photo, pixels: Pixels, out_path: Path, *, clobber: bool = False) -> SavedFile:
    """Write a file like ``photo`` with other pixels, whole or not at all.

    Args:
        photo: The source.
        pixels: As ``encode_like`` takes them.
        out_path: Where to; its extension is not looked at.
        clobber: Replace what is there.

    Raises:
        EvidenceUnreadable: As ``encode_like``.
        AlreadyExists: There is a file already and ``clobber`` is off.
        WriteFailed: Disk full, read-only or not permitted.
    """
    data = encode_like(photo, pixels)
    atomic_write(out_path, data, clobber=clobber)
    return SavedFile(
        path=out_path,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type=photo.media_type,
        dropped=list_dropped(photo),
    )


def list_dropped(photo: Photo) -> tuple[str, ...]:
    """What the source holds that ``encode_like`` cannot carry over, in words."""
    if photo.media_type == "image/jpeg":
        return jpeg_container.list_dropped(photo.data)
    if photo.media_type == "image/png":
        return png_container.list_dropped(photo.data)
    if photo.media_type == "image/tiff":
        return tiff_container.list_dropped(photo)
    return plain_containers.list_dropped(photo)


def _encode(photo: Photo, picture: Image.Image) -> bytes:
    match photo.media_type:
        case "image/jpeg":
            return jpeg_container.encode_jpeg_like(photo.data, picture)
        case "image/png":
            return png_container.encode_png_like(photo.data, picture)
        case "image/webp":
            return encode_webp_like(photo, picture)
        case "image/tiff":
            return encode_tiff_like(photo, picture)
        case "image/bmp":
            return encode_bmp_like(photo, picture)
        case _:
            return encode_heic_like(photo, picture)


def _decode_photo(path: Path, data: bytes, sha256: str, media_type: str, max_pixels: int) -> Photo:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_picture(data, media_type) as image:
            info = describe_picture(image, media_type)
            check_size(info.width_px, info.height_px, max_pixels)
            _check_mode(image, info, media_type, data)
            image.load()
            bands = np.asarray(image)
            details = {key: image.info.get(key) for key in ("exif", "icc_profile", "xmp")}
            mode = image.mode
    if mode != info.mode:
        raise ModeUnsupported(f"the picture turns from {info.mode} to {mode} when decoded", remedy=_REMEDY)
    if media_type == "image/tiff":  # Pillow has turned it upright already
        bands = unorient(bands, info.orientation)
    bands = bands[..., None] if bands.ndim == 2 else bands
    colours = bands[..., :3] if mode in ("RGB", "RGBA") else np.repeat(bands[..., :1], 3, axis=2)
    alpha = bands[..., -1] if mode in ("RGBA", "LA") else None
    return Photo(
        path=path,
        data=data,
        sha256=sha256,
        media_type=media_type,
        mode=mode,
        decode=info,
        stored=np.ascontiguousarray(colours),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        exif=_as_bytes(details["exif"]),
        icc=_as_bytes(details["icc_profile"]),
        xmp=_as_bytes(details["xmp"]),
    )


def _check_mode(image: Image.Image, info: DecodeInfo, media_type: str, data: bytes) -> None:
    """Refuse what would not come back as the same kind of file.

    Raises:
        ModeUnsupported: Always with the reason.
    """
    if info.frames > 1 and image.format != "MPO":
        raise ModeUnsupported(f"a picture of {info.frames} frames or pages is not tagged", remedy="split it first")
    if info.mode not in _MODES or (media_type == "image/bmp" and info.mode not in ("RGB", "L")):
        raise ModeUnsupported(f"pictures of mode {info.mode} are not tagged", remedy=_REMEDY)
    if "transparency" in image.info:
        raise ModeUnsupported("a picture with a transparent key colour is not tagged", remedy=_REMEDY)
    bits = _bits_per_sample(image, media_type, data)
    if bits != 8:
        raise ModeUnsupported(f"pictures of {bits} bits a sample are not tagged", remedy=_REMEDY)


def _bits_per_sample(image: Image.Image, media_type: str, data: bytes) -> int:
    if media_type == "image/png":
        return data[24]
    if media_type == "image/tiff":
        bits = getattr(image, "tag_v2", {}).get(258, (1,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    if media_type in ("image/heic", "image/heif"):
        return int(image.info.get("bit_depth", 8))
    if media_type == "image/bmp":
        return 8 if int.from_bytes(data[28:30], "little") in (8, 24, 32) else 5
    return 8


def _refuse_bytes(path: Path, media_type: str, size_bytes: int) -> EvidenceError:
    if media_type == EMPTY:
        return EvidenceUnreadable("The photograph has no bytes", subject=str(path), remedy="use another copy")
    if size_bytes > MAX_FILE_BYTES:
        return EvidenceTooLarge(f"The file is over {MAX_FILE_BYTES} bytes", subject=str(path))
    return EvidenceUnreadable(f"The file is no photograph ({media_type})", subject=str(path))


def _as_bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value if isinstance(value, bytes) and value else None
