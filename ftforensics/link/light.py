"""The tone and the light that one picture has and another has not, so that pixels can be compared.

In: levels of both in one frame. Out: what the one would look like under the tone and light of the other.
"""

from __future__ import annotations

import numpy as np

from ftforensics.link.agreement import F32, Mask, blur

_FEWEST_PIXELS, _LEAST_SPREAD = 64, 3.0
_LIGHT_SHARE, _LIGHT_OFFSET, _LEAST_NEAR = 0.08, 16.0, 0.02


def under_light(suspect: F32, source: F32, elsewhere: Mask) -> tuple[F32, float]:
    """What the source would look like under the suspect's tone and light, measured ``elsewhere``; and the tone's gain.

    Args:
        suspect: float32 (H, W), 0 to 255.
        source: As ``suspect``.
        elsewhere: bool (H, W), where both show the same.
    """
    gain, offset = _fit_tone(suspect[elsewhere], source[elsewhere])
    return _spread_light(suspect, np.asarray(gain * source + offset, np.float32), elsewhere), gain


def _fit_tone(suspect: F32, source: F32) -> tuple[float, float]:
    """Gain and offset by least squares; none where there is too little to fit them to."""
    if len(source) < _FEWEST_PIXELS or float(source.std()) < _LEAST_SPREAD:
        return 1.0, 0.0
    gain, offset = np.polyfit(source.astype(np.float64), suspect.astype(np.float64), 1)
    return float(gain), float(offset)


def _spread_light(suspect: F32, source: F32, elsewhere: Mask) -> F32:
    """The source under the suspect's light: a smooth gain of what did not change, carried into what did."""
    level = np.log(np.maximum(suspect, 0) + _LIGHT_OFFSET) - np.log(np.maximum(source, 0) + _LIGHT_OFFSET)
    sigma = _LIGHT_SHARE * max(suspect.shape)
    near = blur(elsewhere.astype(np.float32), sigma)
    smooth = blur(np.asarray(level * elsewhere, np.float32), sigma) / np.maximum(near, _LEAST_NEAR)
    return np.asarray((np.maximum(source, 0) + _LIGHT_OFFSET) * np.exp(smooth) - _LIGHT_OFFSET, np.float32)
