"""Shipped networks: their files, hashes and the sizes that whoever runs them needs to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts from ``engines/<model>/model.json``.

    ``input_px`` is the side of the square reader input; ``grid`` the side of the residual map. Hashes are SHA-256 of
    the files of those names. ``sync_energy`` is the share of the residual's energy in the public synchronisation
    carrier. The pair reader reads a picture beside the source that its record registers, and the localiser says where a
    tag was replaced; not every model has them.
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
    pair_reader_file: str | None = None
    pair_reader_sha256: str | None = None
    localiser_file: str | None = None
    localiser_sha256: str | None = None

    @property
    def graphs(self) -> tuple[tuple[str, str], ...]:
        """File name and SHA-256 of every graph that the model has."""
        named = (
            (self.reader_file, self.reader_sha256),
            (self.gradient_file, self.gradient_sha256),
            (self.simulator_file, self.simulator_sha256),
            (self.pair_reader_file, self.pair_reader_sha256),
            (self.localiser_file, self.localiser_sha256),
        )
        return tuple((file, sha256) for file, sha256 in named if file is not None and sha256 is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorCard:
    """Facts of one generator from ``engines/generators/generators.json``.

    ``noise_channels`` is the number of channels of the noise that its graph asks for, at an eighth of the picture's
    size; 0 where it asks for none. ``psnr_db`` and ``ssim`` are means over ``pictures`` held-out pictures, regenerated.
    """

    name: str
    kind: str
    file: str
    sha256: str
    parameters: int
    noise_channels: int
    psnr_db: float
    ssim: float
    pictures: int
