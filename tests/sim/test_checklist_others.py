"""What a faithful simulator must reproduce, point by point: signal, exec, numbers, prune, hooks, log (points 62-70).

Not here: points 1 to 61 (the other `test_checklist*.py`).
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import limits

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


def test_point_62_signal_knows_names_only(sim: Simulator) -> None:
    loop = "trap 'echo HUP' HUP; trap 'echo INT' INT; echo up; while :; do sleep 0.1; done"
    name = sim.prepare("p", f'sh -c "{loop}"')
    assert sim.pot("signal", "-p", name, "-s", "TERM").lines == ["###>  The pot is not running"]
    assert sim.pot("signal", "-f", "-p", name, "-s", "TERM").status == 0
    running = sim.start(name)
    sim.until(lambda: "up" in running.out)

    for wrong in ("9", "term", "SIGIOT", "CLD"):
        ended = sim.pot("signal", "-p", name, "-s", wrong)
        assert (ended.status, ended.lines[0].startswith("###>  Invalid signal, valid signals: HUP INT")) == (1, True)
    dry = sim.pot("signal", "-p", name, "-C", "-s", "HUP")
    assert dry.lines[1] == sim.tmp(f"pot_main_pid_{name}").read_text().strip()
    assert sim.pot("signal", "-p", name, "-s", "HUP", "-m", "nosuch").status == 1
    assert sim.pot("signal", "-p", name, "-P", "1").lines == [
        f"===>  Sending SIGINFO to pid 1 in pot {name}",
        "###>  Sending signal failed",
    ]
    assert sim.pot("signal", "-f", "-p", name, "-P", "1").status == 0
    sim.ok(f"signal -p {name} -s INT")
    assert sim.pot("signal", "-p", name, "-s", "SIGHUP").lines == [
        f"===>  Sending SIGHUP to main process of pot {name}"
    ]
    sim.until(lambda: "HUP" in running.out)
    assert "INT" not in running.out
    sim.tmp(f"pot_main_pid_{name}").unlink()
    assert sim.pot("signal", "-p", name, "-s", "HUP").status == 3
    assert sim.ok("signal -l").out.split()[-2:] == ["USR1", "USR2"]


def test_point_63_exec_has_a_clean_environment_and_the_commands_status(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    stopped = sim.pot("exec", "-p", name, "true")
    assert (stopped.status, stopped.lines) == (1, ["###>  The pot is not running"])
    sim.ok(f"set-env -p {name} -E TASK=1")
    sim.start(name)

    found = sim.pot("exec", "-p", name, "-e", "A=1 \"'\n$x", "env", LEAK="1").out
    assert found.startswith("PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin\n")
    assert found.endswith("A=1 \"'\n$x\n")
    assert "LEAK" not in found
    assert "TASK" not in found
    assert sim.pot("exec", "-p", name, "pwd").out == "/root\n"
    for command, status in (("exit 42", 42), ("kill -9 $$", 137), ("exit 1", 1)):
        assert sim.pot("exec", "-p", name, "sh", "-c", command).status == status
    assert sim.pot("exec", "-p", name, "nosuch").status == 127
    assert sim.pot("exec", "-p", name, "/etc/passwd").status == 126
    assert sim.pot("exec", "-p", name, "cat", stdin=b"a\0b").out == "a\0b"
    both = sim.pot("exec", "-p", name, "--", "sh", "-c", "echo out; echo err >&2")
    assert (both.out, both.err) == ("out\n", "err\n")
    assert sim.pot("exec", "-p", name, "-d", "sh", "-c", "exit 3").status == 0
    terminal = sim.pot("exec", "-p", name, "-t", "sh", "-c", "test -t 0 && echo on; echo err >&2; exit 6")
    assert (terminal.status, terminal.out.split(), terminal.err) == (6, ["on", "err"], "")
    assert sim.pot("exec", "-p", name, "-U", "ghost", "id").status == 1


def test_point_64_get_rss_is_json_unless_something_is_missing(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    assert sim.pot("get-rss", "-p", name, "-J").lines == [f"###>  The pot {name} is not running"]
    sim.start(name)
    usage = json.loads(sim.ok(f"get-rss -p {name} -J").out)["ResourceUsage"]
    assert usage["MemoryStats"]["RSS"] > 0
    assert set(usage["CpuStats"]) == {"TotalTicks", "Percent"}

    sim.fault("clockrate")
    assert '"TotalTicks": , ' in sim.ok(f"get-rss -p {name} -J").out
    sim.fault("usage")
    assert '"RSS" : , "Swap" :  }' in sim.ok(f"get-rss -p {name} -J").out
    sim.fault("racct")
    off = sim.pot("get-rss", "-p", name, "-J")
    assert (off.status, off.lines) == (1, ["###>  To get resource usage, rctl has to be enabled"])


def test_point_65_the_stats_are_not_reset_by_a_start(sim: Simulator) -> None:
    name = sim.prepare("p", "sh -c 'exit 3'")
    assert sim.pot("last-run-stats", "-p", name).out == "{}\n"
    sim.pot("start", name)
    assert sim.pot("set-cmd", "-p", name, "-c", "sleep 300").status == 0
    sim.start(name)

    assert sim.pot("last-run-stats", "-p", name).out == '{ "ExitCode": 3 }\n'
    missing = sim.pot("last-run-stats", "-p", "missing")
    assert (missing.status, missing.lines) == (1, ["###>   Pot missing not found", "###>  missing is not a pot"])


def test_point_66_prune_takes_what_has_run(sim: Simulator) -> None:
    """-n only tells, -g spares what ended just now, and one refusal ends it all."""
    names = [sim.prepare(each, "true") for each in ("a", "b", "c")]
    kept = sim.prepare("kept", "true")
    for name in (*names, kept):
        sim.pot("start", name)
    sim.ok(f"set-attr -p {kept} -A prunable -V NO")
    sim.prepare("never")
    assert sim.ok("prune -n").lines == [f"===>  Pruning {name}" for name in names]
    past = time.time() - 100
    os.utime(Path(sim.root.conf("b_a1")) / ".last_run_stats", (past, past))
    assert sim.ok("prune -g").lines == ["===>  Pruning b_a1", "===>  Destroying pot b_a1", "===>  Pruned b_a1"]

    sim.fault("destroy pot=a_a1")
    assert sim.pot("prune").status == 1
    assert sim.pot("ls", "-q").lines == ["a_a1", "c_a1", kept, "never_a1", "web_1_0"]


def test_point_67_list_shows_images_and_halves(sim: Simulator) -> None:
    assert sim.pot("ls").lines == ["No pot created yet..."]
    assert sim.pot("ls", "-q").out == ""
    sim.prepare("p")
    (Path(sim.root.jails) / "half").mkdir()

    assert sim.pot("ls", "-q").lines == ["half", "p_a1", "web_1_0"]
    assert sim.pot("ls", "-a", "-q").status == 1
    assert sim.pot("ls", "-b", "-f").status == 1


def test_point_68_hooks_run_on_the_host(sim: Simulator) -> None:
    """With the pot's facts, in start's own stream; poststop always, prestop only while the jail lives."""
    name = sim.prepare("p", "sh -c 'echo app; sleep 300'")
    options = []
    for option, kind in zip("sStT", ("prestart", "poststart", "prestop", "poststop"), strict=True):
        hook = sim.host / kind
        hook.write_text(f"echo {kind} $_POT_NAME ${{_POT_JID:+jid}} $CALLER; touch {sim.host}/{kind}.ran; exit 9\n")
        hook.write_text("#!/bin/sh\n" + hook.read_text())
        hook.chmod(0o755)
        options += [f"-{option}", str(hook)]
    assert sim.pot("set-hook", "-p", name, *options).status == 0
    running = sim.start(name, CALLER="me")
    sim.until(lambda: "app" in running.out)
    stopped = sim.ok(f"stop {name}")

    assert stopped.lines == [
        f"===>  Executing the pre-stop script for the pot {name}",
        f"prestop {name} jid",
        f"===>  Executing the post-stop script for the pot {name}",
        f"poststop {name}",
    ]
    started = running.ended()
    assert started.status == 0
    assert [line for line in started.lines if line != "app"] == [
        f"===>  Executing the pre-start script for the pot {name}",
        f"prestart {name} me",
        f"===>  Starting the pot {name}",
        f"===>  Executing the post-start script for the pot {name}",
        f"poststart {name} jid me",
    ]
    assert sim.pot("stop", name).lines == [
        f"===>  Executing the post-stop script for the pot {name}",
        f"poststop {name}",
    ]


def test_point_69_the_log_holds_every_argument(sim: Simulator) -> None:
    """Values and secrets included; commands that only ask leave no trace."""
    name = sim.prepare("p")
    sim.ok(f"set-env -p {name} -E SECRET=s3")
    sim.pot("exec", "-p", name, "-e", "TOKEN=t0", "true")
    before = sim.log()
    for quiet in ("config -g fs_root", f"info -p {name}", f"last-run-stats -p {name}", "list", "ps", "show -a"):
        sim.ok(quiet)

    assert sim.log() == before
    assert before[-2].endswith(f" <local2.info> {os.uname().nodename} pot: pot-set-env -p {name} -E SECRET=s3")
    assert before[-1].endswith(f"pot: pot-exec -p {name} -e TOKEN=t0 true")
    sim.ok(f"get-attribute -p {name} -A persistent")
    assert sim.log()[-1].endswith(f"pot: pot-get-attribute -p {name} -A persistent")


def test_point_70_the_rctl_rule_stays(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    sim.ok(f"set-rss -p {name} -M 64M")
    sim.pot("start", name)
    sim.ok(f"destroy -p {name}")

    assert [rule.partition("=")[0] for rule in limits.rules(sim.root)] == [f"jail:{name}:memoryuse:deny"]
