"""What a scan opens side by side: keys under one passphrase, and the model meanwhile; and how failures are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_samples import Ftf

from ftforensics.cli import passphrase
from ftforensics.cli.meanwhile import SCAN_MODULES, reader_meanwhile
from ftforensics.cli.output import Output
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.settings import load_settings
from ftforensics.cli.signing import resolve_carrier, resolve_keys
from ftforensics.engine.models import find_model
from ftforensics.engine.onnx import OnnxPairReader, OnnxReader
from ftforensics.errors import EngineError, KeyLocked, KeyUnknown, TrustError


@pytest.fixture
def locked(ftf: Ftf, passphrase_file: Path, tmp_path: Path) -> Path:
    """An examiner's key and two carrier keys under one passphrase, and a third carrier key under another: its file."""
    ftf("key", "new", "me", "--role", "examiner", "--passphrase-file", passphrase_file)
    ftf("key", "new", "first", "--carrier", "--passphrase-file", passphrase_file)
    ftf("key", "new", "second", "--carrier", "--passphrase-file", passphrase_file)
    other = tmp_path / "other-passphrase"
    other.write_text("battery staple\n")
    ftf("key", "new", "third", "--carrier", "--passphrase-file", other)
    return other


def open_all(source: PassphraseSource, *carriers: str) -> tuple[str, list[str]]:
    signer, opened = resolve_keys(
        load_settings(), Output(), source, key=None, role="examiner", carriers=carriers or None
    )
    assert len(signer.sign(b"x")) == 64
    return signer.name, [key.name for key in opened]


def test_one_passphrase_opens_all_in_their_order(locked: Path, passphrase_file: Path) -> None:
    source = PassphraseSource(load_settings(), Output(), [passphrase_file])
    assert open_all(source, "second", "first") == ("me", ["second", "first"])


def test_the_first_key_that_does_not_open_is_told(locked: Path, passphrase_file: Path, home: Path) -> None:
    with pytest.raises(KeyLocked) as wrong:
        open_all(PassphraseSource(load_settings(), Output(), [locked]), "third", "first")
    assert wrong.value.subject == str(home / "keys" / "me.pem")
    with pytest.raises(KeyLocked) as wrong:
        open_all(PassphraseSource(load_settings(), Output(), [passphrase_file]))
    assert wrong.value.subject == str(home / "keys" / "third.carrier")
    (home / "keys" / "me.pem").write_bytes((home / "keys" / "me.pem").read_bytes()[:-80])
    with pytest.raises(TrustError, match="damaged"):
        open_all(PassphraseSource(load_settings(), Output(), [passphrase_file]), "first")
    with pytest.raises(KeyUnknown):
        open_all(PassphraseSource(load_settings(), Output(), [passphrase_file]), "fourth")


def test_each_key_is_tried_with_each_passphrase(
    locked: Path, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = [passphrase_file, locked]
    for files in (both, both[::-1], [*both, tmp_path / "passphrase.txt"]):
        assert open_all(PassphraseSource(load_settings(), Output(), files))[1] == ["first", "second", "third"]
    monkeypatch.setenv("FTF_PASSPHRASE_FILE", f"{locked}:{passphrase_file}")
    assert open_all(PassphraseSource(load_settings(), Output()))[1] == ["first", "second", "third"]
    one_by_one = PassphraseSource(load_settings(), Output(), both)
    assert open_all(one_by_one, "third")[1] == ["third"]
    assert resolve_carrier(load_settings(), Output(), key="third", passphrases=one_by_one).name == "third"
    alone = PassphraseSource(load_settings(), Output())
    assert resolve_carrier(load_settings(), Output(), key="first", passphrases=alone).name == "first"
    neither = tmp_path / "neither"
    neither.write_text("wrong\n")
    with pytest.raises(KeyLocked, match="wrong passphrase"):
        resolve_carrier(
            load_settings(),
            Output(),
            key="first",
            passphrases=PassphraseSource(load_settings(), Output(), [locked, neither]),
        )


def test_only_what_a_typed_passphrase_does_not_open_is_asked_for(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = iter(["correct horse", "battery staple"])

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr(passphrase.getpass, "getpass", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    opened = open_all(PassphraseSource(load_settings(), Output()))
    assert opened == ("me", ["first", "second", "third"])
    assert asked == ["Passphrase of key me: ", "Passphrase of key third: "]


def test_the_reader_is_there_and_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, opened, closed = OnnxReader(find_model()), [], []
    monkeypatch.setattr(reader, "close", lambda: closed.append(True))

    def choose() -> tuple[OnnxReader, tuple[()]]:
        opened.append(True)
        return reader, ()

    with reader_meanwhile(choose, lambda: (None, None)) as meanwhile:
        assert meanwhile.reader.result() == (reader, ())
        assert set(SCAN_MODULES) <= set(sys.modules)
        assert meanwhile.helpers.result() == (None, None)
        assert not closed
    assert opened == closed == [True]
    with pytest.raises(KeyLocked), reader_meanwhile(choose, lambda: (None, None)):
        raise KeyLocked("key is locked")
    assert opened == closed


def test_a_model_that_cannot_be_loaded_is_told_when_it_is_needed(tmp_path: Path) -> None:
    def choose() -> tuple[OnnxReader, tuple[()]]:
        return OnnxReader(find_model("no-such-model", tmp_path)), ()

    def help_it() -> tuple[OnnxPairReader, None]:
        return OnnxPairReader(find_model("no-such-model", tmp_path)), None

    with pytest.raises(EngineError, match="no such model"), reader_meanwhile(choose, help_it) as meanwhile:
        meanwhile.reader.result()
    with pytest.raises(EngineError, match="no such model"), reader_meanwhile(choose, help_it) as meanwhile:
        meanwhile.helpers.result()
    # What comes first is told first.
    with pytest.raises(KeyLocked), reader_meanwhile(choose, help_it):
        raise KeyLocked("key is locked")


def test_a_scan_tells_a_wrong_passphrase_and_a_damaged_model_in_one_sentence(
    ftf: Ftf, locked: Path, passphrase_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suspect.png").write_bytes(b"x")
    command = ("scan", tmp_path / "suspect.png", "--case", "case-1", "--carrier", "first", "--passphrase-file")
    told = ftf(*command, locked, expect=6).err
    assert told.count("\n") == 1
    assert "wrong passphrase" in told
    damaged = tmp_path / "models" / "ftf-1"
    damaged.mkdir(parents=True)
    (damaged / "model.json").write_bytes(b"{}")
    monkeypatch.setenv("FTF_ENGINES", str(damaged.parent))
    told = ftf(*command, passphrase_file, expect=5).err
    assert told.count("\n") == 1
    assert "model card" in told
    # Both are wrong: the key is told, as it was asked for first.
    assert "wrong passphrase" in ftf(*command, locked, expect=6).err
