"""Time `ftf scan` of one picture from the start of the interpreter to its end, in this checkout and in another.

    python bench/one_scan.py photograph.jpg --against ../ftf-before --runs 6

Both run in turn on the same machine with the same keys, registry and suspect, so the ratio holds even where others are
at work on it. The photograph is tagged, and the suspect is a smaller copy with a block of itself laid over its middle.
The findings of the two must be the same bytes. Compile both first (`python -m compileall -q ftforensics`), as an
installation does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent.parent
MADE_AT, SCANNED_AT = "2026-03-01T12:00:00Z", "2026-06-01T09:00:00Z"
START = "from ftforensics.cli.main import run; run()"


def ftf(checkout: Path, work: Path, *words: str | Path, now: str = MADE_AT) -> str:
    """Run a command with the code of a checkout; its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FTF_")}
    environment |= {"PYTHONPATH": str(checkout), "FTF_HOME": str(work / "home"), "FTF_NOW": now}
    environment["FTF_PASSPHRASE_FILE"] = str(work / "passphrase")
    argv = [sys.executable, "-c", START, *map(str, words)]
    done = subprocess.run(argv, env=environment, capture_output=True, check=False, cwd=work)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return done.stdout.decode()


def prepare(photograph: Path, work: Path) -> tuple[Path, Path]:
    """Keys under a passphrase, a registered photograph, an empty case; an untagged and a tagged suspect."""
    (work / "passphrase").write_text("correct horse battery staple\n")
    for name, kind in (("agency", "--role=issuer"), ("me", "--role=examiner"), ("waves", "--carrier")):
        ftf(HERE, work, "key", "new", name, kind)
    ftf(HERE, work, "registry", "init", "agency-2026", "--key", "agency")
    shown = json.loads(ftf(HERE, work, "key", "show", "agency", "--format", "jsonl"))
    ftf(HERE, work, "trust", "add", "Agency", shown["fingerprint"])
    ftf(HERE, work, "tag", photograph, "--out", work / "tagged", "--issuer", "Agency")
    ftf(HERE, work, "case", "new", "case-1", "--title", "Timing", "--examiner", "me", "--cases", work / "empty")
    suspects = []
    for name, source in (("untagged.png", photograph), ("tagged.png", work / "tagged" / photograph.name)):
        with Image.open(source) as picture:
            shown_px = picture.convert("RGB").resize((picture.width * 4 // 5, picture.height * 4 // 5))
        wide, tall = shown_px.size
        block = shown_px.crop((0, 0, wide // 4, tall // 4))
        shown_px.paste(block, (wide * 3 // 8, tall * 3 // 8))
        shown_px.save(work / name)
        suspects.append(work / name)
    return suspects[0], suspects[1]


def scan_once(checkout: Path, work: Path, suspect: Path) -> tuple[float, float, bytes]:
    """Wall and processor seconds of one scan, children included, and its findings."""
    cases = work / "cases"
    shutil.rmtree(cases, ignore_errors=True)
    shutil.copytree(work / "empty", cases)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = ("scan", suspect, "--case", "case-1", "--cases", cases, "--examiner", "me", "--no-progress")
    ftf(checkout, work, *words, now=SCANNED_AT)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, spent_s, (cases / "case-1" / "scan.jsonl").read_bytes()


def main() -> None:
    """Print the least of all runs, for each suspect and checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--against", type=Path, default=None, help="another checkout, run in turn with this one")
    parser.add_argument("--runs", type=int, default=6)
    given = parser.parse_args()
    checkouts = [given.against.resolve(), HERE] if given.against else [HERE]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for suspect in prepare(given.photograph.resolve(), work):
            runs: dict[Path, list[tuple[float, float, bytes]]] = {checkout: [] for checkout in checkouts}
            for _ in range(given.runs):
                for checkout in checkouts:
                    runs[checkout].append(scan_once(checkout, work, suspect))
            findings = {found for made in runs.values() for _, _, found in made}
            verdict = json.loads(next(iter(findings)).splitlines()[0])["verdict"]
            print(f"{suspect.name}: {verdict}, {'the same' if len(findings) == 1 else 'DIFFERENT'} findings")
            for checkout, made in runs.items():
                wall_s, spent_s = min(one[0] for one in made), min(one[1] for one in made)
                print(f"  {wall_s:.2f} s wall, {spent_s:.2f} s processor  {checkout}")


if __name__ == "__main__":
    main()
