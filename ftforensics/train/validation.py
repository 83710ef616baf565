"""Bit accuracy on held-out pictures, plain embedding, a fixed battery: to watch training, never to claim a result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ftforensics.attacks import colour, handling, regions
from ftforensics.codec.carriers import MESSAGE_BITS, build_carriers, build_sync_carrier, build_tag_planes, project
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.nets.reader import INPUT_PX, Reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train.data import Pictures, random_view
from ftforensics.train.precision import autocast
from ftforensics.train.samples import _regenerate

COUNT = 48
PSNR_DB = 42.0

Attack = Callable[[Pixels, np.random.Generator], Pixels]


def battery(pictures: Pictures, simulator: Simulator | None) -> dict[str, Attack]:
    """Named manipulations of a fixed strength."""

    def swap(image: Pixels, random: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        mask = regions.ellipse_mask(height, width, (0.5, 0.5), (0.25, 0.3), 0.02)
        return regions.swap_region(image, random_view(pictures.draw(random), width, random), mask)[0]

    def crop75(image: Pixels, random: np.random.Generator) -> Pixels:
        centre = (0.5 + float(random.uniform(-0.12, 0.12)), 0.5 + float(random.uniform(-0.12, 0.12)))
        frame = geometry.about_centre(scale_x=0.75, scale_y=0.75, centre=centre)
        seen = geometry.sample_frame(image, frame, image.shape[:2])
        return np.asarray(geometry.sample_frame(seen, geometry.invert(frame), (INPUT_PX, INPUT_PX)))

    chosen: dict[str, Attack] = {
        "none": lambda image, _: image,
        "jpeg50": lambda image, _: handling.jpeg(image, 50),
        "noise5": lambda image, random: handling.gaussian_noise(image, 0.05, random),
        "colour": lambda image, random: colour.random_edit(image, 1.0, random),
        "swap": swap,
        "crop75": crop75,
    }
    if simulator is not None:
        chosen["simulator"] = lambda image, random: _regenerate(image, simulator, random)
    return chosen


@torch.inference_mode()
def validate(net: Reader, pictures: Pictures, simulator: Simulator | None, model_id: str) -> str:
    """One line: bit accuracy by manipulation at 42 dB, plain embedding."""
    net.eval()
    place = next(net.parameters()).device
    carriers, sync = build_carriers(b"validation carriers of training", model_id), build_sync_carrier(model_id)
    parts = []
    for name, attack in battery(pictures, simulator).items():
        random = np.random.default_rng(7)
        views: list[Pixels] = []
        signs: list[Floats] = []
        for _ in range(COUNT):
            host = random_view(pictures.draw(random), 320, random)
            word = random.choice(np.array([-1.0, 1.0], dtype=np.float32), MESSAGE_BITS)
            planes = build_tag_planes(word, carriers, sync)
            tagged = perceptual.add_residual(host, planes, perceptual.build_mask(host), PSNR_DB)
            views.append(resize(attack(tagged, random), INPUT_PX, INPUT_PX))
            signs.append(word)
        batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255.0
        batch = batch.to(place).contiguous(memory_format=torch.channels_last)
        with autocast(place.type):
            estimate = net(batch).float().cpu().numpy()
        soft = project(estimate, carriers)
        parts.append(f"{name} {float(np.mean(soft * np.stack(signs) > 0)):.4f}")
    return f"validation at {PSNR_DB:.0f} dB: " + " ".join(parts)
