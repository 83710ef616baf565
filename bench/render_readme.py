"""Fill the marked blocks of README.md and of the model cards from files, so that no number is ever typed by hand.

In: ``engines/<model>/bench.json`` (written by ``ftf bench``, described in docs/formats.md) and ``model.json``. Out: the
text between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->`` lines. Usage: ``python bench/render_readme.py``, or with
``--check``: then nothing is written, and the exit code is 1 if a block does not equal what its files say.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README_MODEL = "ftf-1"
BENCH_SCHEMA = "ftforensics.bench.v1"
NOTHING_YET = "_No measurement has been recorded yet._"

_BENCH_FIELDS = {"schema", "model", "weights_sha256", "tool_version", "tables"}
_TABLE_FIELDS = {"name", "title", "columns", "rows", "command", "seed", "data", "machine"}
_TABLE_OPTIONAL = {"note", "in_readme"}


class BlockError(Exception):
    """A file that the blocks are made from, or that holds them, is not as it should be."""


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Render or check all blocks; 1 if one is stale or cannot be made."""
    parser = argparse.ArgumentParser(description="Fill README.md and the model cards with measured numbers.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a block is not what its files say")
    check = parser.parse_args(arguments).check
    try:
        rendered = render_files(root)
    except BlockError as exc:
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
    """The full text that README.md and every model card should have.

    Raises:
        BlockError: A block or a file is missing or malformed.
    """
    texts = {}
    readme = root / "README.md"
    bench = load_bench(root / "engines" / README_MODEL)
    texts[readme] = fill_block(readme, "numbers", render_numbers(bench, readme_only=True))
    for card in sorted((root / "engines").glob("*/card.md")):
        numbers = render_numbers(load_bench(card.parent), readme_only=False)
        texts[card] = fill_block(card, "numbers", numbers, fill_block(card, "facts", render_facts(card.parent)))
    return texts


def fill_block(path: Path, name: str, content: str, text: str | None = None) -> str:
    """A file's text with one block replaced.

    Args:
        path: The file.
        name: Of the block.
        content: Without the markers.
        text: The file's text where an earlier block was filled already.

    Raises:
        BlockError: The file does not hold the block exactly once.
    """
    try:
        whole = path.read_text(encoding="utf-8") if text is None else text
    except OSError as exc:
        raise BlockError(f"{path}: cannot be read ({exc.strerror})") from exc
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise BlockError(f"{path}: needs the lines '{begin.strip()}' and '{end}' once each, in this order")
    before, rest = whole.split(begin)
    return f"{before}{begin}\n{content}\n\n{end}{rest.split(end)[1]}"


def load_bench(folder: Path) -> dict[str, Any] | None:
    """The measurements of a model folder, None where there are none yet.

    Raises:
        BlockError: Malformed, or measured with other weights than the folder holds.
    """
    path = folder / "bench.json"
    if not path.exists():
        return None
    bench = _load_json(path)
    _check_fields(path, bench, _BENCH_FIELDS)
    if bench["schema"] != BENCH_SCHEMA:
        raise BlockError(f"{path}: schema is {bench['schema']!r}, not {BENCH_SCHEMA}")
    if bench["weights_sha256"] != _load_json(folder / "model.json").get("reader_sha256"):
        raise BlockError(f"{path}: was measured with other weights than the folder holds; run the benchmark again")
    for table in bench["tables"]:
        _check_fields(path, table, _TABLE_FIELDS, _TABLE_OPTIONAL)
        if any(len(row) != len(table["columns"]) for row in table["rows"]):
            raise BlockError(f"{path}: a row of the table {table['name']!r} has not one cell a column")
    return bench


def render_numbers(bench: dict[str, Any] | None, *, readme_only: bool) -> str:
    """All tables, or those meant for the README, each with how it was made."""
    tables = [] if bench is None else [t for t in bench["tables"] if t.get("in_readme", True) or not readme_only]
    if bench is None or not tables:
        return NOTHING_YET
    head = f"Model `{bench['model']}`, weights `{bench['weights_sha256'][:16]}`, version {bench['tool_version']}."
    return "\n\n".join([head, *(render_table(table) for table in tables)])


def render_table(table: dict[str, Any]) -> str:
    """One table in Markdown: title, rows, then command, seed, data and machine."""
    lines = [f"**{escape(table['title'])}**", ""]
    lines.append("| " + " | ".join(escape(column) for column in table["columns"]) + " |")
    lines.append("| --- |" + " ---: |" * (len(table["columns"]) - 1))
    lines += ["| " + " | ".join(render_cell(cell) for cell in row) + " |" for row in table["rows"]]
    if table.get("note"):
        lines += ["", escape(table["note"])]
    where = f"on {escape(table['data'])}; {escape(table['machine'])}"
    return "\n".join([*lines, "", f"Made with `{table['command']}`, seed {table['seed']}, {where}."])


def render_cell(cell: Any) -> str:
    """Numbers as they were written, large whole ones in groups of three; a dash for nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:g}" if isinstance(cell, float) else escape(str(cell))


def render_facts(folder: Path) -> str:
    """What ``model.json`` says of the model."""
    card = _load_json(folder / "model.json")
    try:
        rows = [
            ("weights", f"{card['parameters']:,}"),
            ("input", f"{card['input_px']} x {card['input_px']} px, sRGB in [0, 1]"),
            ("output", f"residual map 3 x {card['grid']} x {card['grid']}"),
            ("message", f"{card['message_bits']} channel bits, 64 bits of tag id"),
            ("share of energy for synchronisation", f"{card['sync_energy']:g}"),
            *((name, f"`{card[f'{name}_sha256']}`") for name in ("reader", "gradient", "simulator")),
        ]
    except KeyError as exc:
        raise BlockError(f"{folder / 'model.json'}: lacks {exc}") from exc
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def escape(text: str) -> str:
    """Text that cannot break a table or start markup of its own."""
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _load_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BlockError(f"{path}: cannot be read ({exc})") from exc
    if not isinstance(value, dict):
        raise BlockError(f"{path}: is not a JSON object")
    return value


def _check_fields(path: Path, value: dict[str, Any], needed: set[str], optional: set[str] | None = None) -> None:
    missing, unknown = needed - value.keys(), value.keys() - needed - (optional or set())
    if missing or unknown:
        raise BlockError(f"{path}: missing fields {sorted(missing)}, unknown fields {sorted(unknown)}")


if __name__ == "__main__":
    sys.exit(main())
