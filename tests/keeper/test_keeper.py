"""The keeper runs a pot to its end and writes down the truth, with every shell that a host may have."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pot_driver.errors import PotFailed
from pot_driver.keeper import record
from pot_driver.keeper.alive import Watch
from pot_driver.keeper.home import Home
from pot_driver.keeper.launch import launch
from pot_driver.process import Processes

SHELLS = ("sh" if platform.system() == "FreeBSD" else "dash", "busybox", "mksh", "yash", "bash")

# Stands in for pot: runs the text in APP as pot runs an app, and leaves the exit code where pot leaves it.
POT = """#!/bin/sh
echo "===>  Starting the pot $3"
sh -c "$(cat {app})" </dev/null &
wait $!
code=$?
echo "{{ \\"ExitCode\\": $code }}" >{stats}
[ $code = 0 ] || {{ echo "###>  $3 reported application error"; exit 125; }}
"""


@dataclass
class Bench:
    """A host with one shell and a stand-in for pot, and a task's home with its two log FIFOs."""

    home: Home
    processes: Processes
    app: Path
    stats: Path
    stdout: Path
    stderr: Path
    gate: Path  # where the app waits, when its text says GATE
    last_gate: Path  # and when it says it again
    written: list[int] = field(default_factory=list)  # held open until the keeper writes

    async def launch(self, app: str) -> Watch:
        # One pipe for each place: the writer of the first may be there when the second is read.
        self.app.write_text(
            app.replace("GATE", f"read go <{self.gate}", 1).replace("GATE", f"read go <{self.last_gate}")
        )
        await launch(
            self.processes,
            self.home,
            pot="pot",
            pot_name="web",
            last_run_stats=str(self.stats),
            stdout_path=str(self.stdout),
            stderr_path=str(self.stderr),
            timeout_s=10,
        )
        while self.written:
            os.close(self.written.pop())
        return Watch(self.home.alive)

    def open_gate(self) -> None:
        self.gate.write_text("go\n")

    def open_last_gate(self) -> None:
        self.last_gate.write_text("go\n")

    def reader(self, fifo: Path) -> subprocess.Popen[bytes]:
        """Reads until the end; it has begun, or what is written before it comes would be lost."""
        reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
        self.written.append(os.open(fifo, os.O_WRONLY))
        return reader


@pytest.fixture(params=SHELLS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"{request.param} is not installed")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sh").symlink_to(shell)
    app, stats = tmp_path / "app", tmp_path / "stats"
    (tools / "pot").write_text(POT.format(app=app, stats=stats))
    (tools / "pot").chmod(0o755)
    for fifo in ("out", "err", "gate", "last_gate"):
        os.mkfifo(tmp_path / fifo, 0o600)
    home = Home(tmp_path / "homes" / "web")
    home.create(b"state")
    processes = Processes(f"{tools}:/usr/bin:/bin")
    yield Bench(
        home, processes, app, stats, tmp_path / "out", tmp_path / "err", tmp_path / "gate", tmp_path / "last_gate"
    )
    subprocess.run(["pkill", "-9", "-f", str(home.path)], check=False)


async def test_the_record_tells_the_apps_code(bench: Bench) -> None:
    watch = await bench.launch("exit 7")
    await watch.ended()

    assert bench.home.exit_record() == record.ExitRecord(start_status=125, exit_code=7)


async def test_the_app_writes_to_the_logs_and_pot_does_not(bench: Bench) -> None:
    out, err = bench.reader(bench.stdout), bench.reader(bench.stderr)
    watch = await bench.launch("echo to-stdout >&3; echo to-stderr >&4; exit 3")
    await watch.ended()

    assert out.communicate()[0] == b"to-stdout\n"
    assert err.communicate()[0] == b"to-stderr\n"
    assert "===>  Starting the pot web" in bench.home.start_log()
    assert "reported application error" in bench.home.start_log()


async def test_what_the_app_makes_can_be_read_by_others(bench: Bench) -> None:
    out = bench.reader(bench.stdout)
    watch = await bench.launch("umask >&3")
    await watch.ended()

    assert int(out.communicate()[0], 8) == 0o022


async def test_logs_end_before_the_keeper_is_over(bench: Bench) -> None:
    out, err = bench.reader(bench.stdout), bench.reader(bench.stderr)
    watch = await bench.launch("echo last >&3")
    await watch.ended()

    assert await asyncio.to_thread(out.wait) == 0
    assert await asyncio.to_thread(err.wait) == 0
    assert out.communicate()[0] == b"last\n"
    err.communicate()


