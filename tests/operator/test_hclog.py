"""The plugin's log is read as the agent reads it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pot_driver.operator.hclog import Lines, LogLine, parse

ENTRY = '{"@level":"info","@message":"hello","@timestamp":"2026-01-02T03:04:05.000006Z","task_id":"x"}'


def test_an_entry_has_level_message_and_fields() -> None:
    assert parse(ENTRY) == LogLine(level="info", message="hello", fields={"task_id": "x"}, structured=True)


def test_a_level_in_brackets_is_a_level() -> None:
    assert parse("[WARN] look out") == LogLine(level="warn", message="look out")


def test_what_would_hurt_the_agent_is_not_taken_for_an_entry() -> None:
    for bad in ('{"@level":"info","@message":1,"@timestamp":"x"}', '{"@level":"loud","@message":"x"}', "[1]", "null"):
        assert parse(bad) == LogLine(level="debug", message=bad)


@given(st.text())
def test_no_line_is_too_strange(line: str) -> None:
    assert parse(line).level


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=5), st.integers(1, 7))
def test_lines_are_found_however_the_bytes_come(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    got: list[LogLine] = []
    reader = Lines(got.append)

    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    reader.end()

    expected = lines if not lines or lines[-1] else lines[:-1]
    assert [entry.message for entry in got] == [parse(line.decode(errors="replace")).message for line in expected]
