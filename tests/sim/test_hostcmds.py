"""jls, ps, sysctl and rctl: FreeBSD's options and output, run as a driver runs them.

Not here: what is measured (`test_jail_life`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import images, install, jail, limits, registry
from pot_sim.root import set_boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended, Jails


@pytest.fixture
def host(jails: Jails, run: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run one of the root's host commands in an empty environment."""
    install.init(jails.root)

    return lambda *argv: run(f"{jails.root.bin}/{argv[0]}", *argv[1:])


# jls


@pytest.mark.namespaces
def test_jls_lists_jails_by_jid(jails: Jails, host: Callable[..., Ended]) -> None:
    header = "   JID  IP Address      Hostname                      Path\n"
    assert host("jls").out == header
    for name in ("b", "a"):
        jails.create(name)
    assert host("jls").out == header + "".join(
        f"     {jid}                  {name + '.host':<29} {jails.root.m(name)[:74]}\n"
        for jid, name in ((1, "b"), (2, "a"))
    )
    assert host("jls", "-q", "jid", "name").out == "1 b\n2 a\n"
    assert host("jls", "name").out == "b\na\n"
    assert host("jls", "-h", "jid", "name").out == "jid name\n1 b\n2 a\n"
    assert host("jls", "-n", "jid", "name", "vnet").out == "jid=1 name=b vnet=inherit\njid=2 name=a vnet=inherit\n"
    assert host("jls", "-N").lines[1].split()[0] == "b"


@pytest.mark.namespaces
def test_jls_tells_whether_a_jail_lives(jails: Jails, host: Callable[..., Ended]) -> None:
    jails.create("a")
    assert host("jls", "-j", "a").status == 0
    assert host("jls", "-j", "a", "jid").out == "1\n"
    assert host("jls", "-j", "1", "name").out == "a\n"
    jail.remove(jails.root, "a", stop_timeout=0)
    gone = host("jls", "-j", "a")
    assert (gone.status, gone.out, gone.err) == (1, "", 'jls: jail "a" not found\n')


@pytest.mark.parametrize("name", ["none", "a b", "../x", "7", ""])
def test_jls_knows_what_is_no_jail(host: Callable[..., Ended], name: str) -> None:
    ended = host("jls", "-j", name)
    words = name if name.isdecimal() else f'"{name}"'
    assert (ended.status, ended.err) == (1, f"jls: jail {words} not found\n")


def test_jls_refuses_what_it_does_not_know(host: Callable[..., Ended]) -> None:
    assert host("jls", "nonsense").err == "jls: unknown parameter: nonsense\n"
    assert host("jls", "-z").status == 1


# ps


@pytest.mark.namespaces
def test_ps_shows_the_processes_of_a_jail(jails: Jails, host: Callable[..., Ended], until: Callable[..., None]) -> None:
    jails.create("a")
    app = jails.attach("a", "sleep", "1234567")
    jail.end_helper(jails.root, "a")
    until(lambda: jail.pids(jails.root, "a") == [app.pid])
    shown = host("ps", "-J", "a", "-o", "pid,jid,command").lines
    assert [line.split(None, 2) for line in shown] == [["PID", "JID", "COMMAND"], [str(app.pid), "1", "sleep 1234567"]]
    assert host("ps", "-J", "1", "-o", "pid=").out.split() == [str(app.pid)]
    assert host("ps", "-p", str(app.pid), "-o", "jid=", "-o", "jail=").out.split() == ["1", "a"]
    assert host("ps", "-o", "jid=", "-p", str(os.getpid())).out.split() == ["0"]
    numbers = host("ps", "-J", "a", "-o", "rss=", "-o", "vsz=", "-o", "time=")
    assert re.fullmatch(r" *\d+ +\d+ +\d+:\d\d\.\d\d\n", numbers.out)
    assert host("ps", "-J", "a").lines[0].split() == ["PID", "TT", "STAT", "TIME", "COMMAND"]


@pytest.mark.namespaces
def test_ps_never_shows_what_freebsd_has_not(jails: Jails, host: Callable[..., Ended]) -> None:
    jails.create("a", helper_sleep=False, persist=True)
    empty = host("ps", "-J", "a", "-o", "pid,command")
    assert (empty.status, empty.out) == (1, "PID COMMAND\n")
    assert f"{jails.root.path} a" not in host("ps", "ax", "-o", "command").out


