"""The other process of ``trial``. In: one JSON object on standard input. Out: one JSON line, or a crash."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ftforensics.errors import FtfError


def run_trial(job: dict[str, Any]) -> dict[str, Any]:
    """Open the backend, compare it with ONNX Runtime, close it. Gives ``works``, and where it does not, why."""
    from ftforensics.engine.agreement import check_agreement
    from ftforensics.engine.backends import Wanted, open_backend
    from ftforensics.engine.onnx import OnnxReader

    engines = job["engines"]
    wanted = Wanted(
        folder=Path(job["folder"]),
        precision=job["precision"],
        threads=job["threads"],
        engines=None if engines is None else Path(engines),
        fingerprints=lambda: job["fingerprints"],
        unasked=job["unasked"],
        plan=job["plan"],
    )
    try:
        reader = open_backend(job["backend"], wanted)
        try:
            off = check_agreement(reader, OnnxReader(wanted.folder, threads=wanted.threads))
        finally:
            reader.close()
    except FtfError as exc:
        return {"works": False, "reason": exc.what, "remedy": exc.remedy}
    return {"works": True, "off": off}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(run_trial(json.load(sys.stdin))) + "\n")
