"""Fill the marked blocks of docs/engines.md from bench/engines-cpu.json and bench/engines-gpu.json.

In: results files of ``ftf engine bench``, ``parity`` and ``quantise``, and of bench/gpu.sh. Out: the text between
``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``, NAME being cpu or gpu, a dash and the table's name. A table that is
not there, or whose meaning depends on weights that were replaced, is marked as not measured. Usage: ``python
bench/render_engines.py``, or with ``--check``: then nothing is written, and the exit code is 1 if a block is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from ftforensics.engine.models import load_card
from ftforensics.errors import FtfError
from ftforensics.flows.bench.results import Table, load_tables, render_markdown

ROOT = Path(__file__).resolve().parent.parent
MODEL = "ftf-1"
SOURCES = {"cpu": "engines-cpu.json", "gpu": "engines-gpu.json"}
# What these say changes with the weights; speed does not.
OF_WEIGHTS = frozenset({"engine-parity", "engine-int8", "engine-int8-trials"})
# The tables that a drawing goes with.
PLOTTED = ("cpu-engine-roofline", "gpu-gpu-roofline")
NOT_MEASURED = "_Not measured: {}._"
OLD_WEIGHTS = "_Not measured with these weights: {}._"
BLOCK = re.compile(r"<!-- ((?:cpu|gpu)-[a-z0-9-]+):begin -->\n(.*?)<!-- \1:end -->", re.DOTALL)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Render or check; 1 if the document is stale or cannot be made."""
    parser = argparse.ArgumentParser(description="Fill docs/engines.md with measured numbers.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a block is not what its files say")
    check = parser.parse_args(arguments).check
    document = root / "docs" / "engines.md"
    try:
        text = document.read_text(encoding="utf-8")
        rendered = render_document(text, root)
    except (OSError, FtfError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    if rendered == text:
        return 0
    sys.stderr.write(f"docs/engines.md: {'stale; run python bench/render_engines.py' if check else 'filled'}\n")
    if not check:
        document.write_text(rendered, encoding="utf-8")
    return 1 if check else 0


def render_document(text: str, root: Path) -> str:
    """The document with every block filled.

    Raises:
        FtfError: A results file or the model card cannot be read.
    """
    weights = load_card(root / "engines" / MODEL).reader_sha256
    tables: dict[str, Table] = {}
    for kind, name in SOURCES.items():
        path = root / "bench" / name
        if path.exists():
            tables |= {f"{kind}-{table.name}": table for table in load_tables(path)}

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        content = render_block(name, tables.get(name), weights)
        plot = f"roofline-{name[:3]}.svg"
        if name in PLOTTED and name in tables and (root / "docs" / plot).exists():
            content = f"![The roofline]({plot})\n\n{content}"
        return f"<!-- {name}:begin -->\n\n{content}\n\n<!-- {name}:end -->"

    return BLOCK.sub(fill, text)


def render_block(name: str, table: Table | None, weights: str) -> str:
    """A table with how it was made, or that there is none."""
    if table is None:
        return NOT_MEASURED.format(name.replace("-", " "))
    if table.name in OF_WEIGHTS and table.weights_sha256 != weights:
        return OLD_WEIGHTS.format(name.replace("-", " "))
    return render_markdown(table).strip()


if __name__ == "__main__":
    sys.exit(main())
