"""Pictures of a finding as ``data:`` addresses, taken only if their bytes have the hash the case names them by."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup
from PIL import Image

from ftforensics.domain.link import Artifact, Finding

THUMBNAIL_PX = 120
PREVIEW_QUALITY, MAP_QUALITY = 95, 90
_LARGEST_SIDE_PX = 4096
# Raster formats only: an SVG is a program, and a report shows no programs.
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of a finding, or why it cannot be shown.

    ``uri`` is a ``data:`` address, None where ``problem`` says what is wrong.
    """

    role: str
    sha256: str
    width_px: int
    height_px: int
    uri: Markup | None
    problem: str


def build_pictures(finding: Finding, artifacts: Mapping[str, bytes]) -> dict[str, Picture]:
    """Collect the pictures of one finding by role; of two with one role the first counts."""
    found: dict[str, Picture] = {}
    for artifact in finding.artifacts:
        found.setdefault(artifact.role, _build_picture(artifact, artifacts))
    return found


def _build_picture(artifact: Artifact, artifacts: Mapping[str, bytes]) -> Picture:
    content = artifacts.get(artifact.sha256)
    media_type = next((kind for magic, kind in _MAGIC if content is not None and content.startswith(magic)), None)
    uri: Markup | None = None
    problem = ""
    if content is None:
        problem = "The case does not hold this picture."
    elif hashlib.sha256(content).hexdigest() != artifact.sha256:
        problem = "The stored bytes of this picture do not have the hash the finding names; it is not shown."
    elif media_type is None:
        problem = "The stored bytes are neither a JPEG nor a PNG picture; they are not shown."
    else:
        is_jpeg = media_type == "image/jpeg"
        uri = _address(_without_metadata(content), media_type) if is_jpeg else _map_address(content)
    return Picture(
        role=artifact.role,
        sha256=artifact.sha256,
        width_px=artifact.width_px,
        height_px=artifact.height_px,
        uri=uri,
        problem=problem,
    )


def _without_metadata(jpeg: bytes) -> bytes:
    """The pixels as they are coded, which is what was compared.

    Older cases keep previews byte for byte, with whatever orientation or profile their issuer gave them.
    """
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            if not {"exif", "icc_profile"} & set(picture.info):
                return jpeg
            return _as_jpeg(picture, quality=PREVIEW_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return jpeg


def _map_address(png: bytes) -> Markup:
    """A map as JPEG, a fifth of the bytes: a report of many exhibits has to open and to travel.

    As it is kept, where there is so little in it that it is the smaller one, or where it does not decode.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            shown = png if max(picture.size) > _LARGEST_SIDE_PX else _as_jpeg(picture, quality=MAP_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        shown = png
    return _address(shown, "image/jpeg") if len(shown) < len(png) else _address(png, "image/png")


def _as_jpeg(picture: Image.Image, *, quality: int) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality, subsampling=0, exif=b"", icc_profile=None)
    return out.getvalue()


def _address(content: bytes, media_type: str) -> Markup:
    # Safe: a constant prefix and the base64 alphabet.
    return Markup(f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}")  # noqa: S704


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small copy of a picture for the summary."""

    uri: Markup
    width_px: int
    height_px: int


def build_thumbnail(picture: Picture | None, artifacts: Mapping[str, bytes]) -> Thumbnail | None:
    """Shrink a picture that can be shown to 120 px; None where there is nothing to show or it does not decode."""
    if picture is None or picture.uri is None:
        return None
    try:
        with Image.open(io.BytesIO(artifacts[picture.sha256]), formats=("JPEG", "PNG")) as image:
            if max(image.size) > _LARGEST_SIDE_PX:
                return None
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return Thumbnail(uri=_address(out.getvalue(), "image/jpeg"), width_px=small.width, height_px=small.height)
