"""``ftf tag``: tag photographs invisibly and register their signed records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from ftforensics.trust.record import MAX_ISSUER_CHARS, MAX_TEXT_CHARS

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
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photographs to tag.", show_default=False)],
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
    be read back from disk; PSNR, SSIM and CIEDE2000 are printed for what was added and for the written file.
    """
    from ftforensics.engine.informed import InformedSettings
    from ftforensics.engine.onnx import OnnxEmbedder
    from ftforensics.flows.tag import Issuer, Tagged, Tagger, TagSettings, plan_outputs
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
    codes = [COMPLETE]
    rows: list[dict[str, Any]] = []
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
        with output.progress("Tagging", total=len(plan)) as ticker:
            for photo, target in plan:
                try:
                    tagged: Tagged = tagger.tag(photo, target)
                except FtfError as exc:
                    output.error(exc.sentence)
                    codes.append(exit_code(exc))
                else:
                    for warning in tagged.warnings:
                        output.warn(f"{photo}: {warning}")
                    rows.append(_row(tagged))
                ticker.advance()
    if form is Format.TABLE:
        if rows:
            output.rows(_SHORT, (_short(row) for row in rows), form)
        output.note(f"{len(rows)} of {len(plan)} photographs tagged into {out}.")
    else:
        output.rows(_COLUMNS, rows, form)
    return combine_codes(codes)


def _check_texts(texts: dict[str, str | None]) -> None:
    for option, text in texts.items():
        if text:
            check_text(option, text, max_chars=MAX_ISSUER_CHARS if option == "--issuer" else MAX_TEXT_CHARS)


def _row(tagged: Any) -> dict[str, Any]:
    row = {"source": str(tagged.source), "tagged": str(tagged.path), "tag_id": tagged.tag_id, "z": round(tagged.z, 2)}
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
