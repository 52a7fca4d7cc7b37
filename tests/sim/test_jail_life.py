"""How jails begin and end, what keeps them alive, what they use and may use.

Not here: what is in them (`test_jail`), pot's commands (`test_checklist*`).
"""

# ruff: noqa: PTH110, PTH208  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import jail, limits, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Jails

pytestmark = pytest.mark.namespaces


def test_jids_grow_and_names_are_unique(jails: Jails) -> None:
    assert [jails.create(name) for name in "abc"] == [1, 2, 3]
    with pytest.raises(jail.JailError, match=r'^jail: jail "b" already exists$'):
        jails.create("b")
    jail.remove(jails.root, "b", stop_timeout=0)
    assert jails.create("b") == 4
    assert jail.names(jails.root) == {"a": 1, "c": 3, "b": 4}


def test_a_jail_ends_with_its_last_process(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    app = jails.attach("a", "sleep", "100")
    jail.end_helper(jails.root, "a")
    until(lambda: len(jail.pids(jails.root, "a")) == 1)
    assert jail.pids(jails.root, "a") == [app.pid]
    app.kill()
    app.wait()
    until(lambda: not jails.lives("a"))


def test_orphans_keep_a_jail_alive(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    jails.sh("a", "(sleep 0.3; sleep 0.3) >/dev/null 2>&1 &")
    jail.end_helper(jails.root, "a")
    assert jails.lives("a")
    until(lambda: not jails.lives("a"))


def test_without_a_process_a_jail_is_over_unless_it_is_persistent(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a", helper_sleep=False)
    until(lambda: not jails.lives("a"))
    jails.create("p", helper_sleep=False, persist=True)
    assert jails.sh("p", "exit 3").status == 3
    assert jails.lives("p")
    assert jail.pids(jails.root, "p") == []


def test_a_zombie_that_nobody_reaps_is_no_life(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    app = jails.attach("a", "true")
    jail.end_helper(jails.root, "a")
    until(lambda: not jails.lives("a"))
    assert app.wait() == 0


def test_removal_asks_first_and_then_insists(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    soft = jails.attach("a", "sh", "-c", "trap 'exit 5' TERM; touch /tmp/soft; while :; do sleep 0.05; done")
    hard = jails.attach("a", "sh", "-c", "trap '' TERM; touch /tmp/hard; while :; do sleep 0.05; done")
    until(lambda: {"soft", "hard"} <= set(os.listdir(jails.root.m("a") + "/tmp")))
    jail.remove(jails.root, "a", stop_timeout=0.5)
    assert (soft.wait(), hard.wait()) == (5, -signal.SIGKILL)
    assert not jails.lives("a")
    assert registry.recorded(jails.root.run) == []


def test_removal_without_a_timeout_kills_at_once(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    app = jails.attach("a", "sh", "-c", "trap 'exit 5' TERM; touch /tmp/up; while :; do sleep 0.05; done")
    until(lambda: os.path.exists(jails.root.m("a") + "/tmp/up"))
    jail.remove(jails.root, "a", stop_timeout=0)
    assert app.wait() == -signal.SIGKILL


def test_removal_returns_when_all_have_gone_long_before_the_timeout(jails: Jails) -> None:
    jails.create("a")
    app = jails.attach("a", "sleep", "100")
    jail.remove(jails.root, "a", stop_timeout=3600)
    assert app.wait() == -signal.SIGTERM


def test_exec_stop_runs_in_the_jail_before_any_signal(jails: Jails) -> None:
    jails.create("a")
    app = jails.attach("a", "sleep", "100")
    jail.remove(jails.root, "a", stop_timeout=5, exec_stop="hostname >/stopped; kill -0 1 && echo ok >>/stopped")
    assert app.wait() == -signal.SIGTERM
    assert Path(jails.root.m("a"), "stopped").read_text().splitlines()[0] == "a.host"


def test_removing_what_is_not_there_is_nothing(jails: Jails) -> None:
    jail.remove(jails.root, "none", stop_timeout=5)


def test_the_jail_survives_its_maker_killed_at_any_time(jails: Jails, until: Callable[..., None]) -> None:
    """Either there is no jail, or a whole one."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(jail.__file__).parents[2])!r})\n"
        "from pot_sim import jail, root\n"
        "r = root.Root(sys.argv[1])\n"
        "jail.create(r, jail.JailSpec(name=sys.argv[2], path=r.m('a'), hostname='h'))"
    )
    jails.unpacked("a")
    for number in range(12):
        name = f"n{number}"
        maker = subprocess.Popen([sys.executable, "-IS", "-c", program, jails.root.path, name])
        time.sleep(0.012 * number)
        maker.kill()
        maker.wait()
        until(lambda: not _jailers(jails.root.path))
        if jails.lives(name):
            assert jails.sh(name, "echo fine").out == "fine\n"
            assert len(jail.pids(jails.root, name)) == 1


def _jailers(root: str) -> list[int]:
    """Processes that still make a jail: not yet a jail's first process, which another session leads."""
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            name = Path(f"/proc/{pid}/comm").read_text()
        except OSError:
            continue
        if os.fsencode(root) in words and not name.startswith("jail:"):
            found.append(pid)
    return found


def test_a_killed_first_process_takes_all_with_it(jails: Jails) -> None:
    jails.create("a")
    app = jails.attach("a", "sleep", "100")
    record = registry.running(jails.root.run, "a")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    assert app.wait() == -signal.SIGKILL
    assert not jails.lives("a")
    assert jails.create("a") == 2  # the dead one's record is no obstacle


def test_a_limit_on_memory_is_kept(jails: Jails) -> None:
    jails.create("a", memory_bytes=64 << 20)
    record = registry.running(jails.root.run, "a")
    assert record is not None
    if "cgroup" not in record.fields:
        pytest.skip("this process may not make a cgroup with a memory limit")
    assert jails.run("a", "python3", "-c", "bytearray(16 << 20)").status == 0
    assert jails.run("a", "python3", "-c", "bytearray(200 << 20)").status == -signal.SIGKILL
    assert jails.lives("a")


def test_a_limit_on_cpus_is_kept(jails: Jails) -> None:
    jails.create("a", cpus=1)
    assert jails.run("a", "python3", "-c", "import os; print(len(os.sched_getaffinity(0)))").out == "1\n"


def test_usage_tells_what_a_jail_uses(jails: Jails) -> None:
    jails.create("a")
    script = (
        "b = bytearray(50 << 20); t = 0\nwhile t < 5_000_000: t += 1\nprint(flush=True)\nimport time; time.sleep(100)"
    )
    app = jails.attach("a", "python3", "-c", script, stdout=subprocess.PIPE)
    assert app.stdout is not None
    app.stdout.readline()
    used = {key: int(value) for key, value in limits.usage(jails.root, "a").items()}
    assert list(used) == list(limits.RESOURCES)
    assert 50 << 20 < used["memoryuse"] < 120 << 20
    assert used["maxproc"] == 2
    assert used["pcpu"] > 0
    app.kill()
    app.communicate()
    assert set(limits.usage(jails.root, "none").values()) == {"0"}
