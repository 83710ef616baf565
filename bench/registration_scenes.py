"""Manipulations with known truth, for calibrating registration and difference maps (pixels and masks only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A suspect with the mask of what was replaced (None: nothing was)."""

    suspect: U8
    mask: Mask | None


Change = Callable[[U8, np.random.Generator], U8]
Maker = Callable[[U8, U8, "FaceFinder | None", np.random.Generator], Scene]


class FaceFinder:
    """YuNet faces with five landmarks, as (5, 2) pixel positions of the largest face, or None."""

    def __init__(self, model: str) -> None:
        self._model = model

    def landmarks(self, pixels: U8) -> NDArray[np.float32] | None:
        """Eyes, nose and mouth corners of the largest face."""
        height, width = pixels.shape[:2]
        detector = cv2.FaceDetectorYN.create(self._model, "", (width, height), 0.7)
        _, faces = detector.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
        if faces is None:
            return None
        face = max(faces, key=lambda f: f[2] * f[3])
        return np.asarray(face[4:14].reshape(5, 2), np.float32)


def jpeg(pixels: U8, quality: int) -> U8:
    _, blob = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(blob, cv2.IMREAD_COLOR)[:, :, ::-1])


def resize_to(pixels: U8, long_side_px: int) -> U8:
    height, width = pixels.shape[:2]
    scale = long_side_px / max(height, width)
    size = (round(width * scale), round(height * scale))
    return np.asarray(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8
    )


def colour(pixels: U8, rng: np.random.Generator) -> U8:
    gain = rng.uniform(0.8, 1.2, 3) * rng.uniform(0.8, 1.2)
    gamma = rng.uniform(0.75, 1.35)
    values = np.clip(pixels / 255.0 * gain + rng.uniform(-0.05, 0.05), 0, 1) ** gamma
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.4, 1.5)
    return np.clip(values * 255, 0, 255).astype(np.uint8)


def relight(pixels: U8, rng: np.random.Generator) -> U8:
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) * rng.uniform(0.8, 1.4)
    cx, cy = rng.uniform(0.2, 0.8, 2)
    glow = np.exp(-((x / width - cx) ** 2 + (y / height - cy) ** 2) / 0.12) * rng.uniform(-0.4, 0.6)
    light = np.clip(1 + ramp + glow, 0.3, 2.0)[..., None] * rng.uniform(0.9, 1.1, 3)
    return np.clip(pixels * light, 0, 255).astype(np.uint8)


def noise(pixels: U8, sigma: float, rng: np.random.Generator) -> U8:
    return np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8)


def crop(pixels: U8, side: float, rng: np.random.Generator) -> tuple[U8, tuple[slice, slice]]:
    height, width = pixels.shape[:2]
    h, w = round(height * side), round(width * side)
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    window = (slice(top, top + h), slice(left, left + w))
    return np.ascontiguousarray(pixels[window]), window


def rotate(pixels: U8, degrees: float) -> U8:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def _oval(shape: tuple[int, int], centre: NDArray[np.float64], axes: tuple[float, float], angle: float) -> U8:
    mask = np.zeros(shape, np.uint8)
    size = (max(4, round(axes[0])), max(4, round(axes[1])))
    cv2.ellipse(mask, (round(centre[0]), round(centre[1])), size, angle, 0, 360, 255, -1)
    return mask


