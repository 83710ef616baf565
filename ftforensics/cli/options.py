"""Options and arguments that several commands share, each spelt and explained once.

Use them as annotations, with the default beside them::

    def scan(paths: EvidencePaths, *, form: FormatOption = Format.TABLE, case: CaseOption = None) -> int: ...
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftforensics.cli.output import Format

# Results
FormatOption = Annotated[Format, typer.Option("--format", help="How results are written.")]
OutputFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")]
OutputFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Write into this folder; it is made.")
]
ClobberOption = Annotated[bool, typer.Option("--clobber", help="Replace files that are there already.")]
TimeZoneOption = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="Show times in this zone too, for instance Europe/Berlin.")
]

# Evidence
# One that may not be read is no mistake in the command: it is told as unreadable, and the rest goes on.
EvidencePaths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH...", help="Pictures, or folders of them.", show_default=False, readable=False),
]
FileListOption = Annotated[
    Path | None, typer.Option("--file-list", metavar="FILE", help="Read paths from this file, one a line.")
]
MaxDepthOption = Annotated[
    int | None,
    typer.Option("--max-depth", min=0, metavar="N", help="How many folders deep to go; 0 is the folder alone."),
]
SkipLargerOption = Annotated[
    str | None, typer.Option("--skip-larger", metavar="SIZE", help="Skip files larger than this, for instance 200M.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="How many pictures at a time; one a core by default."),
]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="Give up on a picture after so long.")
]

# The model and what runs it
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="What runs the model: auto (the best that works here), tensorrt, tensorrt-rtx, torch, openvino or onnx.",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="fp32, fp16, bf16 or int8; fp32 where it is left out, bf16 with openvino, or what a built engine was "
        "built with.",
    ),
]
EnginesOption = Annotated[
    Path | None,
    typer.Option("--engines", metavar="DIR", help="The folder of built engines; FTF_ENGINES where it is left out."),
]

# Cases and registries
RegistryOption = Annotated[
    Path | None,
    typer.Option("--registry", metavar="FILE", help="The registry; the one in FTF_HOME where it is left out."),
]
CasesFolderOption = Annotated[
    Path | None, typer.Option("--cases", metavar="DIR", help="Where cases lie; ./cases where it is left out.")
]
CaseOption = Annotated[str | None, typer.Option("--case", metavar="NAME", help="The case that it belongs to.")]

# Keys
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="Which key: its name, fingerprint or file.", show_default=False),
]
ExaminerOption = Annotated[
    str | None,
    typer.Option("--examiner", metavar="KEY", help="The examiner's key: its name, fingerprint or file."),
]
PassphraseFileOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Read the passphrase from the first line of this file; - for standard input. May be given again: each key "
        "is tried with each.",
    ),
]
SignerCommandOption = Annotated[
    str | None,
    typer.Option(
        "--signer-command",
        metavar="CMD",
        help="Sign with this command: it gets the bytes on standard input and writes the signature.",
    ),
]
PublicKeyOption = Annotated[
    Path | None,
    typer.Option("--public-key", metavar="FILE", help="Public key (PEM) of the key that --signer-command signs with."),
]
