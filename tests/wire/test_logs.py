"""Whatever is logged leaves as a line that the agent understands.

Not here: what is worth logging.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver import logs
from pot_driver.operator import hclog

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
METHODS = ("debug", "info", "warning", "error", "critical", "exception")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner)
)


class Unshowable:
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


@given(
    st.sampled_from(METHODS), values, st.dictionaries(st.sampled_from(["@message", "@level", "a", "b c", ""]), values)
)
def test_any_entry_is_one_line_of_hclog(method: str, event: Any, more: dict[str, Any]) -> None:
    """Level, message and time are always strings, whatever was logged."""
    line = logs.render(None, method, {**more, "event": event, "@timestamp": "2026-01-01T00:00:00.000000Z"})

    assert "\n" not in line
    assert hclog.parse(line).structured


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 100_000, "\x00" * 20_000, "\n" * 70_000])
def test_a_line_stays_below_the_readers_limit(text: str) -> None:
    """What is too long is cut, and says so."""
    line = logs.render(None, "info", {"event": text, "@timestamp": "t", "one": text, "two": [text, text]})

    assert len(line) < 64 * 1024
    assert "characters more" in hclog.parse(line).message


def test_a_thousand_long_fields_leave_the_message() -> None:
    """Where even cut fields are too many, the entry itself is kept."""
    many = {f"field {n}": "x" * 300 for n in range(1000)}
    line = logs.render(None, "info", {"event": "kept", "@timestamp": "t", **many})

    assert len(line) < 64 * 1024
    assert hclog.parse(line).message == "kept"


def test_what_cannot_be_shown_is_said_to_be_so() -> None:
    """A log entry never fails for what it shows."""
    line = logs.render(None, "info", {"event": Unshowable(), "@timestamp": "t", "it": Unshowable()})

    assert json.loads(line)["@message"] == json.loads(line)["it"] == "<Unshowable that cannot be shown>"


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", "debug"), ("info", "info"), ("warning", "warn"), ("error", "error"), ("critical", "error")],
)
def test_levels_are_hclogs(method: str, level: str) -> None:
    """The agent knows no "warning" and no "critical"."""
    assert json.loads(logs.render(None, method, {"event": "x"}))["@level"] == level


def test_everything_that_speaks_speaks_hclog() -> None:
    """structlog, the standard library, warnings, threads and the last error of all: each line is structured."""
    lines = _run(
        """
        import logging, threading, warnings, structlog
        from pot_driver import logs

        logs.configure(2)
        log = structlog.get_logger()
        log.info("ours", task_id="t")
        log.info("%s of %s", 1, 2)
        logging.getLogger("grpc").error("from %s", "grpc")
        logging.getLogger("asyncio").warning("wrong format %d", "x")
        logging.getLogger("other").info("too low")
        warnings.warn("careful")
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        with structlog.contextvars.bound_contextvars(pot="p"):
            log.warning("bound")
        raise ValueError("the last")
        """
    )
    entries = [json.loads(line) for line in lines]

    assert all(TIMESTAMP.fullmatch(entry["@timestamp"]) for entry in entries)
    assert [entry["@message"].split("\n")[0] for entry in entries] == [
        "ours",
        "1 of 2",
        "from grpc",
        "wrong format %d",
        "<string>:11: UserWarning: careful",
        "unexpected error: ZeroDivisionError: division by zero",
        "bound",
        "unexpected error: ValueError: the last",
    ]
    assert [entry["@level"] for entry in entries] == [
        "info",
        "info",
        "error",
        "warn",
        "warn",
        "error",
        "warn",
        "error",
    ]
    assert entries[0]["task_id"] == "t"
    assert entries[-2]["pot"] == "p"
    assert "Traceback" in entries[-1]["exception"]


def test_no_reader_is_no_problem() -> None:
    """A log whose reader has gone swallows everything and raises nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    code = "import structlog; from pot_driver import logs; logs.configure(2)\n"
    code += "for n in range(1000): structlog.get_logger().info('x' * n)\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=writing, text=True, check=True)
    os.close(writing)

    assert done.stdout == "alive\n"


def test_no_child_inherits_the_log() -> None:
    """The host notices the plugin's end by the end of this pipe."""
    code = """
        import os, subprocess, sys
        from pot_driver import logs

        logs.configure(2)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        child = subprocess.Popen(["sleep", "600"], close_fds=False, stdin=null, stdout=null)
        print(child.pid)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=60
    )
    os.kill(int(done.stdout), 9)

    assert done.stderr == ""


def _run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code).strip()], capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()


def test_a_plugin_never_waits_for_who_does_not_read_its_log() -> None:
    """What found no room is counted, and told when there is room again."""
    program = (
        "import os, sys, structlog; from pot_driver import logs; logs.configure(2); log = structlog.get_logger();\n"
        "for number in range(5000): log.info('x' * 500, number=number)\n"
        "os.write(1, b'done'); sys.stdin.readline(); log.info('one more'); logs.flush(20)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"done"
        first = process.stderr.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        rest = process.stderr.read().splitlines()

    assert json.loads(first)["number"] == 0
    assert json.loads(rest[-1])["@message"] == "one more"
    assert any("log entries were dropped" in json.loads(line)["@message"] for line in rest)
