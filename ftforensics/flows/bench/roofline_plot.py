"""The roofline as an SVG: logarithmic axes, one roof a device, one point a network. No script, no outside resource."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from ftforensics.flows.bench.roofline import Ceilings, Standing

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#1b5e9b", "#b3541e", "#2e7d4f", "#7b4fa3", "#8a6d00")


class _Axes:
    """Decades of both axes, and where a value stands on the paper."""

    def __init__(self, standings: Sequence[Standing]) -> None:
        across = [standing.cost.intensity for standing in standings]
        across += [one.ceilings.operations_per_s / one.ceilings.bytes_per_s for one in standings]
        up = [standing.operations_per_s / 1e9 for standing in standings]
        up += [standing.ceilings.operations_per_s / 1e9 for standing in standings]
        self.left, self.right = _decades([value / 3 for value in across] + [value * 3 for value in across])
        self.low, self.high = _decades(up)

    def x(self, intensity: float) -> float:
        share = (log10(intensity) - self.left) / (self.right - self.left)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, gflops: float) -> float:
        share = (log10(gflops) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def render_svg(standings: Sequence[Standing], title: str) -> str:
    """The picture of at least one standing, as UTF-8 text that is the same for the same figures."""
    axes = _Axes(standings)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
        *_grid(axes),
    ]
    roofs = list(dict.fromkeys(standing.ceilings for standing in standings))
    for number, ceilings in enumerate(roofs):
        parts += _roof(axes, ceilings, COLOURS[number % len(COLOURS)])
    for standing in standings:
        parts += _point(axes, standing, COLOURS[roofs.index(standing.ceilings) % len(COLOURS)])
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _grid(axes: _Axes) -> list[str]:
    parts = []
    for power in range(axes.left, axes.right + 1):
        x = axes.x(10.0**power)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{10.0**power:g}</text>')
    for power in range(axes.low, axes.high + 1):
        y = axes.y(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    middle = (HEIGHT - BOTTOM + TOP) / 2
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">operations a byte</text>')
    parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">GFLOP/s</text>')
    return parts


def _roof(axes: _Axes, ceilings: Ceilings, colour: str) -> list[str]:
    ridge = ceilings.operations_per_s / ceilings.bytes_per_s
    start = max(10.0**axes.left, 10.0**axes.low * 1e9 / ceilings.bytes_per_s)
    peak = axes.y(ceilings.operations_per_s / 1e9)
    slope = f"M{axes.x(start):.1f} {axes.y(ceilings.roof(start) / 1e9):.1f}L{axes.x(ridge):.1f} {peak:.1f}"
    label = f"{ceilings.device}, {ceilings.precision}"
    return [
        f'<path d="{slope}H{WIDTH - RIGHT}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{WIDTH - RIGHT}" y="{peak - 6:.1f}" text-anchor="end" fill="{colour}">{escape(label)}</text>',
    ]


def _point(axes: _Axes, standing: Standing, colour: str) -> list[str]:
    x, y = axes.x(standing.cost.intensity), axes.y(standing.operations_per_s / 1e9)
    label = f"{standing.name}: {100 * standing.share:.0f} %"
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
        f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(label)}</text>',
    ]
