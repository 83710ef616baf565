"""Places that are black or burnt out in one picture and show something in the other: bars over faces, pastes into sky.

In: both pictures in one frame. Out: a mask. Structure says nothing of such places, so they are told by level. That
light, tone or contrast of the whole drives a place into black or white is no change: what the source would look like
under the suspect's tone and light is compared, not the source.
"""

from __future__ import annotations

import numpy as np

from ftforensics.link.agreement import BLACK, Aligned, Mask, clipped_in_one, grey, judged
from ftforensics.link.light import under_light

# Of 255; on held-out photographs tone and light leave less. Light burns out more than it blackens.
BLACK_LEVELS, WHITE_LEVELS = 56.0, 120.0


def find_blots(aligned: Aligned) -> Mask:
    """Where one picture alone is black or burnt out, and not for the light.

    Args:
        aligned: Suspect and source.

    Returns:
        bool (H, W), within what both show.
    """
    one_alone = clipped_in_one(aligned)
    if not one_alone.any():
        return one_alone
    suspect, source = grey(aligned.suspect), grey(aligned.source)
    lit, _ = under_light(suspect, source, judged(aligned) > 0)
    expected = np.clip(lit, 0, 255)
    is_black = np.minimum(suspect, source) < BLACK
    most = np.where(is_black, BLACK_LEVELS, WHITE_LEVELS)
    return np.asarray(one_alone & (np.abs(expected - suspect) > most), np.bool_)