def test_ps_tells_what_it_does_not_know(host: Callable[..., Ended]) -> None:
    ended = host("ps", "-J", "none")
    assert ended.status == 1
    assert ended.err.startswith("ps: Invalid jail id: none\nusage: ps ")
    assert host("ps", "-o", "nonsense").err.startswith("ps: nonsense: keyword not found\n")
    assert host("ps", "-J", "77").status == 1


def test_ps_lists_the_host(host: Callable[..., Ended]) -> None:
    assert str(os.getpid()) in [line.split()[0] for line in host("ps", "-ax").lines]
    assert str(os.getpid()) in [line.split()[0] for line in host("ps", "ax").lines]
    assert host("ps", "-axo", "pid=Number").lines[0].strip() == "Number"


# sysctl


def test_sysctl_speaks_for_a_freebsd_host(host: Callable[..., Ended]) -> None:
    assert host("sysctl", "-n", "kern.osrelease").out == "14.1-RELEASE\n"
    assert host("sysctl", "kern.racct.enable", "hw.ncpu").out == f"kern.racct.enable: 1\nhw.ncpu: {os.cpu_count()}\n"
    assert host("sysctl", "-n", "kern.features.vimage").out == "1\n"
    assert int(host("sysctl", "-n", "hw.physmem").out) > 1 << 20
    assert int(host("sysctl", "-n", "hw.clockrate").out) > 100
    assert host("sysctl", "-n", "net.inet.ip.portrange.first", "net.inet.ip.portrange.last").lines == ["10000", "65535"]


def test_sysctl_knows_no_others(host: Callable[..., Ended]) -> None:
    ended = host("sysctl", "-n", "kern.nonsense", "kern.ostype")
    assert (ended.status, ended.out, ended.err) == (1, "FreeBSD\n", "sysctl: unknown oid 'kern.nonsense'\n")
    assert host("sysctl", "-i", "kern.nonsense").status == 0
    assert host("sysctl").status == 1


def test_sysctl_tells_the_boot(jails: Jails, host: Callable[..., Ended]) -> None:
    form = r"\{ sec = (\d+), usec = \d+ \} \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n"
    real = re.fullmatch(form, host("sysctl", "-n", "kern.boottime").out)
    assert real
    assert abs(int(real[1]) - (time.time() - float(Path("/proc/uptime").read_text().split()[0]))) < 3
    identity = "0f0f0f0f-1111-2222-3333-444444444444"
    set_boot(jails.root, int(time.time()), identity)
    simulated = re.fullmatch(form, host("sysctl", "-n", "kern.boottime").out)
    assert simulated
    assert int(simulated[1]) > int(real[1])
    assert host("sysctl", "-n", "kern.boot_id").out == ""  # bytes are not shown unasked
    assert host("sysctl", "-nx", "kern.boot_id").out == f"Format: Length:16 Dump:0x{identity.replace('-', '')}\n"


@pytest.mark.parametrize(
    ("fault", "name", "said"), [("racct", "kern.racct.enable", "0\n"), ("clockrate", "hw.clockrate", "")]
)
def test_faults_change_what_sysctl_says(
    jails: Jails, host: Callable[..., Ended], fault: str, name: str, said: str
) -> None:
    Path(jails.root.faults).write_text(fault + "\n")
    assert host("sysctl", "-n", name).out == said


# rctl


@pytest.mark.namespaces
def test_rctl_tells_what_a_jail_uses(jails: Jails, host: Callable[..., Ended]) -> None:
    jails.create("a")
    used = dict(line.split("=") for line in host("rctl", "-u", "jail:a").lines)
    assert int(used["memoryuse"]) > 100_000
    assert (used["maxproc"], used["swapuse"]) == ("1", "0")
    assert re.fullmatch(
        r"\d+(\.\d)?[KMG]", dict(x.split("=") for x in host("rctl", "-hu", "jail:a").lines)["memoryuse"]
    )


