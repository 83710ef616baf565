"""Passphrases: from a file, or typed at a terminal that does not show them. In: a locked key. Out: the open key.

A passphrase never comes from the command line, where other users of the machine could read it, and is never printed.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.errors import KeyLocked, UsageError
from ftforensics.trust.private_file import load_bounded

MAX_TRIES = 3
STANDARD_INPUT = Path("-")
_REMEDY = "give --passphrase-file, set FTF_PASSPHRASE_FILE, or run it at a terminal"

_Key = TypeVar("_Key")


class PassphraseSource:
    """Where a run's passphrases come from; one typed for one key is tried on the next before asking again.

    Args:
        settings: Names the files of ``FTF_PASSPHRASE_FILE``.
        output: Told when a typed passphrase was wrong.
        files: Each ``--passphrase-file``, which go before the environment; ``-`` for standard input. Every key is tried
            with the passphrase of every file.

    Raises:
        UsageError: Standard input is named twice.
    """

    def __init__(self, settings: Settings, output: Output, files: Sequence[Path] | None = None) -> None:
        named = tuple(files or settings.passphrase_files)
        if named.count(STANDARD_INPUT) > 1:
            raise UsageError(
                "standard input is named as a passphrase file more than once, and each is read for one line",
                remedy="give --passphrase-file - once, and the other passphrases in files",
            )
        self._files = tuple(dict.fromkeys(named))
        self._output = output
        self._known: list[str] = []

    def unlock(self, load: Callable[[str | None], _Key], label: str) -> _Key:
        """Open a locked key.

        Args:
            load: Opens it with a passphrase; raises KeyLocked where that is wrong.
            label: Which key, for the prompt and the errors.

        Raises:
            KeyLocked: Every passphrase is wrong, or there is none and no terminal to ask at.
            KeyUnknown: There is no such passphrase file.
        """
        found = self._try_known(load)
        if not isinstance(found, KeyLocked):
            return found
        if self._files:
            return self._try_files(load, found)
        _require_terminal(label)
        for left in reversed(range(MAX_TRIES)):
            typed = getpass.getpass(f"Passphrase of {label}: ")
            try:
                key = load(typed)
            except KeyLocked:
                if left == 0:
                    raise
                self._output.error("wrong passphrase, try again.")
            else:
                self._remember(typed)
                return key
        raise AssertionError("unreachable: the last try returns or raises")

    def unlock_all(self, locked: Sequence[tuple[Callable[[str | None], _Key], str]]) -> list[_Key]:
        """Open several locked keys in their order, as ``unlock`` one after the other would.

        Stretching a passphrase is slow on purpose. One that is known is therefore tried on all keys side by side, as
        many at once as there are processors, and only what it does not open has to wait for another.

        Args:
            locked: What ``unlock`` takes, for each key.

        Raises:
            KeyLocked, KeyUnknown: As ``unlock``; of the first key that cannot be opened.
        """
        if not locked:
            return []
        is_new = not self._known
        if is_new and not self._files:
            return [self.unlock(*locked[0]), *self.unlock_all(locked[1:])]
        if is_new:
            for file in self._files:
                self._remember(_read_file(file))
        keys: list[_Key] = []
        with ThreadPoolExecutor(min(len(locked), os.cpu_count() or 1), thread_name_prefix="unlock") as pool:
            tries = [pool.submit(self._try_known, load) for load, _ in locked]
            for tried, (load, label) in zip(tries, locked, strict=True):
                found = tried.result()
                if isinstance(found, KeyLocked):
                    if is_new and not keys:
                        raise found
                    found = self.unlock(load, label)
                keys.append(found)
        return keys

    def _try_known(self, load: Callable[[str | None], _Key]) -> _Key | KeyLocked:
        """The key, or why the last of the known passphrases does not open it."""
        wrong = KeyLocked("key is locked", remedy=_REMEDY)
        for known in tuple(self._known):
            try:
                return load(known)
            except KeyLocked as exc:
                wrong = exc
        return wrong

    def _try_files(self, load: Callable[[str | None], _Key], wrong: KeyLocked) -> _Key:
        """The key, opened with what is in a file and was not tried yet, such as the next line of standard input."""
        for file in self._files:
            passphrase = _read_file(file)
            if passphrase not in self._known:
                try:
                    return load(self._remember(passphrase))
                except KeyLocked as exc:
                    wrong = exc
        raise wrong

    def choose(self, label: str) -> str:
        """A passphrase for a new key: from the file, or typed twice.

        Raises:
            KeyLocked: The two differ, it is empty, or there is no terminal to ask at.
            KeyUnknown: There is no such passphrase file.
            UsageError: Several files are named.
        """
        if len(self._files) > 1:
            raise UsageError(
                f"{len(self._files)} passphrase files are named, and a new key is locked with one passphrase",
                subject=label,
                remedy="give one --passphrase-file",
            )
        if self._files:
            return _read_file(self._files[0])
        _require_terminal(label)
        typed = getpass.getpass(f"New passphrase of {label}: ")
        if typed != getpass.getpass("The same again: "):
            raise KeyLocked("the two passphrases differ", remedy="try again")
        return typed

    def _remember(self, passphrase: str) -> str:
        if passphrase not in self._known:
            self._known.append(passphrase)
        return passphrase


def _require_terminal(label: str) -> None:
    if not sys.stdin.isatty():
        raise KeyLocked("a passphrase is needed and there is no terminal to ask at", subject=label, remedy=_REMEDY)


def _read_file(path: Path) -> str:
    data = sys.stdin.buffer.readline() if path == STANDARD_INPUT else load_bounded(path, what="passphrase file")
    try:
        # A line ends with a line feed alone: other characters that a text may be cut at belong to the passphrase.
        line = data.decode("utf-8-sig").partition("\n")[0].removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise KeyLocked("passphrase file is not UTF-8 text", subject=str(path), remedy="save it as UTF-8") from exc
    if not line:
        raise KeyLocked("the first line of the passphrase file is empty", subject=str(path), remedy=_REMEDY)
    return line
