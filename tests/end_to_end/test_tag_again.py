"""Tagging that was stopped, names of every kind, and what a tagged file leaves out: told row by row."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from newsroom import ISSUER, Newsroom, cat, save
from PIL import Image

OPTIONS = ("--fast", "--issuer", ISSUER)


def count_records(newsroom: Newsroom, home: Path) -> int:
    return len(newsroom.ftf("registry", "list", "--format", "jsonl", home=home).rows())


def make_photos(folder: Path, count: int) -> list[Path]:
    """Different crops of one photograph."""
    return [save(np.ascontiguousarray(cat()[:, 20 * at :]), folder / f"{at}.png") for at in range(count)]


def stop_after_a_row(newsroom: Newsroom, photos: Sequence[Path], out: Path, home: Path, how: signal.Signals) -> Any:
    """Start tagging, stop it once a row was written; the rows and standard error."""
    argv, given = newsroom.command("tag", *photos, "--out", out, *OPTIONS, "--format", "jsonl", home=home)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **given)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(how)
    rest, errors = process.communicate(timeout=120)
    return process.returncode, [json.loads(line) for line in (first + rest).splitlines()], errors.decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_has_told_what_it_did_and_the_same_command_goes_on(
    newsroom: Newsroom, tmp_path: Path, how: signal.Signals
):
    home, photos, out = newsroom.copy_home(tmp_path / "home"), make_photos(tmp_path / "in", 5), tmp_path / "out"
    code, told, errors = stop_after_a_row(newsroom, photos, out, home, how)
    assert (code, errors) == (130, "ftf: interrupted; run the same command again to go on.\n")
    assert 1 <= len(told) < len(photos)
    done = sorted(path.name for path in out.iterdir())
    # The last one may have been finished and not told yet.
    assert done in ([path.name for path in photos[: len(told)]], [path.name for path in photos[: len(told) + 1]])
    again = newsroom.ftf("tag", *photos, "--out", out, *OPTIONS, "--format", "jsonl", home=home)
    rows = again.rows()
    assert [row["already_tagged"] for row in rows] == [True] * len(done) + [False] * (len(photos) - len(done))
    assert [row["tag_id"] for row in rows[: len(told)]] == [row["tag_id"] for row in told]
    assert again.err.count("already tagged, record ") == len(done)
    assert count_records(newsroom, home) == len(newsroom.rows) + len(photos)


def test_only_the_tagged_file_of_this_very_photograph_and_terms_is_passed_over(newsroom: Newsroom, tmp_path: Path):
    home, out = newsroom.copy_home(tmp_path / "home"), tmp_path / "out"
    one, two = make_photos(tmp_path / "in", 2)
    newsroom.ftf("tag", one, two, "--out", out, *OPTIONS, home=home)
    records = count_records(newsroom, home)
    table = newsroom.ftf("tag", one, two, "--out", out, *OPTIONS, home=home)
    assert "0 of 2 photographs tagged" in table.err
    assert "2 tagged already" in table.err
    others = ["--rights", "(c) else"], ["--no-preview"], ["--issuer", "Else"]
    for terms in others:
        assert "--clobber" in newsroom.ftf("tag", one, "--out", out, *OPTIONS, *terms, home=home, expect=7).err
    tagged_one, tagged_two = (out / one.name).read_bytes(), (out / two.name).read_bytes()
    (out / one.name).write_bytes(tagged_two)
    assert "a file is there already" in newsroom.ftf("tag", one, "--out", out, *OPTIONS, home=home, expect=7).err
    (out / one.name).write_bytes(tagged_one + b"\0")
    assert "a file is there already" in newsroom.ftf("tag", one, "--out", out, *OPTIONS, home=home, expect=7).err
    assert count_records(newsroom, home) == records
    (out / one.name).write_bytes(tagged_one)
    newsroom.ftf("tag", one, "--out", out, *OPTIONS, "--clobber", home=home)
    assert count_records(newsroom, home) == records + 1


def test_the_table_of_a_stopped_run_shows_what_was_done(newsroom: Newsroom, tmp_path: Path):
    home, photos, out = newsroom.copy_home(tmp_path / "home"), make_photos(tmp_path / "in", 5), tmp_path / "out"
    argv, given = newsroom.command("tag", *photos, "--out", out, *OPTIONS, home=home)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **given)
    while not (out / photos[1].name).exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    table, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert photos[0].name in table.decode()
    assert photos[-1].name not in table.decode()


def test_names_as_long_as_the_folder_allows_are_tagged(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    names = ("a" * 251 + ".png", "写" * 83 + ".png", "😀" * 62 + ".png", "b.png")
    photos = [save(cat(), tmp_path / name) for name in names]
    run = newsroom.ftf("tag", *photos, "--out", tmp_path / "out", *OPTIONS, "--format", "jsonl", home=home)
    assert len(run.rows()) == len(names)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


def test_a_name_that_is_no_text_is_told_as_a_scan_tells_it(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    photo = save(cat(), tmp_path / "photo.png").rename(os.fsdecode(name))
    run = newsroom.ftf("tag", photo, "--out", tmp_path / "out", *OPTIONS, "--format", "jsonl", home=home)
    row = run.rows()[0]
    assert row["source"].endswith("/caf\\xe9.png")
    assert base64.b64decode(row["source_b64"]) == name
    assert base64.b64decode(row["tagged_b64"]).endswith(b"/out/caf\xe9.png")
    again = newsroom.ftf("tag", photo, "--out", tmp_path / "out", *OPTIONS, "--format", "csv", home=home)
    assert "\\xe9" in again.csv_rows()[0]["source"]


def test_what_is_left_out_is_said_in_a_sentence_and_in_the_row(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    photo = save(cat(), tmp_path / "motion.jpg", quality=95)
    with photo.open("ab") as file:
        file.write(b"\0\0\0\x18ftypmp42 a film")
    run = newsroom.ftf("tag", photo, "--out", tmp_path / "out", *OPTIONS, "--format", "jsonl", home=home)
    words = "data after the end of the picture (such as the film of a motion photo)"
    assert f"motion.jpg: left out of the tagged file: {words}" in run.err
    assert run.rows()[0]["left_out"] == [words]
    other = newsroom.ftf("tag", photo, "--out", tmp_path / "other", *OPTIONS, "--format", "csv", home=home)
    assert other.csv_rows()[0]["left_out"] == words


def test_what_a_killed_run_left_is_named_and_kept(newsroom: Newsroom, tmp_path: Path):
    home, out = newsroom.copy_home(tmp_path / "home"), tmp_path / "out"
    photos = make_photos(tmp_path / "in", 6)
    argv, given = newsroom.command("tag", *photos, "--out", out, *OPTIONS, home=home)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **given)
    while not (out.exists() and any(path.name.startswith(".") for path in out.iterdir())):
        assert process.poll() is None
    process.kill()
    process.wait()
    (out / ".old.jpg.part-0123abcd").write_bytes(b"of an earlier version")
    (out / ".DS_Store").write_bytes(b"")
    left = sorted(path.name for path in out.iterdir() if path.name.endswith(".part") or ".part-" in path.name)
    run = newsroom.ftf("tag", photos[-1], "--out", out, *OPTIONS, home=home)
    assert run.err.count("warning: unfinished files") == 1
    assert all(name in run.err for name in left[:3])
    assert ".DS_Store" not in run.err
    assert all((out / name).exists() for name in left)


def test_the_same_photograph_given_twice_is_one(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    photo = save(cat(), tmp_path / "photo.png")
    run = newsroom.ftf("tag", photo, photo, "photo.png", "--out", "out", *OPTIONS, home=home, cwd=tmp_path)
    assert "1 of 1 photographs" in run.err


def test_a_mostly_transparent_picture_is_refused_for_what_it_is(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    picture = Image.fromarray(cat())
    alpha = Image.new("L", picture.size, 0)
    alpha.paste(255, (0, 0, 60, 60))
    picture.putalpha(alpha)
    picture.save(tmp_path / "clear.png")
    run = newsroom.ftf("tag", tmp_path / "clear.png", "--out", tmp_path / "out", *OPTIONS, home=home, expect=3)
    assert "of the picture is transparent" in run.err