def test_rctl_tells_zeros_of_a_jail_that_is_not_there(host: Callable[..., Ended]) -> None:
    ended = host("rctl", "-u", "jail:none")
    assert ended.status == 0
    assert {line.split("=")[1] for line in ended.lines} == {"0"}


def test_rctl_keeps_rules(host: Callable[..., Ended]) -> None:
    assert host("rctl", "-a", "jail:a:memoryuse:deny=64M").status == 0
    assert host("rctl", "-a", "jail:a:memoryuse:deny=64M", "jail:b:maxproc:log=10").status == 0
    everything = "jail:a:memoryuse:deny=67108864\njail:b:maxproc:log=10\n"
    assert host("rctl").out == everything
    assert host("rctl", "jail:a").out == "jail:a:memoryuse:deny=67108864\n"
    assert host("rctl", "-h", "jail:a").out == "jail:a:memoryuse:deny=64M\n"
    assert host("rctl", "jail::maxproc").out == "jail:b:maxproc:log=10\n"
    assert host("rctl", "-r", "jail:a").status == 0
    assert host("rctl").out == "jail:b:maxproc:log=10\n"
    again = host("rctl", "-r", "jail:a")
    assert (again.status, again.err) == (1, "rctl: failed to remove rule 'jail:a': No such process\n")


@pytest.mark.parametrize(
    "rule", ["jail:a:memoryuse:deny", "jail:a:nonsense:deny=1", "user:0:maxproc:deny=x", "", "jail"]
)
def test_rctl_refuses_what_is_no_rule(host: Callable[..., Ended], rule: str) -> None:
    ended = host("rctl", "-a", rule)
    assert (ended.status, ended.err) == (1, f"rctl: failed to add rule '{rule}': Invalid argument\n")


def test_rctl_may_be_off(jails: Jails, host: Callable[..., Ended]) -> None:
    Path(jails.root.faults).write_text("racct\n")
    for argv in (["-u", "jail:a"], ["-a", "jail:a:maxproc:deny=1"], ["-r", "jail:a"], []):
        ended = host("rctl", *argv)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err == "rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable\n"


# all


