"""Attribute editing drawn by hand, without any network: colour of hair or skin, ageing, glasses, light on the face.

None finds a face: it is taken to stand in the middle, as in portraits, give or take what the generator draws. All keep
the picture's size, change nothing at strength 0 and little outside a soft region.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ftforensics.attacks.regions import ellipse_mask
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Floats, Pixels

_SKIN_HUE_DEG, _SKIN_SPREAD_DEG = 20.0, 25.0


@dataclass(frozen=True, slots=True)
class Face:
    """Where a face is taken to be: middle and half-sizes in unit coordinates, tilt in degrees."""

    x: float
    y: float
    across: float
    down: float
    tilt_deg: float

    def mask(self, height: int, width: int, *, grown: float = 1.0, raised: float = 0.0) -> Floats:
        """The soft ellipse of the face (H, W), ``grown`` by a factor and ``raised`` by shares of its half-height."""
        centre = (self.x, self.y - raised * self.down)
        radii = (self.across * grown, self.down * grown)
        return ellipse_mask(height, width, centre, radii, 0.02, self.tilt_deg)


def draw_face(random: np.random.Generator) -> Face:
    """A face near the middle, 36 to 48 % of the width across and 48 to 60 % of the height tall, tilted by up to 6°."""
    x, y = 0.5 + float(random.uniform(-0.04, 0.04)), 0.48 + float(random.uniform(-0.04, 0.04))
    across, down = float(random.uniform(0.18, 0.24)), float(random.uniform(0.24, 0.30))
    return Face(x, y, across, down, float(random.uniform(-6, 6)))


def recolour_hair(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Another colour for whatever stands around the upper half of the face and is not of skin's hue.

    ``strength`` in [0, 1]: at 1, hue goes to a drawn one, saturation is multiplied by 1.5 and raised by 20 %, and
    lightness multiplied by 0.7 to 1.4.
    """
    height, width = image.shape[:2]
    face = draw_face(random)
    around = face.mask(height, width, grown=1.5, raised=0.35) * (1.0 - face.mask(height, width, grown=0.9))
    around[round(min(1.0, face.y + 0.5 * face.down) * height) :] *= 0.3
    weight = np.clip(around, 0, 1) * (1.0 - _hue_share(image, _SKIN_HUE_DEG, _SKIN_SPREAD_DEG))
    target = np.array([random.uniform(0, 360), 1.5, random.uniform(0.7, 1.4)], dtype=np.float32)
    hsv = _hsv(image)
    changed = np.stack(
        [
            np.full(image.shape[:2], target[0], dtype=np.float32),
            np.minimum(1.0, hsv[:, :, 1] * target[1] + 0.2),
            np.minimum(1.0, hsv[:, :, 2] * target[2]),
        ],
        axis=2,
    )
    return mix(image, _rgb(changed), weight * np.float32(strength))


def recolour_skin(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Another tone for pixels of skin's hue (20° ± 25°) in the face and around it.

    ``strength`` in [0, 1]: at 1, hue moves by up to 20°, saturation and lightness are multiplied by e^±0.4.
    """
    height, width = image.shape[:2]
    region = draw_face(random).mask(height, width, grown=1.2)
    weight = region * _hue_share(image, _SKIN_HUE_DEG, _SKIN_SPREAD_DEG)
    hsv = _hsv(image)
    hsv[:, :, 0] = (hsv[:, :, 0] + np.float32(random.uniform(-20, 20))) % 360.0
    hsv[:, :, 1:] = np.minimum(1.0, hsv[:, :, 1:] * np.exp(random.uniform(-0.4, 0.4, 2)).astype(np.float32))
    return mix(image, _rgb(hsv), weight * np.float32(strength))


def age(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Wrinkle-like texture over the face: noise between two scales, drawn out sideways, and paler skin.

    ``strength`` in [0, 1]: at 1, lightness varies by 14 % of itself (standard deviation) and a third of the saturation
    goes. The texture's lines are about 1 % of the width thick.
    """
    height, width = image.shape[:2]
    region = draw_face(random).mask(height, width)
    noise = random.standard_normal((height, width), dtype=np.float32)
    thick = max(0.6, 0.005 * width)
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=4.0 * thick, sigmaY=thick)
    lines = fine - cv2.GaussianBlur(noise, (0, 0), sigmaX=12.0 * thick, sigmaY=3.0 * thick)
    lines /= max(float(lines.std()), 1e-6)
    values = image.astype(np.float32)
    grey = values.mean(axis=2, keepdims=True)
    paler = grey + (values - grey) * (2.0 / 3.0)
    aged = paler * np.exp(0.14 * np.clip(lines, -2.5, 2.5))[:, :, None]
    return mix(image, aged, region * np.float32(strength))


