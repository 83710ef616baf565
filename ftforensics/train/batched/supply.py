"""Fresh hosts for slots, made by worker processes while the device trains."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from ftforensics.train.data import Pictures, random_view
from ftforensics.train.samples import SIDES
from ftforensics.train.shaping import PSNR_DB, host_tensors


class HostBatches(Dataset[dict[str, torch.Tensor]]):
    """Hosts number ``index``, a pure function of (seed, index), all of one side.

    Yields hosts uint8 (B, 3, S, S), their small versions float32 (B, 3, 128, 128) in [0, 1], masks (B, 1, 128, 128)
    and the strengths ``rms`` (B, 1, 1, 1) of their tags in [0, 1] units.
    """

    def __init__(self, pictures: Pictures, *, seed: int, batch: int, count: int) -> None:
        self.pictures, self.seed, self.batch, self.count = pictures, seed, batch, count

    def __len__(self) -> int:
        """Of the whole run."""
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Hosts number ``index``."""
        random = np.random.default_rng([self.seed, 1, index])
        side = int(random.choice(SIDES))
        hosts = [random_view(self.pictures.draw(random), side, random) for _ in range(self.batch)]
        small, masks, rms = host_tensors(hosts, random.uniform(*PSNR_DB, self.batch).tolist())
        return {
            "hosts": torch.from_numpy(np.ascontiguousarray(np.stack(hosts).transpose(0, 3, 1, 2))),
            "small": small,
            "masks": masks,
            "rms": rms,
        }