async def test_a_killed_keeper_leaves_no_record_and_the_app_running(bench: Bench) -> None:
    watch = await bench.launch("echo $$ >&3; exec sleep 60")
    with bench.stdout.open("rb") as log:
        app = int(log.readline())
    os.kill(await keeper_pid(bench), signal.SIGKILL)
    await watch.ended()

    assert bench.home.exit_record() is None
    os.kill(app, signal.SIGKILL)


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM])
async def test_hang_up_and_term_do_not_end_the_keeper(bench: Bench, signum: signal.Signals) -> None:
    watch = await bench.launch("GATE; GATE; exit 4")
    bench.open_gate()  # the app runs, so the keeper is ready
    os.kill(await keeper_pid(bench), signum)
    bench.open_last_gate()
    await watch.ended()

    assert bench.home.exit_record() == record.ExitRecord(start_status=125, exit_code=4)


async def test_the_app_can_be_terminated_and_holds_nothing_of_the_keeper(bench: Bench) -> None:
    out = bench.reader(bench.stdout)
    watch = await bench.launch("{ procstat -f $$ || ls -l /proc/self/fd; } 2>/dev/null >&3; kill -TERM $$; exit 1")
    await watch.ended()
    listing, _ = await asyncio.to_thread(out.communicate)

    assert bench.home.exit_record() == record.ExitRecord(start_status=125, exit_code=143)
    assert listing
    assert b"alive" not in listing


async def test_a_killed_pot_start_is_told(bench: Bench) -> None:
    watch = await bench.launch("kill -9 $PPID; exec sleep 0.1")
    await watch.ended()

    written = bench.home.exit_record()
    assert written is not None
    assert written.exit_code is None
    assert written.start_status > 128  # 137, but for yash, which adds more


async def test_a_log_reader_that_dies_neither_kills_the_app_nor_loses_output(bench: Bench) -> None:
    first = bench.reader(bench.stdout)
    watch = await bench.launch("echo one >&3; GATE; echo two >&3; echo three >&3; GATE")
    assert first.stdout is not None
    assert first.stdout.readline() == b"one\n"
    first.kill()
    first.communicate()
    bench.open_gate()
    with bench.stdout.open("rb") as second:
        assert [await asyncio.to_thread(second.readline) for _ in range(2)] == [b"two\n", b"three\n"]
    bench.open_last_gate()
    await watch.ended()

    assert bench.home.exit_record() == record.ExitRecord(start_status=0, exit_code=0)


async def test_a_record_that_cannot_be_written_is_said(bench: Bench) -> None:
    (bench.home.path / "exit").mkdir()
    watch = await bench.launch("exit 0")
    await watch.ended()

    assert bench.home.exit_record() is None
    assert "exit cannot be written" in bench.home.start_log()


async def test_a_later_process_sees_whether_the_keeper_lives(bench: Bench) -> None:
    watch = await bench.launch("GATE")
    later = Watch(bench.home.alive)
    assert not later.over
    bench.open_gate()
    await watch.ended()
    await later.ended()

    assert Watch(bench.home.alive).over


async def test_the_keeper_is_nobodys_child_and_alone(bench: Bench) -> None:
    watch = await bench.launch("GATE")
    pid = await keeper_pid(bench)
    parent = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    bench.open_gate()
    await watch.ended()

    assert int(parent.stdout) != os.getpid()


@pytest.mark.parametrize("trap", ["symlink", "file", "absent"])
async def test_a_log_that_is_not_nomads_fifo_is_refused(bench: Bench, trap: str) -> None:
    bench.stdout.unlink()
    if trap == "symlink":
        bench.stdout.symlink_to(bench.stderr)
    elif trap == "file":
        bench.stdout.touch()
    with pytest.raises(PotFailed, match="cannot open the task's log"):
        await bench.launch("exit 0")


def test_a_cut_record_is_none() -> None:
    whole = 'status=125\nstats={ "ExitCode": 7 }\nend\n'

    assert record.parse(whole) == record.ExitRecord(start_status=125, exit_code=7)
    assert all(record.parse(whole[:cut]) is None for cut in range(len(whole)))
    assert record.parse("status=1\nstats=\nend\n") == record.ExitRecord(start_status=1, exit_code=None)


def test_homes_are_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "state" / "web")
    home.create(b"1")
    home.save(b"2")

    assert home.load() == b"2"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home.path.parent, home.path)] == [0o700, 0o700]
    home.remove()
    home.remove()
    assert not home.exists


async def keeper_pid(bench: Bench) -> int:
    """The pid of the one process that keeps the pot; for a moment there are its launcher or its child as well."""
    while True:
        found = subprocess.run(
            ["pgrep", "-f", str(bench.home.keeper)], capture_output=True, text=True, check=False
        ).stdout.split()
        if len(found) == 1:
            return int(found[0])
        await asyncio.sleep(0.01)