@pytest.mark.parametrize("name", install.HOST_COMMANDS)
@pytest.mark.usefixtures("host")
def test_any_of_them_can_be_slow(jails: Jails, name: str) -> None:
    Path(jails.root.faults).write_text(f"hang {name}\n")
    running = subprocess.Popen([f"{jails.root.bin}/{name}", "-u", "jail:x"], env={}, stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    running.send_signal(signal.SIGKILL)
    running.wait()


# skein1024 and signify


def test_skein1024_says_what_a_hash_file_must_say(jails: Jails, host: Callable[..., Ended], tmp_path: Path) -> None:
    archive = Path(images.create(jails.root, "shell", "1.0", from_dir=str(tmp_path)))
    both = tmp_path / "both"
    both.write_bytes(archive.read_bytes() + Path(f"{archive}.meta").read_bytes())
    digest = Path(f"{archive}.skein").read_text()
    assert re.fullmatch(r"[0-9a-f]{256}\n", digest)
    assert host("skein1024", "-q", str(both)).out == digest
    assert host("sh", "-c", f"cat {archive} {archive}.meta | {jails.root.bin}/skein1024 -q").out == digest
    assert host("skein1024", str(both)).out == f"Skein1024 ({both}) = {digest}"
    assert host("skein1024", "-r", str(both)).out == f"{digest.strip()} {both}\n"


def test_skein1024_compares_and_complains(host: Callable[..., Ended], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    right = host("skein1024", "-q", "-s", "x").out.strip()
    assert host("skein1024", "-c", right.upper(), str(file)).status == 0
    wrong = host("skein1024", "-c", "0", str(file))
    assert (wrong.status, wrong.out) == (2, f"Skein1024 ({file}) = {right} [ Failed ]\n")
    missing = host("skein1024", str(tmp_path / "none"), str(file))
    assert (missing.status, missing.out) == (1, f"Skein1024 ({file}) = {right}\n")
    assert missing.err == f"skein1024: {tmp_path}/none: No such file or directory\n"
    assert host("skein1024", "-Z").status == 1


def test_signify_makes_keys_signs_and_verifies(host: Callable[..., Ended], tmp_path: Path) -> None:
    key, other, message = tmp_path / "key", tmp_path / "other", tmp_path / "message"
    message.write_text("hash\n")
    for each in (key, other):
        assert host("signify", "-G", "-n", "-p", f"{each}.pub", "-s", f"{each}.sec").status == 0
    assert host("signify", "-S", "-s", f"{key}.sec", "-m", str(message)).status == 0
    verify = ("signify", "-V", "-p", f"{key}.pub", "-x", f"{message}.sig", "-m", str(message))
    assert (host(*verify).status, host(*verify).out, host(*verify, "-q").out) == (0, "Signature Verified\n", "")
    foreign = host("signify", "-V", "-p", f"{other}.pub", "-m", str(message))
    assert (foreign.status, foreign.err) == (1, "signify: verification failed: checked against wrong key\n")
    message.write_text("another hash\n")
    assert (host(*verify).status, host(*verify).err) == (1, "signify: signature verification failed\n")
    assert "for reading: No such file" in host("signify", "-V", "-p", f"{tmp_path}/none", "-m", str(message)).err


def test_signify_wants_one_thing_at_a_time(host: Callable[..., Ended]) -> None:
    for words in ([], ["-V", "-S"], ["-V"], ["-V", "-p", "key"], ["-Z"]):
        ended = host("signify", *words)
        assert ended.status == 1
        assert "usage:\tsignify" in ended.err


# dying jails


@pytest.mark.namespaces
def test_a_jail_may_stay_dying_and_its_name_is_free(jails: Jails, host: Callable[..., Ended]) -> None:
    Path(jails.root.faults).write_text("dying 60 pot=a\n")
    for name in ("a", "b"):
        jails.create(name)
        jail.remove(jails.root, name, stop_timeout=0)
    for argv in (["-j", "a"], ["-j", "a", "jid"]):
        ended = host("jls", *argv)
        assert (ended.status, ended.out, ended.err) == (1, "", 'jls: jail "a" is dying\n')
    assert host("jls", "-j", "1").err == "jls: jail 1 is dying\n"
    assert host("jls", "-j", "b").err == 'jls: jail "b" not found\n'
    assert host("jls", "name").out == ""
    assert host("jls", "-d", "name", "dying").out == "a true\n"
    assert host("ps", "-J", "a").err.startswith("ps: Invalid jail id: a\n")
    assert jails.create("a") == 3
    assert host("jls", "-j", "a", "jid").out == "3\n"
    jail.remove(jails.root, "a", stop_timeout=0)
    Path(jails.root.faults).write_text("")
    assert host("jls", "-j", "a").err == 'jls: jail "a" not found\n'


@pytest.mark.namespaces
def test_rctl_kills_by_a_rule_that_says_so(jails: Jails, host: Callable[..., Ended]) -> None:
    use = ("python3", "-c", "bytearray(200 << 20)")
    jails.create("a")
    assert host("rctl", "-a", "jail:a:memoryuse:deny=64M").status == 0
    assert jails.run("a", *use).status == 0  # FreeBSD pages
    assert host("rctl", "-a", "jail:a:memoryuse:sigkill=64M").status == 0
    record = registry.running(jails.root.run, "a")
    assert record is not None
    if "cgroup" not in record.fields:
        pytest.skip("this process may not make a cgroup with a memory limit")
    assert jails.run("a", *use).status == -signal.SIGKILL


def test_rctl_answers_for_several_jails_at_once(host: Callable[..., Ended]) -> None:
    ended = host("rctl", "-u", "jail:a:", "user:0", "jail:b")
    assert (ended.status, len(ended.lines)) == (1, 2 * len(limits.RESOURCES))
    assert ended.err == "rctl: failed to show resource consumption for 'user:0': Invalid argument\n"


def test_sysctl_tells_what_it_knows_of_several(jails: Jails, host: Callable[..., Ended]) -> None:
    Path(jails.root.faults).write_text("vnet\n")
    ended = host("sysctl", "-n", "kern.features.vimage", "kern.argmax", "kern.nonsense")
    assert ended.status == 1
    assert int(ended.out) in (262144, 524288)
    assert [line.split()[-1] for line in ended.err.splitlines()] == ["'kern.features.vimage'", "'kern.nonsense'"]
