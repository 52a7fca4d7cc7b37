"""Jails: what is inside, what is outside, and how they are joined.

Not here: how they begin and end (`test_jail_life`), networks (`test_network`), pot's commands (`test_checklist*`).
"""

# ruff: noqa: PTH115, PTH208  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import jail
from pot_sim.jail import Mount

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Jails

DEVICES = ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]

pytestmark = pytest.mark.namespaces


def test_a_jail_has_its_own_processes_host_name_and_ipc(jails: Jails) -> None:
    jails.create("a")
    inside = jails.sh("a", "hostname; ls /proc | grep -c '^[0-9]'; readlink /proc/self/ns/ipc /proc/self/ns/pid").lines
    assert inside[0] == "a.host"
    assert int(inside[1]) < 10
    assert inside[2:] != [os.readlink("/proc/self/ns/ipc"), os.readlink("/proc/self/ns/pid")]


def test_the_rest_of_the_host_cannot_be_seen(jails: Jails, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    jails.create("a")
    assert jails.run("a", "ls", str(tmp_path)).status != 0
    assert jails.sh("a", "cd /; cd ../../..; ls").lines == sorted(os.listdir(jails.root.m("a")))[1:]  # without .host


def test_the_host_s_own_files_cannot_be_written(jails: Jails) -> None:
    jails.create("a")
    assert "Read-only" in jails.run("a", "touch", "/usr/x").err
    assert jails.sh("a", "mount -o remount,rw /usr || umount /usr || mount -t tmpfs t /mnt").status != 0
    assert jails.run("a", "touch", "/mine").status == 0
    assert Path(jails.root.m("a"), "mine").exists()


def test_root_in_a_jail_is_not_root_of_the_host(jails: Jails) -> None:
    jails.create("a")
    assert jails.sh("a", "id -u").out == "0\n"
    for forbidden in ("mknod /x b 8 0", "hostname x", "date -s 2001-01-01", "cat /proc/1/environ", "ls -l /proc/1/fd/"):
        assert jails.sh("a", forbidden).status != 0, forbidden
    assert jails.run("a", "chown", "80:80", "/tmp").status == 0


def test_devices_are_few_and_work(jails: Jails) -> None:
    jails.create("a")
    found = jails.sh("a", "ls /dev; head -c 3 /dev/zero | od -An -tx1; echo x >/dev/null; echo y >/dev/fd/1").lines
    assert found == [*DEVICES, " 00 00 00", "y"]


def test_mounts_lead_to_the_host_and_only_as_they_say(jails: Jails, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    m = jails.unpacked("a")
    for name in ("rw", "ro", "tmp"):
        (Path(m) / "mnt" / name).mkdir()
    mounts = (
        Mount(source=str(data), target=f"{m}/mnt/rw"),
        Mount(source=str(data), target=f"{m}/mnt/ro", readonly=True),
        Mount(source="tmpfs", target=f"{m}/mnt/tmp"),
    )
    jails.create("a", mounts=mounts)
    assert jails.sh("a", "echo 1 >/mnt/rw/f; cat /mnt/ro/f; touch /mnt/tmp/t").out == "1\n"
    assert "Read-only" in jails.run("a", "touch", "/mnt/ro/g").err
    assert (data / "f").read_text() == "1\n"
    assert os.listdir(Path(m) / "mnt" / "tmp") == []


def test_a_symbolic_link_in_a_pot_leads_no_mount_out_of_it(jails: Jails, tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    data.mkdir()
    outside.mkdir()
    m = jails.unpacked("a")
    (Path(m) / "link").symlink_to(outside)
    with pytest.raises(jail.JailError, match="No such file or directory"):
        jails.create("a", mounts=(Mount(source=str(data), target=f"{m}/link"),))
    assert not jails.lives("a")


def test_what_covers_the_root_is_the_root(jails: Jails, tmp_path: Path) -> None:
    m = jails.unpacked("a")
    with pytest.raises(jail.JailError, match="sleep"):  # no /bin/sh in there
        jails.create("a", mounts=(Mount(source=str(tmp_path), target=m),))


def test_a_missing_source_is_told_as_mount_nullfs_does(jails: Jails) -> None:
    m = jails.unpacked("a")
    with pytest.raises(jail.JailError, match=r"^mount_nullfs: /none: No such file or directory$"):
        jails.create("a", mounts=(Mount(source="/none", target=f"{m}/mnt"),))


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 77", 77), ("kill -9 $$", -9), ("kill -USR1 $$", -signal.SIGUSR1)]
)
def test_the_status_of_a_command_is_its_own(jails: Jails, script: str, status: int) -> None:
    jails.create("a")
    assert jails.sh("a", script).status == status


def test_a_command_takes_what_it_is_given_and_nothing_else(jails: Jails) -> None:
    jails.create("a")
    (Path(jails.root.m("a")) / "srv").mkdir()
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    script = f"pwd; env; ls /proc/self/fd; echo hello >/proc/self/fd/{writing}"
    ended = jails.sh("a", script, env={"PATH": "/usr/bin:/bin", "A": "b\nc"}, cwd="/srv", pass_fds=(writing,))
    os.close(writing)
    assert os.read(reading, 10) == b"hello\n"
    os.close(reading)
    lines = ended.lines
    assert lines[0] == "/srv"
    assert "A=b" in lines
    assert not any(line.startswith("HOME=") for line in lines)
    listing = [line for line in lines if line.isdecimal()]
    assert str(writing) in listing
    assert len(listing) == 5  # three streams, that one, and the directory itself


def test_a_script_without_an_interpreter_is_the_shell_s(jails: Jails) -> None:
    jails.create("a")
    script = Path(jails.root.m("a")) / "tmp" / "rc"
    script.write_text('echo "$0 $1 $$"\n')
    script.chmod(0o755)
    ended = jails.run("a", "/tmp/rc", "x")
    assert re.fullmatch(r"/tmp/rc x \d+\n", ended.out)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/no/such"], "jexec: execvp: /no/such: No such file or directory\n"),
        (["nosuch"], "jexec: execvp: nosuch: No such file or directory\n"),
        (["/etc/passwd"], "jexec: execvp: /etc/passwd: Permission denied\n"),
    ],
)
def test_what_cannot_be_executed_is_jexec_s_failure(jails: Jails, argv: list[str], said: str) -> None:
    jails.create("a")
    ended = jails.run("a", *argv)
    assert (ended.status, ended.err) == (1, said)