def glasses(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Drawn glasses over the line of the eyes, with soft edges, a bridge, sidepieces and slightly tinted lenses.

    ``strength`` in [0, 1] is how opaque they are: rims wholly, lenses to 15 to 60 % at 1.
    """
    height, width = image.shape[:2]
    face = draw_face(random)
    lens, rim = _draw_glasses(height, width, face, rounded=bool(random.integers(0, 2)))
    tint = random.uniform(0, 120, 3).astype(np.float32)
    paint = random.uniform(0, 60, 3).astype(np.float32)
    tinted = mix(image, np.broadcast_to(tint, image.shape), lens * np.float32(strength * random.uniform(0.15, 0.6)))
    return mix(tinted, np.broadcast_to(paint, image.shape), rim * np.float32(strength))


def _draw_glasses(height: int, width: int, face: Face, *, rounded: bool) -> tuple[Floats, Floats]:
    """Lenses and rims (H, W), 0 to 1."""
    lens, rim = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    eyes = (face.y - 0.2 * face.down) * height
    axes = (max(1, round(0.40 * face.across * width)), max(1, round(0.24 * face.down * height)))
    thick = max(1, round(0.012 * width))
    lean = np.tan(np.deg2rad(face.tilt_deg))
    ends = []
    for side in (-1.0, 1.0):
        x = face.x * width + side * 0.5 * face.across * width
        centre = (round(x), round(eyes + lean * side * 0.5 * face.across * width))
        if rounded:
            cv2.ellipse(lens, centre, axes, face.tilt_deg, 0, 360, 1.0, -1)
            cv2.ellipse(rim, centre, axes, face.tilt_deg, 0, 360, 1.0, thick)
        else:
            corners = (centre[0] - axes[0], centre[1] - axes[1]), (centre[0] + axes[0], centre[1] + axes[1])
            cv2.rectangle(lens, *corners, 1.0, -1)
            cv2.rectangle(rim, *corners, 1.0, thick)
        inner, outer = centre[0] - round(side) * axes[0], centre[0] + round(side) * axes[0]
        ends.append((inner, centre[1]))
        temple = (round(face.x * width + side * 1.05 * face.across * width), centre[1])
        cv2.line(rim, (outer, centre[1]), temple, 1.0, thick)
    cv2.line(rim, ends[0], ends[1], 1.0, thick)
    soft = max(0.3, 0.002 * width)
    blurred = [np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), dtype=np.float32) for mask in (lens, rim)]
    return blurred[0], blurred[1]


def relight_face(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """A coloured light from one side on the face: bright on that side, dark on the other.

    ``strength`` in [0, 1]: at 1, light is about halved and doubled from one edge of the face to the other.
    """
    height, width = image.shape[:2]
    face = draw_face(random)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = float(random.uniform(0, 2 * np.pi))
    across = (columns / width - face.x) / face.across * np.cos(angle)
    down = (rows / height - face.y) / face.down * np.sin(angle)
    ramp = np.clip((across + down).astype(np.float32), -1.0, 1.0)
    tint = random.normal(0.0, 0.08, 3).astype(np.float32)
    gain = np.exp(
        np.float32(strength) * face.mask(height, width, grown=1.15)[:, :, None] * (0.7 * ramp[..., None] + tint)
    )
    return np.asarray(round_pixels(image.astype(np.float32) * gain))


def _hsv(image: Pixels) -> Floats:
    """Hue in degrees, saturation and value 0 to 1."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2HSV), dtype=np.float32)


def _rgb(hsv: Floats) -> Floats:
    """Back to 0 to 255."""
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.float32) * np.float32(255.0)


def _hue_share(image: Pixels, hue_deg: float, spread_deg: float) -> Floats:
    """How far each pixel is of that hue, 0 to 1, softly; greys are of none."""
    hsv = _hsv(image)
    apart = np.abs((hsv[:, :, 0] - hue_deg + 180.0) % 360.0 - 180.0)
    near = np.clip(2.0 - apart / spread_deg, 0.0, 1.0)
    return np.asarray(near * np.clip(hsv[:, :, 1] / 0.15, 0.0, 1.0), dtype=np.float32)


def mix(image: Pixels, other: Floats, weight: Floats) -> Pixels:
    """Another picture over one, float32 (H, W, 3), by a share of 0 to 1 a place (H, W)."""
    share = np.clip(weight, 0.0, 1.0)[:, :, None]
    return np.asarray(round_pixels(image.astype(np.float32) * (1.0 - share) + other * share))
