"""A shipped model: its files, their hashes and the sizes a reader needs to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts from ``engines/<model>/model.json``.

    ``input_px`` is the side of the square reader input; ``grid`` the side of the residual map. Hashes are SHA-256 of
    the files of those names. ``sync_energy`` is the share of the residual's energy in the public synchronisation
    carrier.
    """

    model_id: str
    format_version: int
    input_px: int
    grid: int
    message_bits: int
    sync_energy: float
    reader_file: str
    reader_sha256: str
    gradient_file: str
    gradient_sha256: str
    simulator_file: str | None
    simulator_sha256: str | None
    presence_threshold: float
    sync_threshold: float
    parameters: int
