"""A case as one self-contained HTML file: inline style, pictures as ``data:`` addresses, no script, no network.

Three walls stand between hostile evidence and the reader. Every expression in the templates passes ``visible`` (what
cannot be seen is spelt out) and then autoescaping; a Content-Security-Policy allows nothing but this file's own style
sheet, named by its hash, and ``data:`` pictures; pictures are JPEG or PNG, of bytes with the hash the case names.
Source: W3C CSP Level 3.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ftforensics.domain.case import CaseView, RunInfo, shorten_ids
from ftforensics.domain.link import Verdict
from ftforensics.errors import ReportError
from ftforensics.report.custody import (
    altered_exhibit,
    altered_exhibits,
    altered_sentence,
    build_event_rows,
    build_integrity,
)
from ftforensics.report.exhibits import build_exhibit
from ftforensics.report.facts import Fact, fact, mapping_facts, present
from ftforensics.report.quantities import count, plural, utc
from ftforensics.report.visible import visible
from ftforensics.report.wording import VERDICT_TEXTS

_SPELT_OUT = re.compile(r"⟨(U\+[0-9A-F]{4,6})⟩")
_SAFE_IN_CSS = re.compile(r"[A-Za-z0-9._-]{1,64}")


def render_html(view: CaseView, *, generated_at: str, tool_version: str) -> bytes:
    """Render the report of a case.

    Args:
        view: A case as the store read and verified it.
        generated_at: UTC ISO 8601 time of the export, printed on the cover.
        tool_version: Version of this program, printed on the cover.

    Returns:
        One UTF-8 HTML document; the same arguments give the same bytes.

    Raises:
        ReportError: If a finding holds something that no report can show.
    """
    style = _style(view)
    try:
        shown, altered = shorten_ids(one.exhibit_id for one in view.findings), altered_exhibits(view)
        sections = [
            build_exhibit(
                one,
                view.artifacts,
                number=place,
                shown_id=shown[one.exhibit_id],
                altered=altered_sentence(change) if (change := altered_exhibit(altered, one)) else "",
            )
            for place, one in enumerate(view.findings, start=1)
        ]
        page = _environment().get_template("report.html.j2")
        text = page.render(
            view=view,
            generated_at=utc(generated_at),
            created_at=utc(view.created_at),
            head_at=utc(view.head.at),
            tool_version=tool_version,
            style=style,
            style_hash=Markup(_sha256_base64(style)),  # noqa: S704
            sections=sections,
            tally=_tally(view),
            inputs=_inputs(view),
            integrity=build_integrity(view),
            events=build_event_rows(view),
            runs=[(run.run_id, _run_facts(run)) for run in view.runs],
            glossary=VERDICT_TEXTS,
            verify_command=_verify_command(view),
        )
    except (jinja2.TemplateError, KeyError, TypeError, ValueError, ArithmeticError) as exc:
        raise ReportError(
            f"the report cannot be rendered ({exc})",
            subject=view.name,
            remedy="export the case as JSON instead and report the problem",
        ) from exc
    return text.encode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ftforensics.report"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = _marked
    return environment


def _finalize(value: Any) -> Any:
    """Make every expression of every template visible; only what the templates themselves produced is exempt."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else visible(str(value))


def _marked(value: Any) -> Markup:
    """Set the code points that ``visible`` spelt out in boxes of their own; for element content, not for attributes."""
    if isinstance(value, Markup):
        return value
    # Safe: escaped first; what is put around a match is constant, and the match is letters, digits and a plus sign.
    return Markup(_SPELT_OUT.sub(r'<span class="cp">\1</span>', str(escape(visible(str(value))))))  # noqa: S704


def _style(view: CaseView) -> Markup:
    sheet = (resources.files("ftforensics.report") / "templates" / "report.css").read_text(encoding="utf-8")
    marks = [f"head {view.head.head_hash[:16]}"] if _SAFE_IN_CSS.fullmatch(view.head.head_hash[:16]) else []
    if _SAFE_IN_CSS.fullmatch(view.case_id):
        marks.insert(0, f"case {view.case_id}")
    # Safe: both parts are held to letters, digits, dots, dashes and underscores.
    sheet += f'\n@page {{ @bottom-left {{ content: "{" · ".join(marks)}" }} }}\n'
    return Markup(sheet.replace("\r\n", "\n"))  # noqa: S704


def _sha256_base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _tally(view: CaseView) -> list[tuple[Verdict, int]]:
    verdicts = [finding.verdict for finding in view.findings]
    return [(verdict, verdicts.count(verdict)) for verdict in VERDICT_TEXTS if verdict in verdicts]


def _inputs(view: CaseView) -> str:
    """How many inputs were examined and how many were not, counted as the scan counts them."""
    unread = [one for one in view.findings if one.verdict is Verdict.UNREADABLE]
    skipped = sum(one.extra.get("skipped") is True for one in unread)
    text = f"{plural(len(view.findings) - len(unread), 'exhibit')} examined"
    if unread:
        parts = (f"{count(len(unread) - skipped)} unreadable", f"{count(skipped)} skipped")
        text = f"{plural(len(view.findings), 'input')}: {', '.join((text, *parts))}"
    return text


def _verify_command(view: CaseView) -> str:
    return shlex.join(["ftf", "case", "verify", view.name, "--expect-head", view.head.head_hash])


def _run_facts(run: RunInfo) -> tuple[Fact, ...]:
    counts = ", ".join(f"{key} {count(number)}" for key, number in sorted(run.counts.items()))
    return (
        present(
            fact("Started", utc(run.started_at)),
            fact("Ended", utc(run.ended_at) if run.ended_at else "not finished"),
            fact("Examiner", run.examiner, "raw"),
            fact("Tool version", run.tool_version),
            fact("Command", shlex.join(run.argv), "hash"),
            fact("Files", counts),
            fact("Trust list SHA-256", run.trust_list_sha256, "hash"),
            fact("Registry checkpoint", run.registry_checkpoint, "hash"),
        )
        + _prefixed("Model", run.model)
        + _prefixed("Machine", run.machine)
        + _prefixed("Setting", run.config)
    )


def _prefixed(prefix: str, mapping: dict[str, Any]) -> tuple[Fact, ...]:
    facts = mapping_facts(mapping)
    return tuple(Fact(label=f"{prefix}: {one.label}", value=one.value, style=one.style) for one in facts)
