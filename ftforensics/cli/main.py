"""The command ``ftf``: finds the command, runs it, and turns every error into one sentence and an exit code.

Nothing heavy is imported before a command needs it: the groups are known here by name and one line each, and their
modules are imported when one of their commands is run.
"""

from __future__ import annotations

import atexit
import errno
import importlib
import importlib.util
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ftforensics import __version__
from ftforensics.cli.commands import new_app
from ftforensics.cli.crash import report_crash
from ftforensics.cli.errors import CANNOT_WRITE, COMPLETE, INTERRUPTED, OUTPUT_CLOSED, USAGE, exit_code
from ftforensics.cli.output import Output
from ftforensics.cli.settings import keep_matrices_on_one_thread
from ftforensics.errors import FtfError

# The base of all errors in a command line, in whichever package this version of Typer keeps it.
_ParseError: type[Any] = typer.BadParameter.__mro__[1]
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEntry:
    """A command or group: its name, the module with its ``app``, and its line in ``ftf --help``."""

    name: str
    module: str
    summary: str


COMMANDS: tuple[CommandEntry, ...] = tuple(
    CommandEntry(name=name, module=f"ftforensics.cli.{module}", summary=summary)
    for name, module, summary in (
        ("demo", "demo", "See it work: tag a photograph, make a deepfake of it, trace the fake back."),
        ("tag", "tag", "Tag photographs invisibly and put their signed records into the registry."),
        ("scan", "scan", "Look for tags in suspect pictures and link them to their sources."),
        ("report", "report", "Write a case's report as HTML, JSON or CSV."),
        ("key", "keys", "Make and show the keys that sign, and the keys that carry tags."),
        ("trust", "trust", "Say whose keys you trust: pin, remove and revoke fingerprints."),
        ("registry", "registry", "Make, check and exchange registries of signed records."),
        ("case", "cases", "Open and check cases, each a signed chain of custody."),
        ("verify", "verify", "Check a bundle of records on its own, offline."),
        ("bench", "bench", "Measure how well tags survive and how fast they are read."),
        ("engine", "engine", "Show, build and check the models that read tags."),
        ("doctor", "doctor", "Show what reads tags on this machine, and what to install to read them faster."),
    )
)

_EPILOG = """\b
First steps:
  ftf demo                                            see the whole story in a minute
  ftf key new me --role examiner                      make your own key
  ftf trust add 'News Agency' FINGERPRINT             pin a key that you know to be the issuer's
  ftf case new case-1 --title 'Case 1' --examiner me  open a case
  ftf scan suspects/ --case case-1                    look for tags, link fakes to their sources
  ftf report export --case case-1                     the findings, for people

\b
Exit codes: 0 complete, 1 --fail-on matched, 2 usage, 3 some inputs unreadable, 4 integrity failure,
5 engine unavailable, 6 key or trust, 7 cannot write, 70 internal error, 130 interrupted."""


class StoryGroup(TyperGroup):
    """The top level: lists the commands in the order of the story and imports one only when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        """The names of the commands that this installation has."""
        return [entry.name for entry in COMMANDS if importlib.util.find_spec(entry.module) is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base class's signature
        """Import a command's module; None for an unknown name."""
        entry = next((entry for entry in COMMANDS if entry.name == cmd_name), None)
        if entry is None or importlib.util.find_spec(entry.module) is None:
            return None
        if cmd_name not in self.commands:
            found = typer.main.get_command(importlib.import_module(entry.module).app)
            found.name = cmd_name
            self.commands[cmd_name] = found
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; for a mistyped one, name those that look like it."""
        if args and self.get_command(ctx, args[0]) is None:
            similar = get_close_matches(args[0], self.list_commands(ctx))
            hint = f", did you mean {' or '.join(similar)}?" if similar else ""
            ctx.fail(f"No such command {args[0][:80]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands' lines without importing them."""
        names = self.list_commands(ctx)
        if not names:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in COMMANDS if entry.name in names])


app = new_app()


def _show_version(wanted: bool) -> None:
    if wanted:
        Output().say(f"ftf {__version__}")
        raise typer.Exit(COMPLETE)


@app.callback(cls=StoryGroup, no_args_is_help=True, epilog=_EPILOG)
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Trace deepfakes back to the photographs they were made from."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run ``ftf`` and leave the process with its exit code.

    Args:
        arguments: After the program's name; those of the process where it is None.
    """
    _leave(run_command(sys.argv[1:] if arguments is None else arguments))


def _leave(code: int) -> NoReturn:
    """End the process once all that was promised for its end is done.

    Taking the interpreter and its libraries apart, object by object, costs a tenth of a second and is of use to nobody.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # the interpreter says what it could not write
    atexit._run_exitfuncs()
    os._exit(code)


def run_command(arguments: Sequence[str]) -> int:
    """Run ``ftf`` and return its exit code; every error has been told on standard error."""
    keep_matrices_on_one_thread()
    Output()  # from here on, no character of a hostile name can fail to be written
    try:
        code = _dispatch(list(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        Output().error("interrupted; run the same command again to go on.")
        return INTERRUPTED
    except FtfError as exc:
        Output().error(exc.sentence)
        return exit_code(exc)
    except Exception as exc:  # noqa: BLE001 - the last resort: a bug must not look like a finding
        if isinstance(exc, BrokenPipeError) and _is_stdout_closed():
            _silence_stdout()
            return OUTPUT_CLOSED
        if isinstance(exc, OSError) and exc.errno in _DISK_FULL:
            _silence_stdout()
            Output().error(f"cannot write the output ({exc.strerror}); make room and run it again.")
            return CANNOT_WRITE
        Output().error(report_crash(exc, arguments))
        return exit_code(exc)
    return code


def _dispatch(arguments: list[str]) -> int:
    top = typer.main.get_command(app)
    try:
        with top.make_context("ftf", arguments) as context:
            result = top.invoke(context)
    except typer.Exit as exc:
        return exc.exit_code
    except (typer.Abort, EOFError):
        raise KeyboardInterrupt from None
    except _ParseError as exc:
        return _tell_usage(exc)
    return result if isinstance(result, int) else COMPLETE


def _tell_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    message = str(error.format_message()).strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        Output(stderr=sys.stderr, stdout=sys.stderr).raw(message + "\n")
        return USAGE
    where = context.command_path if context is not None else "ftf"
    Output().error(f"{message.rstrip('.?')}; see '{where} --help'.")
    return USAGE


def _is_stdout_closed() -> bool:
    """Whether nobody reads our output any more, so that a broken pipe between processes of ours is not taken for it."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in watch.poll(0))


def _silence_stdout() -> None:
    """Let the interpreter's own flush at exit find somewhere to write to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
