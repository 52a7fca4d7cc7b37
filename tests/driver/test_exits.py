"""The truth about an end: what is known comes first, and what is not known is never a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver import exits, signals
from pot_driver.keeper.record import ExitRecord

codes = st.none() | st.integers(0, 255)
records = st.none() | st.builds(ExitRecord, start_status=st.integers(0, 255), exit_code=codes)


@given(records, codes, st.booleans())
def test_success_needs_a_known_zero(record: ExitRecord | None, code: int | None, ours: bool) -> None:
    ended = exits.result(record, exit_code=code, stopped_by_us=ours, words="")
    known = code if record is None or record.exit_code is None else record.exit_code

    assert ended.successful == (known == 0)
    if known is None:
        assert ended.err
    else:
        assert ended.exit_code == known
    assert exits.describe(ended)


@given(st.sampled_from(sorted(signals.NAMES)))
def test_a_death_by_signal_is_told_twice(number: int) -> None:
    ended = exits.of_code(128 + number)

    assert (ended.exit_code, ended.signal) == (128 + number, number)
    assert exits.describe(ended) == f"Killed by {signals.NAMES[number]}"


@pytest.mark.parametrize(
    ("record", "ours", "code", "err"),
    [
        (ExitRecord(start_status=0, exit_code=0), False, 0, ""),
        (ExitRecord(start_status=125, exit_code=3), False, 3, ""),
        (ExitRecord(start_status=125, exit_code=125), False, 125, ""),
        (ExitRecord(start_status=0, exit_code=143), True, 143, ""),
        (ExitRecord(start_status=0, exit_code=143), False, 143, "the pot was stopped by someone else on the host"),
        (ExitRecord(start_status=1, exit_code=None), False, -1, "exit code unknown: pot start ended with 1"),
        (ExitRecord(start_status=0, exit_code=None), False, -1, "exit code unknown: pot start ended with 0"),
        (ExitRecord(start_status=125, exit_code=None), False, 125, "with an unknown exit code: pot's words"),
        (None, False, -1, "exit code unknown: pot start was killed"),
    ],
)
def test_the_table_of_ends(record: ExitRecord | None, ours: bool, code: int, err: str) -> None:
    ended = exits.result(record, exit_code=None, stopped_by_us=ours, words="pot's words")

    assert ended.exit_code == code
    assert err in ended.err
    assert bool(err) == bool(ended.err)


def test_a_code_that_no_signal_has_is_only_a_code() -> None:
    assert exits.of_code(255).signal == 0
    assert exits.describe(exits.of_code(3)) == "Exited with 3"
