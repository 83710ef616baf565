"""Writing checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a kill in the middle leaves the previous one."""
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)
