"""What a faithful simulator must reproduce, point by point: start, stop, states, destroy (points 45-61).

Not here: points 1 to 44, 62 to 70 (the other `test_checklist*.py`).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import epair
from pot_sim.root import set_boot

if TYPE_CHECKING:
    from conftest import Running, Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

_DEAF = "sh -c 'trap : TERM; echo up; while :; do sleep 0.1; done'"


def _stats(sim: Simulator, name: str) -> str:
    return sim.pot("last-run-stats", "-p", name).out


def _said(sim: Simulator, running: Running, text: str) -> None:
    sim.until(lambda: text in running.out)


def _kill(running: Running) -> None:
    running.process.kill()
    running.process.wait()


def test_point_45_the_status_file_and_its_transitions(sim: Simulator) -> None:
    """0: changed; 2: already so; 1: not from there."""
    name = sim.prepare("p")

    def to(state: str, *options: str) -> int:
        return sim.pot("set-status", "-p", name, "-s", state, *options).status

    assert [to(state) for state in ("started", "doa", "stopping", "stopped")] == [1, 1, 1, 1]
    assert [to("starting"), to("starting"), to("stopping"), to("stopped")] == [0, 2, 1, 1]
    assert [to("started", "-i", "p4a:p6b"), to("started"), to("starting")] == [0, 2, 1]
    assert sim.tmp(f"pot_status_{name}").read_text() == "pot.status=started,p4a:p6b\n"
    stopping = sim.pot("set-status", "-p", name, "-s", "stopping")
    assert (stopping.status, stopping.out) == (0, "p4a:p6b\n")
    assert [to("stopping"), to("stopped"), to("stopped"), to("stopping"), to("stopped")] == [2, 0, 2, 0, 0]
    assert [to("starting"), to("doa"), to("started"), to("stopping")] == [0, 0, 1, 0]
    unknown = sim.pot("set-status", "-p", name, "-s", "nonsense")
    assert (unknown.status, unknown.lines) == (0, ["###>  nonsense is not a valid status"])
    assert sim.tmp(f"pot_status_{name}").read_text() == "pot.status=,\n"
    assert to("nonsense") == 2


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        ("true", 0, 0),
        ("sh -c 'exit 7'", 125, 7),
        ("sh -c 'exit 125'", 125, 125),
        ("sh -c 'exit 255'", 125, 255),
        ("sh -c 'kill -9 $$'", 125, 137),
        ("sh -c 'kill -USR1 $$'", 125, 158),
        ("/bin/nosuch", 125, 127),
        ("/etc/passwd", 125, 126),
        ("'unterminated", 125, 2),
    ],
)
def test_point_46_start_says_0_or_125_and_the_stats_say_more(
    sim: Simulator, command: str, status: int, code: int
) -> None:
    """A signal is told by FreeBSD's number."""
    name = sim.prepare("p", command)

    assert sim.pot("start", name).status == status
    assert _stats(sim, name) == f'{{ "ExitCode": {code} }}\n'


def test_point_47_stdout_has_this_order(sim: Simulator) -> None:
    name = sim.prepare("p", "sh -c 'echo app; exit 1'")

    assert sim.pot("start", name).lines == [
        f"===>  Starting the pot {name}",
        "app",
        "",
        f"###>  {name} reported application error",
    ]


def test_point_48_the_apps_stderr_is_stderr(sim: Simulator) -> None:
    ended = sim.pot("start", sim.prepare("p", "sh -c 'echo app >&2'"))

    assert ended.err == "app\n"
    assert "app" not in ended.out


def test_point_49_the_app_finds_its_surroundings(sim: Simulator) -> None:
    """No input, the root directory, the whole environment of start, deaf to SIGINT and SIGQUIT."""
    name = sim.prepare("p", "sh -c 'pwd; wc -c; grep SigIgn /proc/self/status; id -u; env'")
    sim.ok(f"set-env -p {name} -E TASK=1")
    ended = sim.pot("start", name, stdin=b"not for you", AGENT_SECRET="s3")

    assert ended.lines[1:3] == ["/", "0"]
    ignored = int(ended.lines[3].split()[1], 16)
    assert ignored & (1 << signal.SIGINT - 1)
    assert ignored & (1 << signal.SIGQUIT - 1)
    assert not ignored & (1 << signal.SIGTERM - 1)
    assert ended.lines[4] == "0"
    assert {"TASK=1", "AGENT_SECRET=s3", f"_POT_NAME={name}", "_POT_IP=", "HOME=/root"} <= set(ended.lines)