def _place_donor(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> tuple[U8, U8]:
    """The donor laid over the picture (face on face where both have one) and the oval to replace."""
    height, width = pixels.shape[:2]
    ours = faces.landmarks(pixels) if faces else None
    theirs = faces.landmarks(donor) if faces else None
    if ours is not None and theirs is not None:
        matrix, _ = cv2.estimateAffinePartial2D(theirs, ours)
        if matrix is not None:
            eyes = float(np.linalg.norm(ours[0] - ours[1]))
            tilt = float(np.degrees(np.arctan2(*(ours[1] - ours[0])[::-1])))
            centre = ours.mean(axis=0).astype(np.float64)
            oval = _oval((height, width), centre, (eyes * 1.05, eyes * 1.4), tilt)
            laid = cv2.warpAffine(
                donor, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
            )
            return np.asarray(laid, np.uint8), oval
    laid = np.asarray(cv2.resize(donor, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    side = min(height, width)
    centre = np.array([rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height])
    return laid, _oval((height, width), centre, (side * rng.uniform(0.14, 0.22), side * rng.uniform(0.18, 0.28)), 0)


def _match_colour(laid: U8, pixels: U8, oval: U8) -> U8:
    inside = oval > 0
    out = laid.astype(np.float32)
    for channel in range(3):
        a, b = out[..., channel][inside], pixels[..., channel][inside].astype(np.float32)
        out[..., channel] = (out[..., channel] - a.mean()) * (b.std() / max(a.std(), 1)) + b.mean()
    return np.clip(out, 0, 255).astype(np.uint8)


def swap_feather(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
    laid, oval = _place_donor(pixels, donor, faces, rng)
    laid = _match_colour(laid, pixels, oval)
    alpha = cv2.GaussianBlur(oval, (0, 0), max(pixels.shape[:2]) * 0.012).astype(np.float32)[..., None] / 255
    mixed = pixels * (1 - alpha) + laid * alpha
    return Scene(suspect=mixed.astype(np.uint8), mask=alpha[..., 0] > 0.5)


def swap_poisson(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
    laid, oval = _place_donor(pixels, donor, faces, rng)
    oval[:2], oval[-2:], oval[:, :2], oval[:, -2:] = 0, 0, 0, 0
    x, y, w, h = cv2.boundingRect(oval)
    blended = cv2.seamlessClone(
        laid, pixels, oval.copy(), (x + w // 2, y + h // 2), cv2.NORMAL_CLONE
    )  # it turns its mask over
    return Scene(suspect=np.asarray(blended, np.uint8), mask=oval > 0)


def _same(change: Change) -> Maker:
    def make(pixels: U8, _donor: U8, _faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
        return Scene(suspect=np.ascontiguousarray(change(pixels, rng)), mask=None)

    return make


def _after(first: Maker, change: Change) -> Maker:
    """A swap followed by a change that keeps the frame."""

    def make(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
        scene = first(pixels, donor, faces, rng)
        suspect = np.ascontiguousarray(change(scene.suspect, rng))
        return Scene(suspect=suspect, mask=_fit_mask(scene.mask, suspect))

    return make


def _fit_mask(mask: Mask | None, suspect: U8) -> Mask | None:
    if mask is None:
        return None
    size = (suspect.shape[1], suspect.shape[0])
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)


def _swap_crop(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
    scene = swap_feather(pixels, donor, faces, rng)
    cut, window = crop(scene.suspect, 0.75, rng)
    suspect = jpeg(resize_to(cut, 480), 60)
    assert scene.mask is not None
    return Scene(suspect=suspect, mask=_fit_mask(scene.mask[window], suspect))


def _swap_mirror(pixels: U8, donor: U8, faces: FaceFinder | None, rng: np.random.Generator) -> Scene:
    scene = swap_poisson(pixels, donor, faces, rng)
    assert scene.mask is not None
    return Scene(suspect=jpeg(np.ascontiguousarray(scene.suspect[:, ::-1]), 70), mask=scene.mask[:, ::-1])


SAME: dict[str, Maker] = {
    "untouched": _same(lambda p, _: p),
    "jpeg 70": _same(lambda p, _: jpeg(p, 70)),
    "jpeg 30": _same(lambda p, _: jpeg(p, 30)),
    "resize 256": _same(lambda p, _: resize_to(p, 256)),
    "480 + jpeg 60": _same(lambda p, _: jpeg(resize_to(p, 480), 60)),
    "256 + jpeg 50": _same(lambda p, _: jpeg(resize_to(p, 256), 50)),
    "colour": _same(colour),
    "relit": _same(relight),
    "relit + jpeg 50": _same(lambda p, r: jpeg(relight(p, r), 50)),
    "blur 1.5": _same(lambda p, _: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.5), np.uint8)),
    "noise 8": _same(lambda p, r: noise(p, 8, r)),
    "crop 75 %": _same(lambda p, r: crop(p, 0.75, r)[0]),
    "crop 50 %": _same(lambda p, r: crop(p, 0.5, r)[0]),
    "crop 60 % + jpeg 50": _same(lambda p, r: jpeg(crop(p, 0.6, r)[0], 50)),
    "mirror": _same(lambda p, _: p[:, ::-1]),
    "mirror + jpeg 50": _same(lambda p, _: jpeg(np.ascontiguousarray(p[:, ::-1]), 50)),
    "rotate 10": _same(lambda p, _: rotate(p, 10)),
    "rotate 10 + jpeg 50": _same(lambda p, _: jpeg(rotate(p, 10), 50)),
}

SWAPPED: dict[str, Maker] = {
    "swap feather": swap_feather,
    "swap poisson": swap_poisson,
    "feather + jpeg 50": _after(swap_feather, lambda p, _: jpeg(p, 50)),
    "feather + 480 jpeg 60": _after(swap_feather, lambda p, _: jpeg(resize_to(p, 480), 60)),
    "poisson + 256 jpeg 50": _after(swap_poisson, lambda p, _: jpeg(resize_to(p, 256), 50)),
    "poisson + colour": _after(swap_poisson, colour),
    "poisson + relit jpeg 50": _after(swap_poisson, lambda p, r: jpeg(relight(p, r), 50)),
    "feather crop 75 480 j60": _swap_crop,
    "poisson mirror j70": _swap_mirror,
}
