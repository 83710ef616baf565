"""How strong the tag of a picture has to be.

A picture that is hard to read is one whose own structure looks like a tag, and where that structure is all over, it
hides more of one. At one PSNR for all, plain pictures carry more than they need, where it shows first, and busy ones
too little. So a tag is tried on its picture at a few strengths, and gets the faintest at which it reads clearly enough
after light manipulations. Why these limits: docs/adr/0017.
"""

from __future__ import annotations

import numpy as np

from ftforensics.codec.carriers import MESSAGE_BITS
from ftforensics.domain.tag import DEFAULT_PSNR_DB, FAINTEST_PSNR_DB, STRONGEST_PSNR_DB
from ftforensics.engine.reader import Embedder
from ftforensics.engine.views import Regenerate, draw_trials
from ftforensics.imaging.perceptual import residual_rms
from ftforensics.imaging.resample import Floats

# Of a tag in the mean of its trials.
WANTED_Z = 9.25
_TRIED_DB = (FAINTEST_PSNR_DB, (FAINTEST_PSNR_DB + STRONGEST_PSNR_DB) / 2, STRONGEST_PSNR_DB)
# Of the mask's gain: photographs that are busy all over have less, those with small things on plain ground more.
_SPREAD_GAIN, _GAIN_QUANTILE = 1.2, 0.99


def choose_strength(
    host: Floats, shaped: Floats, mask: Floats, rows: Floats, embedder: Embedder, random: np.random.Generator
) -> float:
    """The PSNR in dB at which a tag reads with ``WANTED_Z`` in the mean of its trials, or the nearest that is allowed.

    A model without a generator cannot try all that a tag must stand; its tags get ``DEFAULT_PSNR_DB``.

    Args:
        host: The untagged picture (3, 128, 128) in [0, 1].
        shaped: The masked tag (3, 128, 128) of mean square 1.
        mask: ``perceptual.build_mask`` of the picture.
        rows: Signed carriers (129, 12288), as ``informed.signed_carriers`` makes them.
        embedder: The reader's gradient.
        random: Draws the trials' noise, the same at each strength.
    """
    seed, regenerate = int(random.integers(2**63)), embedder.regenerate
    if regenerate is None:
        return DEFAULT_PSNR_DB
    tagged = [np.clip(host + shaped * np.float32(residual_rms(psnr_db)), 0, 1) for psnr_db in _TRIED_DB]
    read = [_mean_z(one, rows, embedder, regenerate, seed) for one in tagged]
    # A stronger tag reads no worse but for chance.
    wanted_db = float(np.interp(WANTED_Z, np.maximum.accumulate(read), _TRIED_DB))
    return max(wanted_db, find_strongest(mask))


def find_strongest(mask: Floats) -> float:
    """The strongest that a tag may be, a PSNR in dB: the default where the mask crowds it into few places.

    There it changes more than it would in a picture that is busy all over, and plain ground lies beside it.
    """
    crowding_db = 20.0 * np.log10(float(np.quantile(mask, _GAIN_QUANTILE)) / _SPREAD_GAIN)
    return float(np.clip(STRONGEST_PSNR_DB + crowding_db, STRONGEST_PSNR_DB, DEFAULT_PSNR_DB))


def _mean_z(tagged: Floats, rows: Floats, embedder: Embedder, regenerate: Regenerate, seed: int) -> float:
    trials = draw_trials(tagged, regenerate, np.random.default_rng(seed))
    soft, _ = embedder.gradient(trials, rows, np.ones(len(rows), dtype=np.float32), 1.0, 1.0)
    message = soft[:, :MESSAGE_BITS]
    return float(np.mean(message.sum(axis=1) / np.sqrt(np.sum(message * message, axis=1) + 1e-12)))
