"""``ftf tag``: tag photographs invisibly and register their signed records."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftforensics.cli.arguments import check_text
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, combine_codes, exit_code
from ftforensics.cli.opening import DEFAULT_MODEL, build_ring, find_model_folder, open_reader, warn_about_clock
from ftforensics.cli.options import (
    ClobberOption,
    FormatOption,
    KeyOption,
    PassphraseFileOption,
    PublicKeyOption,
    RegistryOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import resolve_carrier, resolve_signer
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.errors import FtfError, UsageError
from ftforensics.media.escape import display_path
from ftforensics.trust.record import MAX_ISSUER_CHARS, MAX_TEXT_CHARS

if TYPE_CHECKING:
    from ftforensics.flows.tag import AlreadyTagged, Tagged, Tagger

app = new_app()

_COLUMNS = (
    "source",
    "tagged",
    "tag_id",
    "z",
    "residual_psnr_db",
    "residual_ssim",
    "residual_ciede2000_mean",
    "residual_ciede2000_p99",
    "file_psnr_db",
    "file_ssim",
    "file_ciede2000_mean",
    "file_ciede2000_p99",
    "log_index",
    "already_tagged",
    "left_out",
    "source_b64",
    "tagged_b64",
)
_SHORT = ("source", "tag_id", "z", "residual", "file")


@command(
    app,
    "tag",
    examples=(
        "ftf tag photo.jpg --out tagged --key agency --carrier agency-carrier",
        "ftf tag *.jpg --out tagged --rights '(c) 2026 Agency' --contact desk@agency.example",
        "ftf tag photo.png --out tagged --fast --format jsonl",
    ),
    no_args_is_help=True,
)
def tag(
    settings: Settings,
    output: Output,
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO...", help="Photographs to tag.", show_default=False, readable=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where tagged files go; made if need be.")],
    key: KeyOption = None,
    carrier: Annotated[
        str | None, typer.Option("--carrier", metavar="KEY", help="Carrier key; the only one there is if left out.")
    ] = None,
    registry: RegistryOption = None,
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="NAME", help="The issuer's name in records; the key's if left out."),
    ] = None,
    psnr: Annotated[
        float,
        typer.Option("--psnr", min=36.0, max=60.0, metavar="DB", help="How faint: higher is fainter and frailer."),
    ] = DEFAULT_PSNR_DB,
    fast: Annotated[
        bool, typer.Option("--fast", help="Do not shape the tag to each picture: quicker, and survives less.")
    ] = False,
    no_preview: Annotated[
        bool,
        typer.Option("--no-preview", help="Keep no small copy in the registry; reports cannot show the source then."),
    ] = False,
    rights: Annotated[str, typer.Option("--rights", metavar="TEXT", help="Who holds the rights.")] = "",
    contact: Annotated[str, typer.Option("--contact", metavar="TEXT", help="Whom to ask.")] = "",
    policy: Annotated[str, typer.Option("--policy", metavar="TEXT", help="What may be done with it.")] = "",
    clobber: ClobberOption = False,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Tag photographs invisibly, in their own file format, and register their signed records.

    The tag is shaped to each picture so that it survives more at the same faintness. A file is kept only if its tag can
    be read back from disk; PSNR, SSIM and CIEDE2000 are printed for what was added and for the written file. A run that
    was stopped goes on where the same command is given again.
    """
    from ftforensics.engine.informed import InformedSettings
    from ftforensics.engine.onnx import OnnxEmbedder
    from ftforensics.flows.tag import Issuer, Tagger, TagSettings, list_unfinished, plan_outputs
    from ftforensics.store.registry import Registry

    _check_texts({"--issuer": issuer, "--rights": rights, "--contact": contact, "--policy": policy})
    passphrases = PassphraseSource(settings, output, passphrase_file)
    signer = resolve_signer(
        settings,
        output,
        key=key,
        role=None if signer_command else "issuer",
        signer_command=signer_command,
        public_key=public_key,
        passphrases=passphrases,
    )
    carrier_key = resolve_carrier(settings, output, key=carrier, passphrases=passphrases)
    plan = plan_outputs(photos, out)
    if not plan:
        raise UsageError("there are no photographs to tag", remedy="name at least one file")
    reader = open_reader(settings)
    embedder = None if fast else OnnxEmbedder(find_model_folder(settings, DEFAULT_MODEL))
    _warn_of_unfinished(output, out, list_unfinished(out))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Registry.open(registry or settings.registry_path, read_only=False) as book:
        warn_about_clock(output, settings.now_utc(), book)
        tagger = Tagger(
            issuer=Issuer(
                name=issuer or signer.name,
                signer=signer,
                rights=rights,
                contact=contact,
                policy=policy,
                keep_preview=not no_preview,
            ),
            key=build_ring([carrier_key], reader.card.model_id)[0],
            registry=book,
            reader=reader,
            embedder=embedder,
            settings=TagSettings(psnr_db=psnr, informed=InformedSettings(), clobber=clobber),
            now=settings.now_utc,
        )
        work = _Work(output, tagger, plan)
        if form is Format.TABLE:
            work.run_for_table()
            known = f"; {work.recalled} tagged already" if work.recalled else ""
            output.note(f"{work.tagged} of {len(plan)} photographs tagged into {out}{known}.")
        else:
            output.rows(_COLUMNS, work.run(beside_rows=True), form)
    return combine_codes(work.codes)


