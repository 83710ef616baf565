"""How strong the tag of a picture has to be.

A picture that is hard to read is one whose own structure looks like a tag, and that same structure hides more of one.
At one PSNR for all, plain pictures carry more than they need, where it shows first, and busy ones too little. So a tag
is tried on its picture at a few strengths, and gets the faintest at which it reads clearly enough after light
manipulations. Why these limits: docs/adr/0017.
"""

from __future__ import annotations

import numpy as np

from ftforensics.codec.carriers import MESSAGE_BITS
from ftforensics.domain.tag import FAINTEST_PSNR_DB, STRONGEST_PSNR_DB
from ftforensics.engine.reader import Embedder
from ftforensics.engine.views import draw_trials
from ftforensics.imaging.perceptual import residual_rms
from ftforensics.imaging.resample import Floats

# Of a tag in the mean of its trials.
WANTED_Z = 9.25
_TRIED_DB = (FAINTEST_PSNR_DB, (FAINTEST_PSNR_DB + STRONGEST_PSNR_DB) / 2, STRONGEST_PSNR_DB)


def choose_strength(
    host: Floats, shaped: Floats, rows: Floats, embedder: Embedder, random: np.random.Generator
) -> float:
    """The PSNR in dB at which a tag reads with ``WANTED_Z`` in the mean of its trials, within the limits.

    Args:
        host: The untagged picture (3, 128, 128) in [0, 1].
        shaped: The masked tag (3, 128, 128) of mean square 1.
        rows: Signed carriers (129, 12288), as ``informed.signed_carriers`` makes them.
        embedder: The reader's gradient.
        random: Draws the trials' noise, the same at each strength.
    """
    seed = int(random.integers(2**63))
    read = [
        _mean_z(np.clip(host + shaped * np.float32(residual_rms(psnr_db)), 0, 1), rows, embedder, seed)
        for psnr_db in _TRIED_DB
    ]
    # A stronger tag reads no worse but for chance.
    return float(np.interp(WANTED_Z, np.maximum.accumulate(read), _TRIED_DB))


def _mean_z(tagged: Floats, rows: Floats, embedder: Embedder, seed: int) -> float:
    trials = draw_trials(tagged, embedder.regenerate, np.random.default_rng(seed))
    soft, _ = embedder.gradient(trials, rows, np.ones(len(rows), dtype=np.float32), 1.0, 1.0)
    message = soft[:, :MESSAGE_BITS]
    return float(np.mean(message.sum(axis=1) / np.sqrt(np.sum(message * message, axis=1) + 1e-12)))
