"""Fill marked blocks of README.md, the validation report and the model cards, so that no number is typed by hand.

In: ``engines/<model>/bench.json`` (from ``ftf bench``; described in docs/formats.md), ``model.json``,
``engines/generators/generators.json`` and ``bench/peers.json`` (from ``bench/peers.py``). Out: the text between
``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``. Usage: ``python bench/render_readme.py``, or with ``--check``: then
nothing is written, and the exit code is 1 if a block does not equal what its files say.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ftforensics.engine.generators import CARD_FILE, load_generator_cards
from ftforensics.engine.models import load_card
from ftforensics.errors import FtfError
from ftforensics.flows.bench.requirements import FURTHER, REQUIREMENTS, count_met, render_requirements
from ftforensics.flows.bench.results import Row, Table, load_tables, render_markdown

ROOT = Path(__file__).resolve().parent.parent
README_MODEL = "ftf-1"
PEERS_FILE = Path("bench") / "peers.json"
OURS = "ftforensics"
# What README.md shows of the tables: the rows that a newcomer asks for first, and the columns that answer. The column
# that names a row, the names in order (none: all of them), then the columns.
README_EXTRACTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "robustness",
        "manipulation",
        (
            "none",
            "JPEG 50 at 640 px",
            "JPEG 30",
            "social pipeline",
            "noise 5 %",
            "tone",
            "relight",
            "caption",
            "face-like swap, 50 %",
            "swap, 480 px, JPEG 60",
            "attribute edit: ageing",
            "reenactment warp",
            "GAN simulator",
            "generator A (black box)",
            "generator B (black box)",
            "screenshot, rescaled",
            "print-like",
            "rotation 10°",
            "crop to 75 %",
            "crop to 50 %",
            "collage of four",
            "swap, crop to 70 %, 480 px, JPEG 60",
        ),
        ("manipulation", "bits", "identified", "beside", "wrong"),
    ),
    (
        "verdicts",
        "case",
        (
            "nothing",
            "JPEG 30",
            "caption",
            "face-like swap, 50 %",
            "swap, 480 px, JPEG 60",
            "attribute edit: ageing",
            "another background",
            "a face moved, 3 %",
            "generator A (black box)",
        ),
        ("case", "pictures", "verified", "suspected"),
    ),
    ("attackers-forgeries", "attack", (), ("attack", "pictures", "verified", "verified_upper")),
    ("false-positives", "population", (), ("population", "mode", "reads", "wrong", "wrong_upper", "decoded")),
    ("scan-speed", "evidence", (), ("evidence", "images_per_s", "floor_images_per_s", "search_ms")),
)
NOTHING_YET = "_No measurement has been recorded yet._"


class BlockError(Exception):
    """A file that the blocks are made from, or that holds them, is not as it should be."""


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Render or check all blocks; 1 if one is stale or cannot be made."""
    parser = argparse.ArgumentParser(description="Fill README.md and the model cards with measured numbers.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a block is not what its files say")
    check = parser.parse_args(arguments).check
    try:
        rendered = render_files(root)
    except (BlockError, FtfError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    stale = [path for path, text in rendered.items() if path.read_text(encoding="utf-8") != text]
    told = "stale; run python bench/render_readme.py" if check else "filled"
    for path in stale:
        sys.stderr.write(f"{path.relative_to(root)}: {told}\n")
        if not check:
            path.write_text(rendered[path], encoding="utf-8")
    return 1 if check and stale else 0


def render_files(root: Path) -> dict[Path, str]:
    """The full text that README.md, the validation report and every model card should have.

    Raises:
        BlockError: A block is missing, or numbers are of other weights than the model folder holds.
        FtfError: A model card or results file cannot be read.
    """
    readme = root / "README.md"
    by_name = {table.name: table for table in load_measurements(root / "engines" / README_MODEL)}
    texts = {readme: fill_block(_read(readme), "numbers", render_extracts(by_name), readme)}
    report = root / "docs" / "validation.md"
    asked = render_requirements(list(by_name.values()))
    text = fill_block(_read(report), "requirements", asked, report)
    text = fill_block(text, "further", render_requirements(list(by_name.values()), FURTHER), report)
    compared = render_peers(root / PEERS_FILE, by_name)
    texts[report] = fill_block(text, "peers", compared, report)
    for card in sorted((root / "engines").glob(f"*/{CARD_FILE}")):
        path = card.parent / "card.md"
        texts[path] = fill_block(_read(path), "facts", render_generators(card.parent), path)
    for card in sorted(path.parent / "card.md" for path in (root / "engines").glob("*/model.json")):
        text = fill_block(_read(card), "facts", render_facts(card.parent), card)
        texts[card] = fill_block(text, "numbers", render_numbers(load_measurements(card.parent)), card)
    return texts


def fill_block(text: str, name: str, content: str, path: Path) -> str:
    """A text with what stands between a block's markers replaced; ``path`` is for the error.

    Raises:
        BlockError: The text does not hold the block exactly once.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise BlockError(f"{path}: needs the lines '{begin.strip()}' and '{end}' once each, in this order")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content.strip()}\n\n{end}{rest.split(end)[1]}"


def load_measurements(folder: Path) -> list[Table]:
    """The tables of a model folder, none where it was not measured yet.

    Raises:
        BlockError: A table was measured with other weights than the folder holds.
        FtfError: The results file or the model card cannot be read.
    """
    path = folder / "bench.json"
    if not path.exists():
        return []
    tables = load_tables(path)
    weights = load_card(folder).reader_sha256
    for table in tables:
        if table.weights_sha256 != weights:
            raise BlockError(f"{path}: the table {table.name!r} was measured with other weights; measure again")
    return tables


def render_numbers(tables: list[Table]) -> str:
    """Tables in Markdown, each with how it was made."""
    return "\n".join(render_markdown(table) for table in tables) if tables else NOTHING_YET


def render_extracts(tables: Mapping[str, Table]) -> str:
    """What README.md shows: how many figures are reached, then the extracts; rows that no table has are left out."""
    if not tables:
        return NOTHING_YET
    asked = (*REQUIREMENTS, *FURTHER)
    parts = [f"Of {len(asked)} figures that were asked for, {count_met(list(tables.values()), asked)} are reached.", ""]
    for name, key, names, columns in README_EXTRACTS:
        if name in tables:
            parts.append(render_markdown(extract(tables[name], key, names, columns)))
    return "\n".join(parts)


def extract(table: Table, key: str, names: Sequence[str], columns: Sequence[str]) -> Table:
    """A table with some of its rows and columns, in this order, and no notes.

    Args:
        table: The whole.
        key: The column that names a row.
        names: Rows to keep; all where there are none.
        columns: Columns to keep, by key; their intervals are kept too.
    """
    by_key = {column.key: column for column in table.columns}
    by_name = {row[key]: row for row in table.rows}
    rows = tuple(by_name[name] for name in names if name in by_name) if names else table.rows
    hidden = tuple(column for column in table.columns if column.hidden)
    kept = tuple(by_key[column] for column in columns if column in by_key)
    return replace(table, columns=(*kept, *hidden), rows=rows, notes=())


def render_peers(path: Path, ours: dict[str, Table]) -> str:
    """What ``bench/peers.py`` measured, a column a method; ours beside it if measured on the same pictures and seed.

    Raises:
        FtfError: The results file cannot be read.
    """
    if not path.exists():
        return NOTHING_YET
    table = next((one for one in load_tables(path) if one.name == "peers"), None)
    if table is None:
        return NOTHING_YET
    cells, losses, names, notes = {}, {}, [], list(table.notes)
    for row in table.rows:
        method, name = str(row["method"]), str(row["manipulation"])
        names += [name] if name not in names else []
        cells[method, name] = _render_rates(row)
        losses[method] = f"{row['psnr_db']:.1f} dB ({row['pictures']} pictures)"
    robustness, quality = ours.get("robustness"), ours.get("quality")
    methods = list(losses)
    if robustness is not None and (robustness.data.sha256, robustness.seed) == (table.data.sha256, table.seed):
        methods.insert(0, OURS)
        cells |= {(OURS, str(row.get("manipulation"))): _render_rates(row) for row in robustness.rows}
        losses[OURS] = _render_loss(quality, table)
        notes.append(f"{OURS}: the tables of `ftf bench` on the same pictures, all draws, blind search included")
    else:
        notes.append(f"{OURS} was not measured on these pictures with this seed, and is left out")
    lines = [f"| bits right / right record of all | {' | '.join(methods)} |", "| --- |" + " ---: |" * len(methods)]
    lines.append("| PSNR, mean | " + " | ".join(losses[method] for method in methods) + " |")
    for name in names:
        lines.append(f"| {name} | " + " | ".join(cells.get((method, name), "-") for method in methods) + " |")
    packages = ", ".join(f"{package} {version}" for package, version in table.settings.items())
    notes.append(
        f"`{table.command}`, {table.data.count} pictures (SHA-256 of their hashes {table.data.sha256[:16]}…), "
        f"{packages}; intervals are in `{PEERS_FILE.as_posix()}`"
    )
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def _render_rates(row: Row) -> str:
    values = [row.get(key) for key in ("bits", "identified")]
    return " / ".join(f"{100.0 * value:.1f} %" if isinstance(value, int | float) else "-" for value in values)


def _render_loss(quality: Table | None, peers: Table) -> str:
    """The mean PSNR of our tags alone, if measured on the same pictures."""
    if quality is None or quality.data.sha256 != peers.data.sha256:
        return "not measured"
    wanted = {"compared": "tag alone, before the file is coded", "statistic": "mean"}
    row = next((row for row in quality.rows if wanted.items() <= row.items()), {})
    value = row.get("psnr_db")
    return f"{value:.1f} dB" if isinstance(value, int | float) else "not measured"


def render_facts(folder: Path) -> str:
    """What ``model.json`` says of the model."""
    card = load_card(folder)
    rows = [
        ("weights", f"{card.parameters:,}"),
        ("input", f"{card.input_px} x {card.input_px} px, sRGB in [0, 1]"),
        ("output", f"residual map 3 x {card.grid} x {card.grid}"),
        ("message", f"{card.message_bits} channel bits, 64 bits of tag id"),
        ("share of energy for synchronisation", f"{card.sync_energy:g}"),
        ("SHA-256 of the reader", f"`{card.reader_sha256}`"),
        ("SHA-256 of the gradient", f"`{card.gradient_sha256}`"),
        ("SHA-256 of the simulator", f"`{card.simulator_sha256}`" if card.simulator_sha256 else "none"),
        ("SHA-256 of the pair reader", f"`{card.pair_reader_sha256}`" if card.pair_reader_sha256 else "none"),
        ("SHA-256 of the localiser", f"`{card.localiser_sha256}`" if card.localiser_sha256 else "none"),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def render_generators(folder: Path) -> str:
    """What ``generators.json`` says of the generators that only measure."""
    head = "| generator | kind | weights | PSNR | SSIM | held-out pictures | SHA-256 |"
    lines = [head, "| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for card in load_generator_cards(folder).values():
        measured = f"{card.psnr_db:.1f} dB | {card.ssim:.3f} | {card.pictures}"
        lines.append(f"| {card.name} | {card.kind} | {card.parameters:,} | {measured} | `{card.sha256}` |")
    return "\n".join(lines)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise BlockError(f"{path}: cannot be read ({exc.strerror})") from exc


if __name__ == "__main__":
    sys.exit(main())
