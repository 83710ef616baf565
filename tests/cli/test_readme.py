"""README.md and the guide against the real program: commands, options, verdicts, exit codes, settings, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cli_samples import Ftf

from ftforensics.cli import errors, settings
from ftforensics.domain.link import Verdict

CHECKOUT = Path(__file__).resolve().parents[2]
README = CHECKOUT / "README.md"
GUIDE = CHECKOUT / "docs" / "guide.md"
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("*/README.md"), *(CHECKOUT / "docs").rglob("*.md")])


_HELP: dict[tuple[str, ...], str] = {}


def help_of(ftf: Ftf, *command: str) -> str:
    """The help page of a command, asked for once."""
    if command not in _HELP:
        _HELP[command] = ftf(*command, "--help").out
    return _HELP[command]


def listed_commands(help_text: str) -> dict[str, str]:
    """The names and lines under "Commands:" of a help page, wrapped lines joined."""
    section = help_text.split("\nCommands:\n")[1].split("\n\n")[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        named = re.match(r"  ([a-z][a-z-]*)\s+(.*)", line)
        if named:
            found[named[1]] = named[2].strip()
        else:
            found[list(found)[-1]] += " " + line.strip()
    return found


def table_rows(text: str, header: str) -> list[list[str]]:
    """The cells of the table under a header line."""
    body = text.split(header + "\n")[1].split("\n\n")[0].splitlines()[1:]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in body]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]


def fenced_lines(text: str) -> list[str]:
    """Every line inside code fences, continuation lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def ftf_lines() -> list[str]:
    """Every command line that a document shows, without its comment."""
    lines = fenced_lines(README.read_text()) + fenced_lines(GUIDE.read_text())
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return sorted({part.split("  #")[0].strip() for part in parts if re.match(r"ftf( |$)", part)})


def test_the_table_has_one_row_for_each_command(ftf: Ftf) -> None:
    rows = table_rows(README.read_text(), "| command | what it does | parts |")
    shown = {name.strip("`").removeprefix("ftf "): summary for name, summary, _ in rows}
    assert list(shown.items()) == list(listed_commands(help_of(ftf)).items())
    assert len(shown) == len(rows)


def test_the_table_names_the_parts_of_each_command(ftf: Ftf) -> None:
    for name, _, parts in table_rows(README.read_text(), "| command | what it does | parts |"):
        help_text = help_of(ftf, name.strip("`").removeprefix("ftf "))
        real = list(listed_commands(help_text)) if "\nCommands:\n" in help_text else []
        assert re.findall(r"`([a-z-]+)`", parts) == real, name


def test_a_new_user_needs_exactly_two_commands() -> None:
    assert fenced_lines(README.read_text()) == [
        'python -m pip install ".[demo]" && ftf demo',
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


@pytest.mark.parametrize("line", ftf_lines())
def test_shown_command_lines_are_real(ftf: Ftf, line: str) -> None:
    words = shlex.split(line)[1:]
    if words == ["--version"]:
        return
    command: list[str] = []
    help_text = help_of(ftf)
    while words and "\nCommands:\n" in help_text and words[0] in listed_commands(help_text):
        command.append(words.pop(0))
        help_text = help_of(ftf, *command)
    assert command, f"no such command: {line}"
    assert "\nCommands:\n" not in help_text or words in ([], ["--help"]), f"no such part: {line}"
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_text.split("Examples:")[0]))
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"no such option: {used - known}"


def test_the_guide_has_a_section_for_each_command(ftf: Ftf) -> None:
    headings = re.findall(r"^#+ `ftf ([a-z-]+)`", GUIDE.read_text(), flags=re.MULTILINE)
    assert sorted(headings) == sorted(listed_commands(help_of(ftf)))


def test_the_guide_explains_each_verdict() -> None:
    rows = table_rows(GUIDE.read_text(), "| verdict | means | what to do |")
    assert [row[0].strip("`") for row in rows] == [verdict.value for verdict in Verdict]


def test_the_guide_explains_each_exit_code() -> None:
    rows = table_rows(GUIDE.read_text(), "| code | means |")
    assert {int(code): meaning for code, meaning in rows} == errors.MEANINGS


def test_the_guide_explains_each_setting() -> None:
    rows = table_rows(GUIDE.read_text(), "| variable | what it sets |")
    documented = re.findall(r"^\| ``([A-Z_]+)`` \|", settings.__doc__ or "", flags=re.MULTILINE)
    assert [row[0].strip("`") for row in rows] == documented


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_threat_model_names_real_tests() -> None:
    text = (CHECKOUT / "docs" / "threat-model.md").read_text()
    missing = [path for path in re.findall(r"`(tests/[\w/]+\.py)`", text) if not (CHECKOUT / path).is_file()]
    assert not missing


def test_no_word_that_would_call_a_picture_genuine() -> None:
    for document in (README, GUIDE):
        for sentence in re.split(r"(?<=[.:])\s", document.read_text()):
            if re.search(r"\b(authentic|genuine)\b", sentence):
                assert re.search(r"\b(never|not|no|nothing|cannot)\b", sentence, flags=re.IGNORECASE), sentence