def test_a_working_directory_must_be_there(jails: Jails) -> None:
    jails.create("a")
    ended = jails.run("a", "true", cwd="/none")
    assert (ended.status, ended.err) == (1, "jexec: /none: No such file or directory\n")


def test_nothing_runs_in_a_jail_that_is_not_there(jails: Jails) -> None:
    with pytest.raises(jail.JailError, match=r'^jexec: jail "none" not found$'):
        jails.run("none", "true")


def test_a_command_can_be_another_user(jails: Jails) -> None:
    jails.create("a")
    assert jails.sh("a", "id -un; id -gn", user="www").lines == ["www", "www"]
    assert jails.sh("a", "id -u; id -g; touch /root/x", user="1234:5").lines == ["1234", "5"]
    assert jails.run("a", "true", user="nosuch").err == "jexec: nosuch: no such user\n"


def test_signals_can_be_ignored_from_the_start(jails: Jails) -> None:
    jails.create("a")
    quiet = (signal.SIGINT, signal.SIGQUIT)
    assert jails.sh("a", "trap 'echo no' INT; kill -INT $$; kill -QUIT $$; echo alive", ignored=quiet).out == "alive\n"


def test_the_joining_process_group_has_the_command_in_it(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    program = (
        f"import sys; sys.path.insert(0, {str(Path(jail.__file__).parents[2])!r})\n"
        "from pot_sim import jail, root\n"
        f"jail.attach(root.Root({jails.root.path!r}), 'a', ['sleep', '100'], env={{'PATH': '/bin:/usr/bin'}}).wait()"
    )
    outer = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    until(lambda: len(jail.pids(jails.root, "a")) == 2)
    os.killpg(outer.pid, signal.SIGKILL)
    outer.wait()
    until(lambda: len(jail.pids(jails.root, "a")) == 1)


def test_a_command_outlives_the_process_that_joined(jails: Jails, until: Callable[..., None]) -> None:
    jails.create("a")
    program = (
        f"import sys; sys.path.insert(0, {str(Path(jail.__file__).parents[2])!r})\n"
        "from pot_sim import jail, root\n"
        f"jail.attach(root.Root({jails.root.path!r}), 'a', ['sleep', '100'], env={{'PATH': '/bin:/usr/bin'}}).wait()"
    )
    outer = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    until(lambda: len(jail.pids(jails.root, "a")) == 2)
    outer.kill()
    outer.wait()
    jail.end_helper(jails.root, "a")
    until(lambda: len(jail.pids(jails.root, "a")) == 1)
    assert jails.lives("a")
    jail.signal_all(jails.root, "a", signal.SIGTERM)
    until(lambda: not jails.lives("a"))


def test_a_terminal_is_a_terminal_in_there(jails: Jails) -> None:
    jails.create("a")
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    script = "[ -t 0 ] && [ -t 1 ] && stty size && read line && echo got $line"
    command = jails.attach("a", "sh", "-c", script, stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    os.write(outer, b"words\n")
    assert command.wait() == 0
    said = b""
    try:
        while block := os.read(outer, 1000):
            said += block
    except OSError:  # Linux' way to say that the other side is closed
        pass
    os.close(outer)
    assert said.replace(b"\r", b"").endswith(b"33 99\nwords\ngot words\n") or b"33 99" in said
    assert b"got words" in said


def test_a_pot_makes_terminals_of_its_own(jails: Jails) -> None:
    jails.create("a")
    program = "import os, pty; m, s = pty.openpty(); print(os.ttyname(s))"
    assert jails.run("a", "python3", "-c", program).out == "/dev/pts/0\n"
