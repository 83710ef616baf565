"""Write ``carriers.json``: what a secret must give on every machine. ``python tests/golden/make_carriers.py``.

Changing these values breaks reading of every picture tagged before: only with a new key derivation label.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from ftforensics.codec import carriers, channel


def main() -> None:
    """Write the golden values beside this script."""
    secret = b"s" * 32
    ours = carriers.build_carriers(secret, "ftf-1").reshape(128, -1).astype(np.float64)
    sync = carriers.build_sync_carrier("ftf-1").reshape(1, -1).astype(np.float64)
    key = channel.build_channel_key(secret)
    signs = carriers._random_signs(b"ftf-carriers-v1\0" + secret, 128, 2773).astype(np.int8)
    probe = np.cos(np.arange(carriers.VALUES, dtype=np.float64) * 0.7)
    golden = {
        "signs_sha256": hashlib.sha256(signs.tobytes()).hexdigest(),
        "mask": bytes(np.packbits(key.mask)).hex(),
        "order_sha256": hashlib.sha256(key.order.astype(">u2").tobytes()).hexdigest(),
        "word": bytes(np.packbits(channel.encode("0123456789abcdef", key) > 0)).hex(),
        "carrier_projections": [round(float(value), 6) for value in ours @ probe],
        "sync_projection": [round(float(value), 6) for value in sync @ probe],
        "carrier_values": [round(float(value), 8) for value in ours[:, ::997].ravel()[:64]],
    }
    target = Path(__file__).with_name("carriers.json")
    target.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