def test_point_50_starting_a_running_pot_is_silent_success(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    sim.start(name)

    again = sim.pot("start", name)
    assert (again.status, again.out, again.err) == (0, "", "")
    assert sim.pot("start", "-v", name).lines == [f"=====>  pot {name} is already running"]


def test_point_51_a_jail_that_cannot_be_made_looks_like_a_failing_app(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    sim.fault("jail")
    ended = sim.pot("start", name)

    assert (ended.status, ended.lines[-1]) == (125, f"###>  {name} reported application error")
    assert _stats(sim, name) == '{ "ExitCode": 1 }\n'
    assert sim.state(name) == "stopped"


def test_point_52_children_that_the_app_leaves_behind_are_ended(sim: Simulator) -> None:
    """TERM, then KILL after stop_timeout, before start returns."""
    name = sim.prepare("p", "sh -c \"(trap '' TERM; echo deaf; sleep 300) & (sleep 300) & sleep 0.2\"")
    sim.ok(f"set-attr -p {name} -A stop_timeout -V 1")
    began = time.monotonic()
    assert sim.pot("start", name).status == 0

    assert time.monotonic() - began > 1
    assert not sim.lives(name)


def test_point_53_the_main_pid_comes_half_a_second_after_the_jail(sim: Simulator) -> None:
    """Until then a signal is refused with 3."""
    name = sim.prepare("p", "sleep 300")
    running = sim.background("start", name)
    sim.until(lambda: sim.lives(name))
    os.kill(running.process.pid, signal.SIGSTOP)
    early = sim.pot("signal", "-p", name, "-s", "TERM")
    os.kill(running.process.pid, signal.SIGCONT)

    assert (early.status, early.lines[-1]) == (3, "###>  Sending signal failed")
    sim.until(lambda: sim.tmp(f"pot_main_pid_{name}").exists())
    pid = int(sim.tmp(f"pot_main_pid_{name}").read_text())
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00300\x00"
    assert sim.pot("signal", "-p", name, "-s", "TERM").status == 0
    running.ended()
    assert not sim.tmp(f"pot_main_pid_{name}").exists()


def test_point_54_stop_asks_then_kills(sim: Simulator) -> None:
    """exec_stop first, TERM to all, KILL after stop_timeout; with 0 no TERM at all."""
    name = sim.prepare("p", "sh -c 'trap \"echo TERM >>/root/log\" TERM; echo up; while :; do sleep 0.1; done'")
    log = sim.m(name) / "root/log"
    assert sim.pot("set-attr", "-p", name, "-A", "exec_stop", "-V", "echo bye >>/root/log").status == 0
    sim.ok(f"set-attr -p {name} -A stop_timeout -V 1")
    running = sim.start(name)
    _said(sim, running, "up")
    began = time.monotonic()
    sim.ok(f"stop {name}")
    assert time.monotonic() - began > 1
    assert log.read_text() == "bye\nTERM\n"
    running.ended()
    assert _stats(sim, name) == '{ "ExitCode": 137 }\n'

    sim.ok(f"set-attr -p {name} -A stop_timeout -V 0")
    log.unlink()
    running = sim.start(name)
    _said(sim, running, "up")
    sim.ok(f"stop {name}")
    assert log.read_text() == "bye\n"


def test_point_55_stop_of_other_states(sim: Simulator) -> None:
    never = sim.pot("stop", sim.prepare("never"))
    assert (never.status, never.lines) == (1, ["###>  pot never_a1 is not in a state where it can be stopped"])
    missing = sim.pot("stop", "missing")
    assert (missing.status, missing.lines) == (0, ["###>  The pot missing is not a valid pot"])
    name = sim.prepare("p", "true")
    sim.pot("start", name)
    again = sim.pot("stop", name)
    assert (again.status, again.out) == (0, "")

    sim.ok(f"set-attr -p {name} -A stop_timeout -V 2")
    assert sim.pot("set-cmd", "-p", name, "-c", _DEAF).status == 0
    _said(sim, sim.start(name), "up")
    first = sim.background("stop", name)
    sim.until(lambda: sim.state(name) == "stopping")
    second = sim.pot("stop", name)
    assert (second.status, second.lines) == (1, [f"###>  pot {name} is already stopping!"])
    assert first.ended().status == 0


def test_point_56_start_returns_0_when_somebody_else_stops(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    running = sim.start(name)
    sim.ok(f"stop {name}")

    assert running.ended().status == 0
    assert running.ended().lines == [f"===>  Starting the pot {name}"]
    assert _stats(sim, name) == '{ "ExitCode": 143 }\n'


def test_point_57_a_killed_start_leaves_an_orphan(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    _kill(sim.start(name))

    assert sim.state(name) == "started"
    assert sim.pot("exec", "-p", name, "true").status == 0
    assert sim.pot("start", name).status == 0
    assert _stats(sim, name) == "{}\n"
    sim.ok(f"signal -p {name} -s TERM")
    sim.until(lambda: not sim.lives(name))
    assert sim.pot("start", name).lines == [f"###>  pot {name} is not in a state where it can start"]
    sim.ok(f"stop {name}")
    assert sim.state(name) == "stopped"
    assert sim.tmp(f"pot_main_pid_{name}").exists()


def test_point_58_set_status_doa_frees_a_pot_stuck_in_starting(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    running = sim.background("start", name)
    sim.until(lambda: sim.lives(name))
    _kill(running)

    assert sim.state(name) == "starting"
    assert sim.pot("start", name).status == 0
    assert sim.pot("stop", name).status == 1
    assert sim.pot("destroy", "-F", "-p", name).status == 1
    sim.ok(f"set-status -p {name} -s doa")
    sim.ok(f"stop {name}")
    sim.ok(f"destroy -p {name}")


def test_point_59_destroy_has_its_ways(sim: Simulator) -> None:
    """Running: not without -F; missing: never; not running: without a stop, so the epair stays."""
    name = sim.prepare("p", "sleep 300", "-N", "public-bridge")
    running = sim.start(name)
    refused = sim.pot("destroy", "-p", name)
    assert (refused.status, refused.lines[-1]) == (1, f"###>  pot {name} is running")
    image = sim.pot("destroy", "-p", "web_1_0")
    assert (image.status, image.lines[-1]) == (1, "###>  web_1_0 destruction failed")
    _kill(running)
    sim.ok(f"signal -p {name} -s KILL")
    sim.until(lambda: not sim.lives(name))
    sim.ok(f"destroy -F -p {name}")
    assert len(epair.interfaces(sim.root)) == 2
    for options in ([], ["-F"]):
        missing = sim.pot("destroy", *options, "-p", name)
        assert (missing.status, missing.lines) == (
            1,
            [f"###>   Pot {name} not found", f"###>  pot {name} not found or corrupted. Try to use the -F flag"],
        )

    other = sim.prepare("q", "sleep 300")
    running = sim.start(other)
    sim.ok(f"destroy -F -p {other}")
    assert running.ended().status in (0, 1)
    assert not sim.tmp(f"pot_status_{other}").exists()


def test_point_60_an_epair_takes_a_second_to_go(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300", "-N", "public-bridge")
    running = sim.start(name)
    began = time.monotonic()
    sim.ok(f"stop {name}")

    assert time.monotonic() - began >= 1
    assert epair.interfaces(sim.root) == []
    running.ended()


def test_point_61_a_status_from_before_the_boot_counts_for_nothing(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    running = sim.start(name)
    os.killpg(running.process.pid, signal.SIGKILL)
    sim.until(lambda: not sim.lives(name))
    past = time.time() - 100
    os.utime(sim.tmp(f"pot_status_{name}"), (past, past))
    set_boot(sim.root, int(time.time()) - 50, "another")

    assert sim.pot("stop", name).lines == [f"###>  pot {name} is not in a state where it can be stopped"]
    again = sim.background("start", "-v", name)
    sim.until(lambda: sim.lives(name) and sim.state(name) == "started")
    sim.ok(f"stop {name}")
    assert f"=====>  Ignoring outdated status file {sim.tmp('pot_status_' + name)}" in again.ended().err
