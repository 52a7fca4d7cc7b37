"""People see steps, events and whole lines; programs get plain lines."""

from __future__ import annotations

import io

import pytest

from pot_driver.operator.console import TOLD, Console


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Watch:
    """Each look is a second and a half later."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        self.now += 1.5
        return self.now


def console(*, terminal: bool = False, steps_only: bool = False) -> tuple[Console, io.StringIO]:
    stream = Terminal() if terminal else io.StringIO()
    return Console(plain=not terminal, steps_only=steps_only, stream=stream, clock=Watch()), stream


def test_a_plain_step_is_one_line_with_its_name_and_its_seconds_first() -> None:
    plain, stream = console()

    with plain.step("start", "starting") as step:
        step.result = "task web runs"
        step.more = ["for people"]

    assert stream.getvalue() == "start 1.50 s task web runs\n"


def test_a_step_that_fails_says_why_and_is_told_once() -> None:
    plain, stream = console()

    with pytest.raises(ValueError, match="no luck") as error, plain.step("start"):
        raise ValueError("no luck")

    assert stream.getvalue() == "start 1.50 s failed: no luck\n"
    assert TOLD in error.value.__notes__


def test_steps_only_leaves_out_all_else() -> None:
    plain, stream = console(steps_only=True)

    plain.title("title")
    plain.note("note")
    plain.event("web", "Downloading")
    plain.output("web", "stdout", b"line\n")
    with plain.step("stop"):
        pass

    assert stream.getvalue() == "stop 1.50 s\n"


def test_output_is_shown_in_whole_lines_with_its_task() -> None:
    plain, stream = console()

    plain.output("web", "stdout", b"one\ntw")
    plain.output("web", "stderr", b"\xff bad\n")
    plain.output("web", "stdout", b"o\nrest")
    plain.flush()

    assert stream.getvalue().splitlines() == [
        "web stdout: one",
        "web stderr: \N{REPLACEMENT CHARACTER} bad",
        "web stdout: two",
        "web stdout: rest",
    ]


def test_a_terminal_gets_colours_and_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown, stream = console(terminal=True)

    with shown.step("start", "starting") as step:
        shown.output("web", "stdout", b"hello\n")
        step.more = ["why it matters"]

    text = stream.getvalue()
    assert "… start        starting" in text
    assert "\x1b[36mweb\x1b[0m │ hello\n" in text
    assert "✓" in text
    assert "why it matters" in text


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown, stream = console(terminal=True)

    shown.title("plain words")

    assert stream.getvalue() == "\r\x1b[Kplain words\n"
