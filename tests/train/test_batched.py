"""Batched manipulations against those that run picture by picture, and training with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from ftforensics.attacks import colour, handling
from ftforensics.attacks import regions as single_regions
from ftforensics.engine.models import find_model
from ftforensics.errors import UsageError
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Pixels, resize
from ftforensics.train import __main__ as command
from ftforensics.train import learner, starting, validation
from ftforensics.train.band import BandTransform
from ftforensics.train.batched import codecs, filters, frames, keeper, linear, regions, resident, scenes, supply, views
from ftforensics.train.data import load_pictures, random_view
from ftforensics.train.samples import _for_grid_sample

MODEL = find_model("ftf-1")
CPU = torch.device("cpu")
SIDE = 192


@pytest.fixture(scope="module")
def hosts(images: Path) -> list[Pixels]:
    random = np.random.default_rng(5)
    pictures = load_pictures(images, "train")
    return [random_view(pictures.draw(random), SIDE, random) for _ in range(6)]


@pytest.fixture(scope="module")
def batch(hosts: list[Pixels]) -> torch.Tensor:
    return torch.from_numpy(np.stack(hosts)).permute(0, 3, 1, 2).float() / 255.0


def root_mean_square(found: torch.Tensor, expected: list[Pixels]) -> float:
    seen = found.permute(0, 2, 3, 1).numpy() * 255.0
    return float(np.sqrt(np.mean((seen - np.stack(expected).astype(np.float32)) ** 2)))


def every(value: float) -> torch.Tensor:
    return torch.full((6,), value)


def wide(value: float) -> torch.Tensor:
    return torch.full((6, 1, 1, 1), value)


def blurred(batch: torch.Tensor, sigma: float) -> torch.Tensor:
    return linear.rounded(linear.along_both(batch, linear.gaussian_matrices(every(sigma), SIDE)))


def sharpened(batch: torch.Tensor, strength: float) -> torch.Tensor:
    blur, amount = linear.sharpen_matrices(every(strength), SIDE)
    return linear.rounded(batch + amount * (batch - linear.along_both(batch, blur[0])))


Batched = Callable[[torch.Tensor], torch.Tensor]
ALIKE: dict[str, tuple[Batched, Callable[[Pixels], Pixels], float]] = {
    "median": (filters.median3, lambda one: handling.median(one, 3), 0.0),
    "tone": (
        lambda batch: filters.tone(batch, wide(0.1), wide(1.3), wide(0.8)),
        lambda one: colour.tone(one, brightness=0.1, contrast=1.3, gamma=0.8),
        0.2,
    ),
    "saturation": (
        lambda batch: filters.cast(batch, every(0.0), every(1.4)),
        lambda one: colour.colour_cast(one, saturation=1.4),
        1.5,
    ),
    "blur": (lambda batch: blurred(batch, 1.5), lambda one: handling.blur(one, 1.5), 1.0),
    "surfaces": (
        lambda batch: filters.smooth_surfaces(batch, every(0.5)),
        lambda one: handling.smooth_surfaces(one, 0.5),
        1.0,
    ),
    "down and up": (
        lambda batch: linear.rounded(linear.along_both(batch, linear.down_up_matrices(SIDE, CPU, 2, 2.0)[1])),
        lambda one: handling.down_up(one, 2.0),
        0.6,
    ),
    "sharpen": (
        lambda batch: sharpened(batch, 1.2),
        lambda one: handling.sharpen(one, 1.2),
        1.0,
    ),
    "jpeg": (lambda batch: codecs.jpeg(batch, every(50.0)), lambda one: handling.jpeg(one, 50), 1.5),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_batch_is_manipulated_as_pictures_are_one_by_one(name: str, hosts: list[Pixels], batch: torch.Tensor) -> None:
    batched, single, tolerance = ALIKE[name]
    expected = [single(host) for host in hosts]
    assert root_mean_square(batched(batch), expected) <= tolerance
    # The manipulation itself is far larger, or the comparison would say nothing.
    assert root_mean_square(batch, expected) > 2.0 * tolerance


def test_fewer_levels_lose_more(batch: torch.Tensor) -> None:
    def loss(step: float) -> float:
        return float((codecs.small_blocks(batch, every(step)) - batch).square().mean())

    assert loss(4.0) < loss(16.0) < loss(48.0)


def test_frames_are_those_of_the_geometry_room() -> None:
    random = np.random.default_rng(2)
    scale, angle = random.uniform(0.5, 1.2, (5, 2)), random.normal(0, 8, 5)
    centre, mirrored = random.uniform(0.4, 0.6, (5, 2)), np.array([True, False, True, False, False])
    found = frames.about_centre(scale, angle, centre, mirrored)
    for at in range(5):
        one = geometry.about_centre(
            scale_x=float(scale[at, 0]),
            scale_y=float(scale[at, 1]),
            angle_deg=float(angle[at]),
            centre=(float(centre[at, 0]), float(centre[at, 1])),
            mirrored=bool(mirrored[at]),
        )
        np.testing.assert_allclose(found[at], one, atol=1e-12)
        np.testing.assert_allclose(frames.invert(found)[at], geometry.invert(one), atol=1e-12)
        np.testing.assert_allclose(frames.for_grid_sample(found, CPU)[at].numpy(), _for_grid_sample(one), atol=1e-6)
    np.testing.assert_allclose(frames.compose(found, frames.invert(found)), frames.identities(5), atol=1e-12)


def test_a_batch_is_seen_through_frames_as_pictures_are(hosts: list[Pixels], batch: torch.Tensor) -> None:
    random = np.random.default_rng(3)
    scale = random.uniform(0.6, 1.1, (6, 2))
    frame = frames.about_centre(scale, random.normal(0, 5, 6), np.full((6, 2), 0.5), np.zeros(6, dtype=bool))
    for chosen in (frame, frames.invert(frame)):
        expected = [geometry.sample_frame(host, one, (128, 128)) for host, one in zip(hosts, chosen, strict=True)]
        found = frames.see(batch, chosen, 128)
        assert root_mean_square(found, expected) < 6.0
        assert root_mean_square(found.flip(3), expected) > 15.0


def test_masks_have_the_sizes_that_single_ones_have() -> None:
    random = np.random.default_rng(4)
    many = regions.draw_masks(400, SIDE, 0.6, random, CPU).mean(dim=(1, 2, 3)).numpy()
    single = [float(single_regions.random_mask(SIDE, SIDE, 0.6, random).mean()) for _ in range(400)]
    assert abs(float(np.mean(many)) - float(np.mean(single))) < 0.02
    assert abs(float(np.std(many)) - float(np.std(single))) < 0.02


def test_donors_take_on_colours_as_single_ones_do(hosts: list[Pixels], batch: torch.Tensor) -> None:
    masks = regions.draw_masks(6, SIDE, 0.5, np.random.default_rng(6), CPU)
    found = regions.match_colour(batch.roll(1, 0), batch, masks)
    donors, shapes = [hosts[-1], *hosts[:-1]], masks[:, 0].numpy()
    expected = [single_regions.match_colour(*three) for three in zip(donors, hosts, shapes, strict=True)]
    assert root_mean_square(found, expected) < 0.5
    assert root_mean_square(batch.roll(1, 0), expected) > 5.0


def test_a_seamless_paste_keeps_the_colours_around_it(batch: torch.Tensor) -> None:
    masks = regions.draw_masks(6, SIDE, 0.5, np.random.default_rng(5), CPU)
    donors = (batch.roll(1, 0) * 0.5 + 0.4).clamp(0.0, 1.0)

    def step_at_the_edge(pasted: torch.Tensor) -> float:
        edge = (masks > 0.1) & (masks < 0.9)
        return float(((pasted - batch).abs() * edge).sum() / edge.sum())

    assert step_at_the_edge(regions.paste_seamlessly(batch, donors, masks)) < 0.7 * step_at_the_edge(
        regions.paste(batch, donors, masks)
    )


def test_coefficients_and_planes_are_each_others_adjoints() -> None:
    to_band = BandTransform(CPU)
    band, planes = torch.randn(2, len(to_band.inside)), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        (to_band.planes(band) * planes).sum(), (band * to_band(planes)).sum(), rtol=1e-4, atol=1e-2
    )
    torch.testing.assert_close(to_band(to_band.planes(band)), band, rtol=1e-4, atol=1e-4)


def test_a_reader_without_normalisations_is_the_same_reader(batch: torch.Tensor) -> None:
    shipped, size = starting.load_start(MODEL)
    plain = starting.without_norms(shipped)
    assert not any("norm" in name for name, _ in plain.named_parameters())
    seen = linear.resized(batch, 128)
    with torch.no_grad():
        torch.testing.assert_close(plain(seen), shipped(seen), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(starting.with_norms(plain, size)(seen), shipped(seen), rtol=1e-4, atol=1e-5)


def test_a_model_folder_gives_its_generator(batch: torch.Tensor) -> None:
    from ftforensics.engine.onnx import OnnxSimulator

    generator = starting.load_generator(MODEL)
    pixels = (batch[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    with torch.no_grad():
        found = generator(batch[:1])[0].permute(1, 2, 0).numpy() * 255.0
    expected = OnnxSimulator(MODEL, threads=1).regenerate(pixels)
    assert np.abs(found.clip(0, 255) - expected).max() <= 1.0


def test_a_batch_is_tagged_as_the_tagger_adds(images: Path) -> None:
    hosts = supply.HostBatches(load_pictures(images, "train"), seed=1, batch=3, count=2)[0]
    slots = keeper.DeviceSlots(iter([hosts]), "ftf-1", [], CPU)
    net = starting.without_norms(starting.load_start(MODEL)[0])
    kept = slots._fresh(0, net, np.random.default_rng(1))
    planes = BandTransform(CPU).planes(kept.slot.band)
    found = slots._tagged(kept.slot, kept.hosts.float() / 255.0, planes)
    for at in range(3):
        host = np.ascontiguousarray(kept.hosts[at].permute(1, 2, 0).numpy())
        psnr_db = float(-20.0 * torch.log10(kept.slot.rms[at]))
        expected = perceptual.add_residual(host, planes[at].numpy(), perceptual.build_mask(host), psnr_db)
        assert root_mean_square(found[at : at + 1], [expected]) < 0.1
        assert np.abs(expected.astype(int) - host).max() > 0


def test_scenes_repeat_and_know_where_tags_survive(batch: torch.Tensor) -> None:
    maker = scenes.SceneMaker([starting.load_generator(MODEL)], CPU)
    many = torch.cat([batch] * 5)
    first = maker.manipulate(many, many, np.random.default_rng(7))
    again = maker.manipulate(many, many, np.random.default_rng(7))
    other = maker.manipulate(many, many, np.random.default_rng(8))
    for name, values in first.items():
        torch.testing.assert_close(values, again[name], rtol=0, atol=0)
    assert not torch.equal(first["pictures"], other["pictures"])
    assert first["pictures"].shape == (30, 3, 128, 128)
    assert 0.0 <= float(first["pictures"].min()) <= float(first["pictures"].max()) <= 1.0
    share = first["present"].mean(dim=(1, 2))
    assert float(share.max()) == 1.0
    assert float(share.min()) < 0.9
    inverse = first["to_source"][:, :, :2] @ first["from_source"][:, :, :2]
    torch.testing.assert_close(inverse, torch.eye(2).expand(30, 2, 2), rtol=1e-4, atol=1e-4)


def test_light_views_pass_gradients_to_every_picture() -> None:
    pictures = torch.rand(16, 3, 128, 128).requires_grad_(True)
    seen = views.light_views(pictures, np.random.default_rng(1), torch.Generator().manual_seed(1))
    assert seen.shape == pictures.shape
    changed = (seen - pictures).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 10 <= int(changed.sum()) <= 14
    seen.sum().backward()
    assert pictures.grad is not None
    assert bool((pictures.grad.abs().sum(dim=(1, 2, 3)) > 0).all())


def test_shaping_makes_bits_read_better(images: Path) -> None:
    hosts = supply.HostBatches(load_pictures(images, "train"), seed=2, batch=4, count=2)[0]
    slots = keeper.DeviceSlots(iter([hosts]), "ftf-1", [], CPU)
    net = starting.without_norms(starting.load_start(MODEL)[0])
    random = np.random.default_rng(2)
    slot = slots._fresh(0, net, random).slot
    to_band = BandTransform(CPU)

    def weakest() -> float:
        with torch.no_grad():
            soft = to_band(net(slots._shaper.view(slot)[0])) @ slot.carriers.T * slot.signs
        return float((soft / soft.mean()).quantile(0.02))

    before = weakest()
    for _ in range(6):
        slots._shape(net, slot, random)
    assert weakest() > before + 0.05


def test_training_goes_on_where_it_was_stopped(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "COUNT", 1)
    said: list[str] = []

    def train(steps: int, **more: float) -> dict[str, object]:
        resident.train_resident(
            images,
            tmp_path / "resident.pt",
            start=MODEL,
            simulators=[MODEL],
            steps=steps,
            seed=3,
            batch=2,
            peak=1e-4,
            workers=0,
            device="cpu",
            model_id="ftf-1",
            report=said.append,
            **more,
        )
        state: dict[str, object] = torch.load(tmp_path / "resident.pt", weights_only=True)
        return state

    assert train(3, stop_after_s=0.0)["step"] == 1
    assert said[-1].startswith("stopped after step 1 of 3")
    assert train(3)["step"] == 3
    assert sum(line.startswith("step 0/3") for line in said) == 1
    started, _ = starting.load_start(tmp_path / "resident.pt")
    view = torch.from_numpy(resize(np.zeros((64, 64, 3), np.uint8), 128, 128)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        moved = (started.eval()(view) - starting.load_start(MODEL)[0](view)).abs().max()
    assert 0.0 < float(moved) < 1.0
    normalised, size = starting.load_start(tmp_path / "resident.pt")
    with pytest.raises(UsageError, match="a run on a GPU does not go on on the processor"):
        learner.Learner(normalised, size, 1e-4).load(tmp_path / "resident.pt")


def test_what_was_written_on_a_gpu_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, size = starting.load_start(MODEL)
    generator = starting.load_generator(MODEL)
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        torch.save({"average": net.state_dict(), "size": size}, tmp_path / "reader.pt")
        torch.save({"net": generator.state_dict(), "width": 40, "latent": 8}, tmp_path / "simulator.pt")
    assert starting.load_start(tmp_path / "reader.pt")[0].stem.weight.device == CPU
    assert next(starting.load_generator(tmp_path / "simulator.pt").parameters()).device == CPU


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--start", "nowhere.pt"], "nowhere.pt"),
        (["--start", "s", "--device", "gpu"], "torch cannot use this device"),
        (["--start", "s", "--device", "cuda:99"], "torch cannot use this device"),
        (["--start", "s", "--simulator", "a", "b"], "takes one --simulator"),
        (["--start", "s", "--batch", "0"], "give at least 1"),
        (["--start", "s", "--workers", "-1"], "give no number below 0"),
    ],
)
def test_senseless_options_are_answered_with_a_sentence(
    options: list[str],
    said: str,
    tmp_path: Path,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "informed", "--images", str(images), "--out", str(tmp_path / "out.pt"), *options]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
