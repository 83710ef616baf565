"""The battery: what is done to tagged pictures, each with the definition that stands in the table.

Pictures are taken as they are and never enlarged before a manipulation. "Half" and other shares of replaced regions are
of the picture's width. Whatever is drawn at random depends on the seed, the picture and the manipulation alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ftforensics.attacks import attributes, capture, colour, handling, overlays, regions, warps
from ftforensics.attacks.collage import collage_of_four
from ftforensics.domain.model import GeneratorCard
from ftforensics.imaging.resample import Floats, Pixels, fit_within

SIMULATOR = "simulator"

# Regenerates a picture through the generator of a name: the model's simulator, or one that only measures.
Regenerate = Callable[[str, Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Means:
    """What a manipulation may use: another picture of the set, generators, and chance."""

    donor: Pixels
    regenerate: Regenerate
    random: np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Manipulation:
    """One row of the battery; a picture is manipulated ``draws`` times. ``generator`` is a black box that it uses."""

    name: str
    definition: str
    apply: Callable[[Pixels, Means], Pixels]
    draws: int = 1
    generator: str | None = None


def draw_random(seed: int, picture_sha256: str, name: str, draw: int) -> np.random.Generator:
    """The chance of one manipulation of one picture."""
    digest = hashlib.sha256(f"ftf bench {seed} {picture_sha256} {name} {draw}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def ellipse(picture: Pixels, share: float, random: np.random.Generator) -> Floats:
    """A face-like soft ellipse ``share`` of the width across and 1.3 times as tall in pixels, anywhere that it fits."""
    height, width = picture.shape[:2]
    across, down = share / 2.0, min(0.45, 0.65 * share * width / height)
    centre = (float(random.uniform(across, 1.0 - across)), float(random.uniform(down, 1.0 - down)))
    return regions.ellipse_mask(height, width, centre, (across, down), 0.015)


def box(picture: Pixels, share: float, random: np.random.Generator) -> Floats:
    """A rectangle of ``share`` of both sides with hard edges, anywhere that it fits."""
    height, width = picture.shape[:2]
    left, top = (float(value) for value in random.uniform(0.0, 1.0 - share, 2))
    return regions.box_mask(height, width, (left, top, left + share, top + share), 0.0)


def lobed(picture: Pixels, share: float, random: np.random.Generator) -> Floats:
    """A soft region of wavy outline, about ``share`` of the width across, as no training draws it."""
    height, width = picture.shape[:2]
    across, down = share / 2.0, min(0.45, 0.5 * share * width / height)
    centre = (float(random.uniform(across, 1.0 - across)), float(random.uniform(down, 1.0 - down)))
    lobes = (random.standard_normal((5, 2)) * 0.12 / np.sqrt(np.arange(1, 6))[:, None]).astype(np.float32)
    return regions.lobed_mask(height, width, centre, across, lobes, 0.01)


def swap(share: float) -> Callable[[Pixels, Means], Pixels]:
    """Feathered paste of another picture, colours matched."""

    def apply(picture: Pixels, means: Means) -> Pixels:
        return regions.swap_region(picture, means.donor, ellipse(picture, share, means.random))[0]

    return apply


def splice(share: float) -> Callable[[Pixels, Means], Pixels]:
    """Hard-edged paste of another picture, colours as they are."""

    def apply(picture: Pixels, means: Means) -> Pixels:
        mask = box(picture, share, means.random)
        return regions.swap_region(picture, means.donor, mask, colour_matched=False)[0]

    return apply


def _clone(picture: Pixels, means: Means) -> Pixels:
    return regions.swap_region_poisson(picture, means.donor, ellipse(picture, 0.5, means.random))[0]


def _swap_and_share(picture: Pixels, means: Means) -> Pixels:
    return handling.jpeg(fit_within(swap(0.5)(picture, means), 480), 60)


def _swap_crop_and_share(picture: Pixels, means: Means) -> Pixels:
    cropped = warps.crop(swap(0.5)(picture, means), 0.7, means.random)
    return handling.jpeg(fit_within(cropped, 480), 60)


def _tone(picture: Pixels, means: Means) -> Pixels:
    random = means.random
    return colour.tone(
        picture,
        brightness=float(random.uniform(-0.15, 0.15)),
        contrast=float(random.uniform(0.6, 1.5)),
        gamma=float(np.exp(random.uniform(-0.5, 0.5))),
    )


def _cast(picture: Pixels, means: Means) -> Pixels:
    random = means.random
    hue, saturation = float(random.uniform(-25, 25)), float(np.exp(random.uniform(-0.9, 0.6)))
    red, green, blue = (float(value) for value in np.exp(random.normal(0.0, 0.12, 3)))
    return colour.white_balance(colour.colour_cast(picture, hue_deg=hue, saturation=saturation), (red, green, blue))


def _screenshot(picture: Pixels, _: Means) -> Pixels:
    return warps.border(picture, (0.06, 0.12, 0.06, 0.10), (24, 24, 28))


def _collage(picture: Pixels, means: Means) -> Pixels:
    donor = means.donor
    height, width = donor.shape[:2]
    middle = np.ascontiguousarray(donor[height // 4 : height - height // 4, width // 4 : width - width // 4])
    others = (donor, warps.mirror(donor), middle)
    return collage_of_four(picture, others, 0.02, means.random)[0]


def _black_box(name: str) -> Callable[[Pixels, Means], Pixels]:
    return lambda picture, means: means.regenerate(name, picture, means.random)


def _regenerated_swap(picture: Pixels, means: Means) -> Pixels:
    """Another face, then the whole picture through a generator: what face-swap networks give."""
    return means.regenerate("A", swap(0.3)(picture, means), means.random)


def _crop(share: float) -> Callable[[Pixels, Means], Pixels]:
    return lambda picture, means: warps.crop(picture, share, means.random)


BATTERY: tuple[Manipulation, ...] = (
    Manipulation(
        name="none", definition="the tagged file as 'ftf tag' writes it, in its source's format", apply=lambda p, _: p
    ),
    Manipulation(
        name="JPEG 50 at 640 px",
        definition="shrunk to at most 640 px on the long side, JPEG quality 50, 4:2:0",
        apply=lambda p, _: handling.jpeg(fit_within(p, 640), 50),
    ),
    Manipulation(
        name="JPEG 30", definition="JPEG quality 30, 4:2:0, full size", apply=lambda p, _: handling.jpeg(p, 30)
    ),
    Manipulation(name="WebP 40", definition="lossy WebP quality 40", apply=lambda p, _: handling.webp(p, 40)),
    Manipulation(
        name="resize to 256 px",
        definition="shrunk to at most 256 px on the long side by area averaging",
        apply=lambda p, _: fit_within(p, 256),
    ),
    Manipulation(
        name="noise 5 %",
        definition="white Gaussian noise, sigma 5 % of full scale",
        apply=lambda p, m: handling.gaussian_noise(p, 0.05, m.random),
    ),
    Manipulation(name="blur", definition="Gaussian blur, sigma 2 px", apply=lambda p, _: handling.blur(p, 2.0)),
    Manipulation(
        name="tone",
        definition="gamma e^±0.5, contrast 0.6 to 1.5 and brightness ±15 % of full scale together; 3 draws",
        apply=_tone,
        draws=3,
    ),
    Manipulation(
        name="colour cast",
        definition="hue ±25°, saturation x0.4 to x1.8, then channel gains e^N(0, 0.12); 3 draws",
        apply=_cast,
        draws=3,
    ),
    Manipulation(
        name="relight",
        definition="a smooth coloured light over the picture, gain about halved to doubled; 3 draws",
        apply=lambda p, m: colour.relight(p, 1.0, m.random),
        draws=3,
    ),
    Manipulation(
        name="face-like swap, 30 %",
        definition="feathered, colour-matched ellipse of another picture, 30 % of the width across, 1.3 times as tall",
        apply=swap(0.3),
    ),
    Manipulation(
        name="face-like swap, 50 %",
        definition="the same, half the frame's width across (up to 90 % of its height)",
        apply=swap(0.5),
    ),
    Manipulation(
        name="box splice, 30 %",
        definition="hard rectangle of another picture, 30 % of both sides, colours as they are",
        apply=splice(0.3),
    ),
    Manipulation(name="box splice, 50 %", definition="the same, half of both sides", apply=splice(0.5)),
    Manipulation(
        name="Poisson swap, 50 %",
        definition="seamless clone (Poisson) of an ellipse of another picture, half the frame's width across",
        apply=_clone,
    ),
    Manipulation(
        name="swap, 480 px, JPEG 60",
        definition="face-like swap of half the width, shrunk to at most 480 px on the long side, JPEG quality 60",
        apply=_swap_and_share,
    ),
    Manipulation(
        name="GAN simulator",
        definition="regenerated through the model's own simulator; a WHITE-BOX figure: the reader was trained through "
        "it and earlier states of it, and tags are shaped under it",
        apply=lambda p, m: m.regenerate(SIMULATOR, p, m.random),
    ),
    Manipulation(
        name="reenactment warp",
        definition="smooth local displacement of about 3 % of the side, as expression transfer moves a face",
        apply=lambda p, m: warps.reenact(p, 0.03, m.random),
    ),
    Manipulation(
        name="super-resolution x3",
        definition="shrunk by 3 and enlarged again by cubic interpolation",
        apply=lambda p, _: handling.down_up(p, 3.0),
    ),
    Manipulation(name="crop to 90 %", definition="90 % of each side kept, anywhere", apply=_crop(0.9)),
    Manipulation(name="crop to 75 %", definition="75 % of each side kept, anywhere", apply=_crop(0.75)),
    Manipulation(name="crop to 50 %", definition="50 % of each side kept, anywhere", apply=_crop(0.5)),
    Manipulation(name="mirror", definition="left to right", apply=lambda p, _: warps.mirror(p)),
    Manipulation(
        name="rotation 10°",
        definition="turned by 10° about the middle, same size, corners black",
        apply=lambda p, _: warps.rotate(p, 10.0),
    ),
    Manipulation(
        name="screenshot border",
        definition="a plain dark frame added: 6 % of the width left and right, 12 % of the height above, 10 % below",
        apply=_screenshot,
    ),
    Manipulation(
        name="swap, crop to 70 %, 480 px, JPEG 60",
        definition="face-like swap of half the width, 70 % of each side kept, at most 480 px, JPEG quality 60",
        apply=_swap_crop_and_share,
    ),
    Manipulation(
        name="AVIF 40", definition="AVIF quality 40 of Pillow's coder, 4:2:0", apply=lambda p, _: capture.avif(p, 40)
    ),
    Manipulation(
        name="social pipeline",
        definition="at most 1080 px and JPEG 80, then at most 720 px and JPEG 70, then at most 480 px and JPEG 60",
        apply=lambda p, _: capture.coding_chain(p, ((1080, 80), (720, 70), (480, 60))),
    ),
    Manipulation(
        name="screenshot, rescaled",
        definition="bars with text-like blocks, 10 % of the height above, 8 % below; scaled to 55 to 90 %, JPEG 75",
        apply=lambda p, m: handling.jpeg(capture.screenshot(p, 1.0, m.random), 75),
    ),
    Manipulation(
        name="print-like",
        definition="turned by up to ±2°, scaled to 93 to 99 % on white, gamma e^±0.3, blur sigma 0.9 px, 4 px dot "
        "screens of 8 %, noise sigma 2.5 %, blacks lifted by 6 %, yellowish paper",
        apply=lambda p, m: capture.print_like(p, 1.0, m.random),
    ),
    Manipulation(
        name="stretched 15 %",
        definition="one side, drawn, shrunk by 1.15, the other kept",
        apply=lambda p, m: capture.stretch(p, 0.15, m.random),
    ),
    Manipulation(
        name="padded 20 %",
        definition="a plain white, grey or black margin, drawn as its parts left and above are; both sides 20 % longer",
        apply=lambda p, m: capture.pad(p, 0.2, m.random),
    ),
    Manipulation(
        name="rotation 90°",
        definition="a quarter turn counter-clockwise; read with the default search",
        apply=lambda p, _: capture.quarter_turns(p, 1),
    ),
    Manipulation(
        name="attribute edit: hair colour",
        definition="a drawn hue, saturation x1.5 and +20 %, lightness x0.7 to x1.4, where hue is not skin's, around "
        "the upper half of a face-like ellipse near the middle, 36 to 48 % of the width and 48 to 60 % of the height",
        apply=lambda p, m: attributes.recolour_hair(p, 1.0, m.random),
    ),
    Manipulation(
        name="attribute edit: skin colour",
        definition="hue ±20°, saturation and lightness x e^±0.4 within such an ellipse, 20 % larger, on skin's hues",
        apply=lambda p, m: attributes.recolour_skin(p, 1.0, m.random),
    ),
    Manipulation(
        name="attribute edit: ageing",
        definition="sideways wrinkle-like noise, 14 % of lightness, a third of saturation off, in such an ellipse",
        apply=lambda p, m: attributes.age(p, 1.0, m.random),
    ),
    Manipulation(
        name="attribute edit: glasses",
        definition="drawn glasses with dark rims and lenses tinted by 15 to 60 % across such an ellipse, soft edges",
        apply=lambda p, m: attributes.glasses(p, 1.0, m.random),
    ),
    Manipulation(
        name="attribute edit: light on the face",
        definition="within such an ellipse, 15 % larger, light halved to doubled from edge to edge, tint e^N(0, 0.08)",
        apply=lambda p, m: attributes.relight_face(p, 1.0, m.random),
    ),
    Manipulation(
        name="collage of four",
        definition="in a drawn place of two rows of two, half of each side, 2 % gutter, beside another picture of the "
        "set, its mirror image and its middle; read with the default search",
        apply=_collage,
    ),
    Manipulation(name="crop to 60 %", definition="60 % of each side kept, anywhere", apply=_crop(0.6)),
    Manipulation(
        name="generator A (black box)",
        definition="regenerated through an autoencoder with a fourfold smaller latent of whole levels (finite scalar "
        "quantisation), residual blocks and group normalisation; in no training of the reader and in no tagging",
        apply=_black_box("A"),
        generator="A",
    ),
    Manipulation(
        name="generator B (black box)",
        definition="regenerated through an autoencoder with an eightfold smaller latent, noise of a tenth of the "
        "latent's spread added, depthwise blocks; in no training of the reader and in no tagging",
        apply=_black_box("B"),
        generator="B",
    ),
    Manipulation(
        name="swap, generator A",
        definition="face-like swap of 30 % of the width, then the whole picture through generator A",
        apply=_regenerated_swap,
        generator="A",
    ),
    Manipulation(
        name="rotation 15°",
        definition="turned by 15° about the middle, same size, corners black",
        apply=lambda p, _: warps.rotate(p, 15.0),
    ),
    Manipulation(name="crop to 40 %", definition="40 % of each side kept, anywhere", apply=_crop(0.4)),
    Manipulation(
        name="caption",
        definition="a line of white letters with black edges near the top and one near the bottom, each 60 to 90 % of "
        "the width",
        apply=lambda p, m: overlays.caption(p, 1.0, m.random),
    ),
    Manipulation(
        name="watermark",
        definition="slanted rows of words all over, white or black, hiding 35 % of what lies under the letters",
        apply=lambda p, m: overlays.watermark(p, 1.0, m.random),
    ),
    Manipulation(
        name="pixelated face",
        definition="a face-like ellipse, as for attribute edits, in squares of one colour, ten across it",
        apply=lambda p, m: overlays.pixelate_face(p, 1.0, m.random),
    ),
)


def describe(chosen: Manipulation, cards: Mapping[str, GeneratorCard]) -> str:
    """A row's definition, with how faithful its generator is."""
    card = cards.get(chosen.generator) if chosen.generator is not None else None
    if card is None:
        return chosen.definition
    measured = f"PSNR {card.psnr_db:.1f} dB and SSIM {card.ssim:.2f} on {card.pictures} held-out pictures"
    return f"{chosen.definition}; generator {card.name}: {measured}"


def apply_manipulation(chosen: Manipulation, picture: Pixels, means: Means) -> Pixels:
    """The manipulated picture, contiguous uint8 (H, W, 3)."""
    return np.ascontiguousarray(chosen.apply(picture, means))
