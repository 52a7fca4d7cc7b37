"""Two of everything at once, commands killed at any moment, and what asking costs.

Not here: hundreds of lifecycles at once (the soak).
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("prepare -p web -t 1.0 -a a1 -n new -c true", [{0, 1}]),
        ("clone -P web_1_0 -p new", [{0, 1}]),
        ("create-private-bridge -B b -S 4", [{0, 1}]),
        ("set-env -p p_a1 -E A=1", [{0}]),
        ("set-attribute -p p_a1 -A prunable -V NO", [{0}]),
        ("set-rss -p p_a1 -M 64M", [{0}]),
        ("set-cmd -p p_a1 -c true", [{0}]),
        ("set-hosts -p p_a1 -H a:1.2.3.4", [{0}, {0, 1}]),
        ("copy-in -p p_a1 -s /etc/passwd -d /root/x", [{0}]),
        ("mount-in -p p_a1 -d /etc -m /x", [{0}, {0, 1}]),
        ("start p_a1", [{0, 1}, {0}]),
        ("destroy -p p_a1", [{0, 1}, {0}]),
        ("snapshot -p p_a1", [{0}]),
        ("prune", [{0}]),
    ],
)
def test_two_at_once_have_one_of_pots_answers(sim: Simulator, line: str, allowed: list[set[int]]) -> None:
    """And never a word that is not pot's or one of its tools'."""
    sim.prepare("p", "sleep 0.3")
    both = [sim.background(*line.split()) for _ in range(2)]
    ended = [each.ended() for each in both]

    assert {each.status for each in ended} in allowed, ended
    assert not any("Traceback" in each.err for each in ended), ended


def test_a_start_that_is_killed_at_any_moment_can_be_cleaned_up(sim: Simulator) -> None:
    """By what pot offers for that: set-status doa, stop, destroy -F; and nothing of it stays."""
    rolling = random.Random(7)
    for number in range(12):
        name = sim.prepare(f"p{number}", "sleep 300", "-N", "public-bridge", "-e", "80")
        running = sim.background("start", name)
        time.sleep(rolling.uniform(0, 0.9))
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        sim.pot("set-status", "-p", name, "-s", "doa")
        sim.pot("stop", name)
        ended = sim.pot("destroy", "-F", "-p", name)

        assert ended.status == 0, ended
        assert not sim.lives(name)
    assert sim.pot("ls", "-q").lines == ["web_1_0"]


def test_asking_for_a_pot_costs_little_more_than_python(sim: Simulator) -> None:
    """`pot info -qp` is what drivers and tests call most."""
    name = sim.prepare("p")

    def seconds(*argv: str) -> float:
        began = time.perf_counter()
        subprocess.run(argv, env={"PATH": sim.root.bin}, check=True)
        return time.perf_counter() - began

    python = os.path.realpath(sys.executable)
    bare = [seconds(python, "-I", "-S", "-c", "pass") for _ in range(41)]
    asking = [seconds(sim.root.bin + "/pot", "info", "-qp", name) for _ in range(41)]

    assert statistics.median(asking) <= 2.5 * statistics.median(bare)
