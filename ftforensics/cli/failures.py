"""What is said when something that was to be checked does not hold: a result, a sentence and an exit code."""

from __future__ import annotations

from ftforensics.cli.errors import INTEGRITY, check_code
from ftforensics.cli.output import Format, Output
from ftforensics.errors import FtfError


def report_failure(output: Output, error: FtfError, form: Format) -> int:
    """Tell a failed check.

    Args:
        output: Gets the result (that it does not hold, the first broken link, why) and the sentence.
        error: What the check raised.
        form: Of the result.

    Returns:
        The exit code: 4, unless the thing could not be checked at all (not there, of another version, locked).
    """
    code = check_code(error)
    if code == INTEGRITY:
        position = getattr(error, "position", None)
        output.facts({"holds": False, "first_broken": position, "reason": error.sentence}, form)
    output.error(error.sentence)
    return code