class _Work:
    """Tags photographs one after the other; a row for each, as soon as it is done."""

    def __init__(self, output: Output, tagger: Tagger, plan: Sequence[tuple[Path, Path]]) -> None:
        self._output, self._tagger, self._plan = output, tagger, plan
        self.codes = [COMPLETE]
        self.tagged = self.recalled = 0

    def run(self, *, beside_rows: bool = False) -> Iterator[dict[str, Any]]:
        with self._output.progress("Tagging", total=len(self._plan), beside_rows=beside_rows) as ticker:
            for photo, target in self._plan:
                row = self._tag(photo, target)
                if row is not None:
                    yield row
                ticker.advance()

    def run_for_table(self) -> None:
        """The table shows what was done, also where the work is stopped."""
        rows: list[dict[str, Any]] = []
        try:
            for row in self.run():
                rows.append(row)  # one by one: a stop in between must leave those before it
        finally:
            if rows:
                self._output.rows(_SHORT, (_short(row) for row in rows), Format.TABLE)

    def _tag(self, photo: Path, target: Path) -> dict[str, Any] | None:
        try:
            known = self._tagger.recall(photo, target)
            if known is not None:
                self.recalled += 1
                self._output.note(f"{photo}: already tagged, record {known.log_index}; nothing to do.")
                return _recalled_row(known)
            tagged = self._tagger.tag(photo, target)
        except FtfError as exc:
            self._output.error(exc.sentence)
            self.codes.append(exit_code(exc))
            return None
        self.tagged += 1
        for warning in tagged.warnings:
            self._output.warn(f"{photo}: {warning}")
        return _row(tagged)


def _warn_of_unfinished(output: Output, out: Path, names: Sequence[str]) -> None:
    """A stopped run's leftovers look like anybody's who writes there now: they are told, never removed."""
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        output.warn(
            f"unfinished files are in the output folder: {out}: {shown}; each may be a tagged picture without a "
            "record. Delete them, unless another program writes there just now"
        )


def _check_texts(texts: dict[str, str | None]) -> None:
    for option, text in texts.items():
        if text:
            check_text(option, text, max_chars=MAX_ISSUER_CHARS if option == "--issuer" else MAX_TEXT_CHARS)


def _names(done: Tagged | AlreadyTagged) -> dict[str, Any]:
    """Names to read and, as of an exhibit in scan.jsonl, their exact bytes: a name need not be text."""
    source, path = os.fsencode(done.source), os.fsencode(done.path)
    return {
        "source": display_path(source),
        "tagged": display_path(path),
        "tag_id": done.tag_id,
        "log_index": done.log_index,
        "source_b64": base64.b64encode(source).decode("ascii"),
        "tagged_b64": base64.b64encode(path).decode("ascii"),
    }


def _recalled_row(known: AlreadyTagged) -> dict[str, Any]:
    """What was measured when it was tagged is not known any more."""
    return _names(known) | {"already_tagged": True}


def _row(tagged: Tagged) -> dict[str, Any]:
    row = _names(tagged) | {"z": round(tagged.z, 2), "already_tagged": False, "left_out": list(tagged.left_out)}
    for name, quality in (("residual", tagged.residual), ("file", tagged.written)):
        # Identical pixels have an infinite PSNR, which JSON cannot carry.
        psnr_db = round(quality.psnr_db, 2) if quality.psnr_db != float("inf") else None
        row |= {
            f"{name}_psnr_db": psnr_db,
            f"{name}_ssim": round(quality.ssim, 4),
            f"{name}_ciede2000_mean": round(quality.ciede2000_mean, 3),
            f"{name}_ciede2000_p99": round(quality.ciede2000_p99, 3),
        }
    return row


def _short(row: dict[str, Any]) -> dict[str, Any]:
    if row["already_tagged"]:
        return {"source": row["source"], "tag_id": row["tag_id"], "file": "already tagged"}

    def words(name: str) -> str:
        psnr_db = row[f"{name}_psnr_db"]
        return (
            f"{'no change' if psnr_db is None else f'{psnr_db:.1f} dB'}, SSIM {row[f'{name}_ssim']:.4f}, "
            f"dE00 {row[f'{name}_ciede2000_mean']:.2f} (p99 {row[f'{name}_ciede2000_p99']:.2f})"
        )

    return {
        "source": row["source"],
        "tag_id": row["tag_id"],
        "z": f"{row['z']:.1f}",
        "residual": words("residual"),
        "file": words("file"),
    }
