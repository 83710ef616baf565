from __future__ import annotations

import pytest
from page_tree import Element, parse_page
from sample_case import sample_view

from ftforensics.domain.case import CaseView
from ftforensics.report.html_page import render_html


@pytest.fixture(scope="session")
def view() -> CaseView:
    return sample_view()


@pytest.fixture(scope="session")
def page(view: CaseView) -> Element:
    return parse_page(render_html(view, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0"))
