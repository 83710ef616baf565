"""Bad input of every kind: one clear sentence, the right exit code, the rest unharmed, nothing half-written."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest
from newsroom import CASE, SKIMAGE, Newsroom, Run, Scan, cat, load, save

from ftforensics.engine.models import find_model

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def one_sentence(run: Run) -> str:
    """The only line on standard error, a whole sentence of ours."""
    (line,) = run.err.splitlines()
    assert line.startswith("ftf: ")
    assert line.endswith(".")
    return line


def obey_permissions() -> None:
    """Make a child respect file modes even where the tests run as root."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; without the right to, the child has not the power either


def limit_files(size_bytes: int):
    """A disk on which no file can grow beyond a size."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    return limit


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def write_huge_png(path: Path, side_px: int = 40_000) -> Path:
    """A whole one-bit PNG of 40,000 x 40,000 px in a few hundred kilobytes."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    packer = zlib.compressobj(1)
    row = bytes(1 + side_px // 8)
    data = b"".join(packer.compress(row * 1000) for _ in range(side_px // 1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.fixture(scope="module")
def folder(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good picture among bad ones."""
    folder = tmp_path_factory.mktemp("bad") / "evidence"
    good = save(load(newsroom.tagged["coffee.webp"]), folder / "good.jpg", quality=90)
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    (folder / "text.png").write_text("this is no picture\n")
    shutil.copy(good, folder / "mislabelled.png")
    shutil.copy(good, folder / "forbidden.jpg")
    (folder / "forbidden.jpg").chmod(0)
    write_huge_png(folder / "huge.png")
    save(cat()[:1, :1], folder / "one-pixel.png")
    os.mkfifo(folder / "pipe.jpg")
    return folder


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    listed = folder.parent / "list.txt"
    listed.write_text(f"{folder}\n{folder / 'gone.jpg'}\n")
    cases = tmp_path_factory.mktemp("cases")
    return newsroom.scan([], cases, "--file-list", listed, expect=3, preexec_fn=obey_permissions)


@pytest.mark.parametrize(
    ("name", "stage", "words"),
    [
        ("zero.jpg", "sniff", "empty"),
        ("cut.jpg", "decode", "truncated"),
        ("text.png", "sniff", "not a picture"),
        ("forbidden.jpg", "open", "ermission denied"),
        ("huge.png", "decode", "40000"),
        ("pipe.jpg", "walk", "pipe"),
        ("gone.jpg", "walk", "No such file"),
    ],
)
def test_a_bad_file_is_one_line_and_one_finding(scan: Scan, name: str, stage: str, words: str):
    row = scan.rows[name]
    assert row["verdict"] == "UNREADABLE"
    assert words.lower() in (row["error"]["message"] + row["error"]["type"]).lower(), row["error"]
    told = [line for line in scan.run.err.splitlines() if name in line]
    assert len(told) == 1, told
    assert told[0].startswith("ftf: warning: ")


def test_the_good_ones_among_them_are_examined(scan: Scan):
    assert scan.rows["good.jpg"]["verdict"] == "VERIFIED_MATCH"
    assert scan.rows["mislabelled.png"]["verdict"] == "VERIFIED_MATCH"
    assert scan.rows["mislabelled.png"]["ext_mismatch"] is True
    assert scan.rows["good.jpg"]["ext_mismatch"] is False
    assert scan.rows["one-pixel.png"]["verdict"] == "NO_TAG_READ"
    assert "10 inputs: 3 examined, 7 unreadable, 0 skipped" in scan.run.err


def test_a_path_that_is_not_there(newsroom: Newsroom, tmp_path: Path):
    case = newsroom.new_case(tmp_path)
    before = (case / "case.sqlite").read_bytes()
    there = SKIMAGE / "coffee.png"
    for named in ([tmp_path / "gone"], [there, tmp_path / "gone"], [there, "--file-list", tmp_path / "gone"]):
        run = newsroom.ftf("scan", *named, "--case", CASE, "--cases", tmp_path, expect=2)
        assert str(tmp_path / "gone") in one_sentence(run)
        assert (case / "case.sqlite").read_bytes() == before
    missing = newsroom.ftf("tag", tmp_path / "gone.jpg", "--out", tmp_path / "out", "--fast", "-q", expect=3)
    assert "gone.jpg" in one_sentence(missing)


def test_a_named_file_that_may_not_be_read_does_not_stop_the_others(newsroom: Newsroom, tmp_path: Path):
    evidence = tmp_path / "evidence"
    forbidden, good = evidence / "forbidden.png", evidence / "good.png"
    for path in (forbidden, good):
        save(cat(), path)
    forbidden.chmod(0)
    scan = newsroom.scan([forbidden, good], tmp_path, expect=3, preexec_fn=obey_permissions)
    assert {name: row["verdict"] for name, row in scan.rows.items()} == {
        "forbidden.png": "UNREADABLE",
        "good.png": "NO_TAG_READ",
    }
    assert "2 inputs: 1 examined, 1 unreadable, 0 skipped" in scan.run.err
    home = newsroom.copy_home(tmp_path / "home")
    tagging = ("tag", forbidden, good, "--out", tmp_path / "out", "--fast", "-q")
    tagged = newsroom.ftf(*tagging, home=home, expect=3, preexec_fn=obey_permissions)
    assert "forbidden.png" in one_sentence(tagged)
    assert leftovers(tmp_path / "out") == ["good.png"]


def test_cases_below_the_evidence_are_left_out_and_counted(newsroom: Newsroom, tmp_path: Path):
    save(cat()[:64, :64], tmp_path / "a.png")
    newsroom.ftf("case", "new", "other", cwd=tmp_path)
    newsroom.ftf("case", "new", CASE, cwd=tmp_path)
    for _ in range(2):
        run = newsroom.ftf("scan", ".", "--case", CASE, "--restart", "--fail-on", "UNREADABLE", cwd=tmp_path)
        assert "3 inputs: 1 examined, 0 unreadable, 2 skipped" in run.err
        for name in (CASE, "other"):
            assert f"cases/{name}: the folder of a case, left out" in run.err
    listed = newsroom.ftf("scan", ".", "--dry-run", "--format", "jsonl", cwd=tmp_path)
    assert [row["path"] for row in listed.rows()] == ["a.png", f"cases/{CASE}", "cases/other"]
    assert listed.err.count("the folder of a case, left out") == 2
    own = newsroom.ftf("scan", f"cases/{CASE}", "--case", CASE, cwd=tmp_path, expect=2)
    assert "the folder of the case itself" in one_sentence(own)
    newsroom.ftf("scan", f"cases/{CASE}/artifacts", "--case", "other", cwd=tmp_path)


def test_what_a_case_keeps_is_no_evidence_for_itself_however_it_is_named(newsroom: Newsroom, tmp_path: Path):
    save(cat()[:64, :64], tmp_path / "a.png")
    newsroom.ftf("case", "new", CASE, cwd=tmp_path)
    newsroom.ftf("scan", "a.png", "--case", CASE, cwd=tmp_path)
    folder, listing = tmp_path / "cases" / CASE, tmp_path / "list.txt"
    before = (folder / "case.sqlite").read_bytes()
    (tmp_path / "link").symlink_to(folder / "scan.jsonl")
    picture = next(path for path in (folder / "artifacts").rglob("*") if path.is_file())
    kept = [folder, picture, tmp_path / "link"]
    kept += [folder / name for name in ("case.sqlite", "scan.jsonl", "run.json", "custody.jsonl", "artifacts")]
    for named in kept:
        listing.write_text(f"a.png\n{named.relative_to(tmp_path)}\n")
        for evidence in (("a.png", named), ("--file-list", listing)):
            run = newsroom.ftf("scan", *evidence, "--case", CASE, cwd=tmp_path, expect=2)
            assert "no evidence" in one_sentence(run)
    assert (folder / "case.sqlite").read_bytes() == before
    # Beside them anything may lie, and what a case keeps may be evidence for another.
    save(cat()[:64, :64], folder / "seized" / "b.png")
    dry = ("--dry-run", "--format", "jsonl")
    assert len(newsroom.ftf("scan", folder / "seized", "--case", CASE, *dry, cwd=tmp_path).rows()) == 1
    newsroom.ftf("case", "new", "other", cwd=tmp_path)
    assert len(newsroom.ftf("scan", folder / "run.json", "--case", "other", *dry, cwd=tmp_path).rows()) == 1


def test_a_case_that_is_not_there(newsroom: Newsroom, tmp_path: Path):
    run = newsroom.ftf("scan", SKIMAGE / "coffee.png", "--case", "nothing", "--cases", tmp_path, expect=2)
    assert "nothing" in one_sentence(run)
    assert leftovers(tmp_path) == []


def test_a_wrong_passphrase(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    (tmp_path / "right").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("incorrect horse\n")
    (home / "keys" / "waves.carrier").unlink()
    newsroom.ftf("key", "new", "locked", "--carrier", "--passphrase-file", tmp_path / "right", home=home)
    newsroom.new_case(tmp_path / "cases")
    where = ("--case", CASE, "--cases", tmp_path / "cases")
    for options in (("--passphrase-file", tmp_path / "wrong"), ()):
        run = newsroom.ftf("scan", SKIMAGE / "coffee.png", *where, *options, home=home, expect=6)
        assert "passphrase" in one_sentence(run)
    options = ("--out", tmp_path / "out", "--passphrase-file", tmp_path / "wrong")
    one_sentence(newsroom.ftf("tag", SKIMAGE / "coffee.png", *options, home=home, expect=6))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cases" / CASE / "scan.jsonl").exists()


def test_databases_of_another_version(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    case = newsroom.new_case(tmp_path / "cases")
    scan = ("scan", SKIMAGE / "coffee.png", "--case", CASE, "--cases", tmp_path / "cases")
    for path in (case / "case.sqlite", home / "registry.sqlite"):
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA user_version = 99")
        database.close()
        line = one_sentence(newsroom.ftf(*scan, home=home, expect=5))
        assert path.name in line
        assert "99" in line
    one_sentence(newsroom.ftf("tag", SKIMAGE / "coffee.png", "--out", tmp_path / "out", "--fast", home=home, expect=5))
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_databases(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    newsroom.new_case(tmp_path / "cases")
    scan = ("scan", SKIMAGE / "coffee.png", "--case", CASE, "--cases", tmp_path / "cases")
    whole = (home / "registry.sqlite").read_bytes()
    for content in (b"", b"not a database at all" * 100, whole[: len(whole) // 2]):
        (home / "registry.sqlite").write_bytes(content)
        assert "registry" in one_sentence(newsroom.ftf(*scan, home=home, expect=4))


def test_a_missing_or_changed_model(newsroom: Newsroom, tmp_path: Path):
    newsroom.new_case(tmp_path / "cases")
    scan = ("scan", SKIMAGE / "coffee.png", "--case", CASE, "--cases", tmp_path / "cases")
    engines = tmp_path / "engines"
    shutil.copytree(find_model(), engines / "ftf-1")
    graph = bytearray((engines / "ftf-1" / "reader.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (engines / "ftf-1" / "reader.onnx").write_bytes(graph)
    variables = {"FTF_ENGINES": str(engines)}
    assert "SHA-256" in one_sentence(newsroom.ftf(*scan, environment=variables, expect=5))
    (engines / "ftf-1" / "reader.onnx").unlink()
    assert "missing" in one_sentence(newsroom.ftf(*scan, environment=variables, expect=5))
    (engines / "ftf-1" / "model.json").write_text("{")
    assert "model card" in one_sentence(newsroom.ftf(*scan, environment=variables, expect=5))
    tag = ("tag", SKIMAGE / "coffee.png", "--out", tmp_path / "out")
    one_sentence(newsroom.ftf(*tag, environment=variables, expect=5))
    assert not (tmp_path / "out").exists()


def test_tagging_on_a_full_disk_leaves_nothing(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    before = (home / "registry.sqlite").read_bytes()
    photo = shutil.copy(SKIMAGE / "coffee.png", tmp_path / "photo.png")
    options = ("--out", tmp_path / "out", "--fast", "-q")
    run = newsroom.ftf("tag", photo, *options, home=home, expect=7, preexec_fn=limit_files(100_000))
    assert "photo.png" in one_sentence(run)
    assert leftovers(tmp_path / "out") == []
    assert (home / "registry.sqlite").read_bytes() == before
    newsroom.ftf("registry", "verify", home=home)


def test_a_registry_on_a_full_disk_keeps_the_photograph_untagged(newsroom: Newsroom, tmp_path: Path):
    """The file fits, the record does not: then there is neither."""
    home = newsroom.copy_home(tmp_path / "home")
    small = save(load(SKIMAGE / "coffee.png")[::2, ::2], tmp_path / "small.jpg", quality=80)
    room = limit_files(small.stat().st_size + 6000)
    options = ("--out", tmp_path / "out", "--fast", "-q")
    run = newsroom.ftf("tag", small, *options, home=home, expect=7, preexec_fn=room)
    one_sentence(run)
    assert leftovers(tmp_path / "out") == []
    assert newsroom.ftf("registry", "list", "--format", "jsonl", home=home).out.count("\n") == 3
    newsroom.ftf("registry", "verify", home=home)


def test_scanning_on_a_full_disk_keeps_the_case_whole(newsroom: Newsroom, tmp_path: Path):
    case = newsroom.new_case(tmp_path / "cases")
    suspect = shutil.copy(newsroom.tagged["coffee.webp"], tmp_path / "suspect.webp")
    size = (case / "case.sqlite").stat().st_size
    scan = ("scan", suspect, "--case", CASE, "--cases", tmp_path / "cases")
    run = newsroom.ftf(*scan, "--search", "direct", "-q", expect=7, preexec_fn=limit_files(size // 4))
    one_sentence(run)
    assert not (case / "scan.jsonl").exists()
    assert not [name for name in leftovers(case) if ".part" in name or name.endswith(".tmp")]
    newsroom.ftf("case", "verify", CASE, "--cases", tmp_path / "cases")
    after = newsroom.scan([Path(suspect)], tmp_path / "cases", "--search", "direct")
    assert after.rows["suspect.webp"]["verdict"] == "VERIFIED_MATCH"


def test_a_report_that_cannot_be_written(newsroom: Newsroom, scan: Scan, tmp_path: Path):
    shutil.copytree(scan.folder, tmp_path / CASE)
    report = ("report", "export", "--case", CASE, "--cases", tmp_path)
    target = tmp_path / "report.html"
    one_sentence(newsroom.ftf(*report, "-o", target, expect=7, preexec_fn=limit_files(20_000)))
    assert not target.exists()
    (tmp_path / "file").write_text("")
    one_sentence(newsroom.ftf(*report, "-o", tmp_path / "file" / "report.html", expect=7))
    target.write_text("mine")
    one_sentence(newsroom.ftf(*report, "-o", target, expect=7))
    assert target.read_text() == "mine"
    newsroom.ftf(*report, "-o", target, "--clobber", "-q")
    newsroom.ftf("case", "verify", CASE, "--cases", tmp_path)


def test_results_that_cannot_be_printed(newsroom: Newsroom):
    """Standard output is a full disk."""
    import subprocess

    argv, given = newsroom.command("registry", "list", "--format", "jsonl")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, **given)
    assert done.returncode == 7, done.stderr
    one_sentence(Run(done.returncode, "", done.stderr.decode()))
