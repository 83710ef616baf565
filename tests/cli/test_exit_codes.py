"""Errors to exit codes, and several codes to one."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics import errors
from ftforensics.cli.errors import MEANINGS, check_code, combine_codes, exit_code

ORDER = (70, 4, 7, 6, 5, 130, 3, 2, 1, 0)
EXPECTED = {
    errors.FtfError: 70,
    errors.UsageError: 2,
    errors.EvidenceError: 3,
    errors.EvidenceUnreadable: 3,
    errors.EvidenceTooLarge: 3,
    errors.ModeUnsupported: 3,
    errors.CodecError: 3,
    errors.LinkError: 3,
    errors.ReportError: 3,
    errors.EngineError: 5,
    errors.ModelMissing: 5,
    errors.BackendUnavailable: 5,
    errors.PlanRefused: 5,
    errors.TrustError: 6,
    errors.KeyUnknown: 6,
    errors.KeyLocked: 6,
    errors.KeyRevoked: 6,
    errors.IssuerUntrusted: 6,
    errors.SignatureInvalid: 4,
    errors.ChainBroken: 4,
    errors.StoreError: 4,
    errors.SchemaMismatch: 5,
    errors.AlreadyExists: 7,
    errors.NotFound: 2,
    errors.WriteFailed: 7,
}


def all_errors(root: type[errors.FtfError] = errors.FtfError) -> set[type[errors.FtfError]]:
    return {root}.union(*(all_errors(kind) for kind in root.__subclasses__()))


def test_every_error_has_a_considered_code() -> None:
    assert {kind for kind in all_errors() if kind.__module__ == "ftforensics.errors"} == set(EXPECTED)
    assert {kind: exit_code(kind("x")) for kind in EXPECTED} == EXPECTED


def test_other_exceptions() -> None:
    assert exit_code(KeyboardInterrupt()) == 130
    assert exit_code(ValueError("x")) == 70


def test_busy_database_is_unavailable_not_damaged() -> None:
    first, second = (sqlite3.connect("file:busy?mode=memory&cache=shared", uri=True, timeout=0) for _ in "12")
    first.execute("CREATE TABLE t (x)")
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as busy:
        second.execute("BEGIN IMMEDIATE")
    error = errors.StoreError("locked")
    error.__cause__ = busy.value
    assert (exit_code(error), check_code(error)) == (5, 5)
    first.close()
    second.close()


def test_what_was_to_be_checked_fails_with_4() -> None:
    for kind in (errors.TrustError, errors.IssuerUntrusted, errors.ChainBroken, errors.StoreError):
        assert check_code(kind("x")) == 4
    assert [check_code(kind("x")) for kind in (errors.NotFound, errors.SchemaMismatch, errors.WriteFailed)] == [2, 5, 7]


@given(st.lists(st.sampled_from(ORDER)))
def test_the_worst_code_wins(codes: list[int]) -> None:
    assert combine_codes(codes) == min(codes, key=ORDER.index, default=0)


def test_the_order_of_the_conventions() -> None:
    documented = [70, 4, 7, 6, 5, 3, 1, 0]
    for worse, better in pairwise(documented):
        assert combine_codes([better, worse, 0]) == worse
    assert combine_codes([0, 99]) == 70
    assert set(documented) < set(MEANINGS)
