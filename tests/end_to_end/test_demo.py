"""``ftf demo`` as a newcomer runs it: one command, right verdicts, a report that loads nothing from elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from newsroom import Newsroom, Run

LOADING = {"src", "srcset", "poster", "data", "background", "action", "formaction"}


class Loads(HTMLParser):
    """Collects what a page would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in LOADING or (name == "href" and tag in {"link", "use", "image"}):
                self.found.append((tag, value or ""))


@pytest.fixture(scope="module")
def demo(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("demo")
    return newsroom.ftf("demo", cwd=folder, home=folder / "unused", now=None), folder


def test_every_fake_is_traced_and_the_stranger_is_not(demo: tuple[Run, Path]):
    _, folder = demo
    lines = (folder / "ftf-demo" / "cases" / "demo" / "scan.jsonl").read_text("ascii").splitlines()
    verdicts = {row["path"]: row["verdict"] for row in map(json.loads, lines)}
    assert verdicts["face-swap.jpg"] == "VERIFIED_DERIVATIVE"
    assert verdicts["cut-out.jpg"] == "VERIFIED_DERIVATIVE"
    assert verdicts["swap-crop-480px.jpg"] == "VERIFIED_DERIVATIVE"
    assert verdicts["honest-copy.jpg"] == "VERIFIED_MATCH"
    assert verdicts["mirrored.jpg"] == "VERIFIED_MATCH"
    assert verdicts["close-up.jpg"] == "VERIFIED_MATCH"
    assert verdicts["reenacted.jpg"] == "VERIFIED_DERIVATIVE"
    for name in ("relit.jpg", "regenerated.png"):
        assert verdicts[name] in {"VERIFIED_MATCH", "VERIFIED_DERIVATIVE"}, name
    assert verdicts["untagged-original.jpg"] == "CONTENT_LEAD"
    assert verdicts["unrelated.jpg"] == "NO_TAG_READ"


def test_the_report_is_self_contained(demo: tuple[Run, Path]):
    _, folder = demo
    page = (folder / "ftf-demo" / "cases" / "demo" / "report.html").read_text("utf-8")
    loads = Loads()
    loads.feed(page)
    assert loads.found
    for tag, value in loads.found:
        assert value.startswith("data:") or (tag == "use" and value.startswith("#")), (tag, value[:80])
    assert "script" not in loads.tags
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:|#)", page)
    assert "VERIFIED_DERIVATIVE" in page or "Verified derivative" in page


def test_what_it_advises_works_and_the_users_own_home_stays_empty(newsroom: Newsroom, demo: tuple[Run, Path]):
    run, folder = demo
    assert not (folder / "unused").exists()
    (head,) = re.findall(r"--expect-head (\S+)", run.out)
    made = folder / "ftf-demo"
    newsroom.ftf("case", "verify", "demo", "--cases", made / "cases", "--expect-head", head, home=made / "home")
    assert len(newsroom.ftf("registry", "list", "--format", "jsonl", home=made / "home").rows()) == 3


def test_a_second_run_does_not_write_over_the_first(newsroom: Newsroom, demo: tuple[Run, Path]):
    _, folder = demo
    assert "there already" in newsroom.ftf("demo", cwd=folder, expect=7).err
