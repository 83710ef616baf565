"""Evidence that changes while it is scanned: the report must not show the exhibit as if nothing had been."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import sys
from pathlib import Path

from newsroom import CASE, Newsroom, cat, save
from PIL import Image

from ftforensics.trust.keys import SigningKey
from ftforensics.trust.public_key import public_key_pem

MEDDLER = """#!{python}
import base64, sys
from pathlib import Path
from ftforensics.trust.keys import SigningKey
message = sys.stdin.buffer.read()
# The head over the finding: it is recorded, and the evidence has not been hashed again.
if b'"count":4' in message:
    Path(sys.argv[2]).write_bytes(b"changed")
sys.stdout.buffer.write(base64.b64encode(SigningKey.load(Path(sys.argv[1]), None).sign(message)))
"""


def test_evidence_that_changes_under_the_scan_is_told_in_every_report(newsroom: Newsroom, tmp_path: Path):
    exhibit = save(cat(), tmp_path / "seized" / "cat.png")
    before = hashlib.sha256(exhibit.read_bytes()).hexdigest()
    key, program, public = newsroom.home / "keys" / "me.pem", tmp_path / "meddler.py", tmp_path / "public.pem"
    program.write_text(MEDDLER.format(python=sys.executable))
    program.chmod(0o700)
    public.write_bytes(public_key_pem(SigningKey.load(key, None).public_key))
    command = shlex.join([str(program), str(key), str(exhibit)])
    cases = tmp_path / "cases"
    options = ("--search", "direct", "--signer-command", command, "--public-key", public)
    scan = newsroom.scan([exhibit.parent], cases, *options, expect=4)
    assert "the evidence changed while it was being examined: cat.png" in scan.run.err
    after = hashlib.sha256(b"changed").hexdigest()

    (finding,) = scan.rows.values()
    assert finding["sha256"] == before
    for form in ("html", "json", "csv"):
        target = tmp_path / f"r.{form}"
        newsroom.ftf("report", "export", "--case", CASE, "--cases", cases, "--format", form, "--output", target)
    page = (tmp_path / "r.html").read_text()
    for text in ("Evidence changed during the scan: 1 of 1 exhibit.", "1 of 1 altered", "CHANGED", before, after):
        assert text in page
    (told,) = json.loads((tmp_path / "r.json").read_bytes())["integrity"]["altered_exhibits"]
    assert (told["exhibit_id"], told["sha256_before"], told["sha256_after"]) == (finding["exhibit_id"], before, after)
    (row,) = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    assert (row["evidence_changed"], row["sha256_after"]) == ("true", after)
    for command in ("show", "verify"):
        assert finding["exhibit_id"] in newsroom.ftf("case", command, CASE, "--cases", cases).out


def test_a_scan_says_that_only_the_first_of_several_frames_was_examined(newsroom: Newsroom, tmp_path: Path):
    tagged = Image.open(newsroom.tagged["portrait.png"]).convert("RGB")
    (tmp_path / "seized").mkdir()
    stranger = Image.fromarray(cat()).resize(tagged.size)
    stranger.save(tmp_path / "seized" / "pages.tif", save_all=True, append_images=[tagged])
    scan = newsroom.scan([tmp_path / "seized"], tmp_path / "cases", "--search", "direct")
    assert "Only the first picture was examined" in scan.run.err
    assert scan.rows["pages.tif"]["verdict"] == "NO_TAG_READ"
    assert "only the first was examined" in scan.rows["pages.tif"]["limitations"][-1]
