"""Registering commands. In: plain functions. Out: Typer commands with examples, ``-q``, ``-v`` and ``--no-progress``.

A command function names what it needs: a parameter annotated ``Output`` gets the sink, one annotated ``Settings`` the
settings; all others are options and arguments. It returns None or an exit code. Examples stand in its help, and the
tests parse every one of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings, load_settings

_Function = TypeVar("_Function", bound=Callable[..., int | None])

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_SHARED = (
    (
        "quiet",
        Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")],
        False,
    ),
    ("verbose", Annotated[int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more.")], 0),
    ("no_progress", Annotated[bool, typer.Option("--no-progress", help="Show no progress bar.")], False),
)


def new_app(summary: str = "") -> typer.Typer:
    """A Typer app in the style of ``ftf``: plain help, no tracebacks of its own.

    Args:
        summary: What the group is for; the help of a group of commands. Empty for a module with a single command.
    """
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=bool(summary),
        context_settings=dict(_HELP),
    )
    if summary:
        app.info.help = summary
        # With a callback, a group stays a group even while it has a single command.
        app.callback()(lambda: None)
    return app


def command(
    app: typer.Typer, name: str, *, examples: Sequence[str], no_args_is_help: bool = False
) -> Callable[[_Function], _Function]:
    """Register a function as a command.

    Args:
        app: Of ``new_app``.
        name: As typed, lower-case kebab.
        examples: Whole command lines that start with ``ftf``.
        no_args_is_help: Whether the bare command shows its help instead of complaining.

    Returns:
        A decorator that leaves the function as it was.
    """

    def register(function: _Function) -> _Function:
        app.command(
            name,
            epilog=_render_examples(examples),
            no_args_is_help=no_args_is_help,
            context_settings=dict(_HELP),
        )(_fill_in(function))
        return function

    return register


def _fill_in(function: Callable[..., int | None]) -> Callable[..., int | None]:
    signature = inspect.signature(function, eval_str=True)
    given = {name: one.annotation for name, one in signature.parameters.items() if one.annotation in (Output, Settings)}

    def run_command(**options: Any) -> int | None:
        settings = load_settings()
        output = Output(
            quiet=options.pop("quiet"),
            verbose=options.pop("verbose"),
            progress=not options.pop("no_progress"),
            color=settings.color,
        )
        filled = {name: output if kind is Output else settings for name, kind in given.items()}
        return function(**filled, **options)

    shown = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, one in signature.parameters.items()
        if name not in given
    ]
    shown += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in _SHARED
    ]
    run_command.__name__ = function.__name__
    run_command.__doc__ = function.__doc__
    run_command.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run_command.__annotations__ = {one.name: one.annotation for one in shown}
    return run_command


def _render_examples(examples: Sequence[str]) -> str:
    r"""The paragraph under a command's help; \b keeps the lines apart."""
    return "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
