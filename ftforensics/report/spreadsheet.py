"""Text for a cell of a CSV file that may be opened in a spreadsheet. In: any string. Out: one that is no formula there.

Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import re

from ftforensics.report.visible import visible

# At the start of a cell, and after a semicolon: where that is the list separator, a new cell starts there. The wide
# forms are folded to the plain ones by some spreadsheets.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\t\r\n＝＋－＠])")


def guard_cell(text: str) -> str:
    """What cannot be seen spelt out, and an apostrophe before all that a spreadsheet would take for a formula."""
    return visible(_FORMULA.sub(r"\1'", text))
