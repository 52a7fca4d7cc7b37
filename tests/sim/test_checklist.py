"""What a faithful simulator must reproduce, point by point: messages and exit statuses, prepare, locks (points 1-27).

Not here: points 28 to 70 (`test_checklist_*.py`), the recorded runs (`test_transcripts.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


def test_the_70_points_have_a_test_each() -> None:
    """No point is forgotten, in any of the files."""
    texts = (file.read_text() for file in Path(__file__).parent.glob("test_checklist*.py"))
    found = [int(number) for text in texts for number in re.findall(r"^def test_point_(\d+)_", text, re.MULTILINE)]

    assert sorted(found) == list(range(1, 71))


def test_point_01_messages_go_to_stdout_with_prefixes_by_level(sim: Simulator) -> None:
    """Errors have two blanks, three where the check had a quiet form; debug lines need -v."""
    name = sim.prepare("p")

    assert sim.pot("stop").lines[0] == "###>  A pot name is mandatory"
    assert sim.pot("start", "missing").lines == ["###>   Pot missing not found"]
    assert sim.pot("prune", "-n").out == ""
    assert sim.pot("destroy", "-v", "-p", name).lines[-1].startswith(("=====>  ", "===>  "))
    assert "=====>" not in sim.pot("clone", "-P", "web_1_0", "-p", "q").out
    assert "=====>  Create conf dir" in sim.pot("clone", "-v", "-P", "web_1_0", "-p", "r").out


def test_point_02_usage_errors_print_the_help_on_stdout(sim: Simulator) -> None:
    """The error line comes first, the help after it, the status is 1."""
    ended = sim.pot("set-cmd", "-p", "x")

    assert ended.status == 1
    assert ended.lines[:2] == ["###>  A command is mandatory", "pot set-cmd [-hv] -p pot -c cmd"]
    assert ended.err == ""


def test_point_03_an_unknown_command_prints_the_usage(sim: Simulator) -> None:
    for words in (("nosuch",), ()):
        ended = sim.pot(*words)

        assert (ended.status, ended.lines[0]) == (1, "Usage: pot command [options]")
    assert sim.pot("help").status == 0


def test_point_04_version_is_0_16_0(sim: Simulator) -> None:
    """What 0.16.1 says of itself; with -q nothing but the number; and no file system is needed for it."""
    shutil.rmtree(sim.root.fs)

    assert sim.pot("version", "-q").out == "0.16.0\n"
    assert sim.pot("version").out == "pot version: 0.16.0\n"


def test_point_05_an_illegal_option_is_exit_1(sim: Simulator) -> None:
    ended = sim.pot("stop", "-z")

    assert (ended.status, ended.lines[0]) == (1, "pot stop [-hv] -p potname | potname")
    assert "illegal option -- z" in ended.err


def test_point_06_config_prints_one_item(sim: Simulator) -> None:
    assert sim.pot("config", "-q", "-g", "fs_root").out == f"{sim.root.fs}\n"
    assert sim.pot("config", "-g", "fs_root").out == f"fs_root = {sim.root.fs}\n"
    assert sim.pot("config", "-q", "-g", "bad").out == ""
    assert sim.pot("config", "-g", "bad").lines[0] == "###>  NO bad is not a valid name"
    assert sim.pot("config", "-q", "-g", "gateway").out == "10.192.0.1\n"


def test_point_07_quiet_info_of_a_missing_pot_prints_the_help(sim: Simulator) -> None:
    ended = sim.pot("info", "-q", "-p", "missing")

    assert (ended.status, ended.lines[0]) == (1, "pot info [-hvqr] [-p pname|-B bname]")


def test_point_08_info_of_a_missing_pot_has_a_stray_word(sim: Simulator) -> None:
    ended = sim.pot("info", "-p", "missing")

    assert (ended.status, ended.lines[0]) == (1, "###>  NO missing is not a pot")


def test_point_09_dots_become_underscores_in_both_names(sim: Simulator) -> None:
    ended = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a.1", "-n", "my.job")

    assert ended.lines[-1] == "===>  Prepared the pot my_job_a_1"
    assert sim.pot("ls", "-q").lines == ["my_job_a_1", "web_1_0"]


def test_point_10_a_name_that_exists_is_exit_1(sim: Simulator) -> None:
    sim.prepare("p")
    ended = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p")

    assert (ended.status, ended.lines[0]) == (1, "###>  A pot with name p_a1 already exists")


def test_point_11_an_image_is_imported_once(sim: Simulator) -> None:
    first = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p")
    second = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q")

    assert first.lines[0] == "===>  importing web @ 1.0 as web_1_0"
    assert second.lines == ["===>  Prepared the pot q_a1"]
    assert second.err == ""


def test_point_12_a_missing_image_is_fetched_twice(sim: Simulator) -> None:
    ended = sim.pot("prepare", "-U", sim.images, "-p", "nope", "-t", "1", "-a", "a1", "-n", "p")

    assert ended.status == 1
    assert [line.startswith("fetch: ") for line in ended.err.splitlines()] == [True, True]
    assert sim.pot("ls", "-q").out == ""


def test_point_13_a_wrong_hash_is_told_twice(sim: Simulator) -> None:
    sim.fault("corrupt")
    ended = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p")

    assert ended.status == 1
    assert ended.lines.count("###>  The image and its hash do not overlap") == 2
    differing = re.compile(re.escape(f"{sim.root.cache}/web_1.0.xz.skein") + r" - differ: char \d+, line 1")
    assert len([line for line in ended.lines if differing.fullmatch(line)]) == 2


def test_point_14_no_url_is_needed_for_an_image_that_is_there(sim: Simulator) -> None:
    ended = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p")
    assert (ended.status, ended.lines[0]) == (1, "###>  Argument of -U cannot be empty")

    sim.prepare("p")
    assert sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q").status == 0


def test_point_15_a_failing_clone_is_exit_0_and_a_broken_pot(sim: Simulator) -> None:
    sim.prepare("whole")
    sim.fault("clone pot=half*")
    ended = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "half", "-c", "x")

    assert (ended.status, ended.lines[-1]) == (0, "===>  Prepared the pot half_a1")
    assert "###>   Some component of the pot half_a1 is missing" in ended.lines
    assert sim.pot("info", "-qp", "half_a1").status == 1
    assert sim.pot("start", "half_a1").status == 1
    assert "half_a1" in sim.pot("ls", "-q").lines
    sim.fault()
    assert sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "half").lines == [
        "===>  zroot/pot/jails/half_a1 exists already",
        "===>  Prepared the pot half_a1",
    ]
    assert sim.pot("info", "-qp", "half_a1").status == 0


def test_a_failing_creation_leaves_a_directory_that_pot_cannot_destroy(sim: Simulator) -> None:
    sim.fault("create pot=half*")
    ended = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "x", "-n", "half", "-c", "true")
    assert (ended.status, ended.lines[-1]) == (0, "===>  Prepared the pot half_x")
    assert ended.err.splitlines()[-2:] == [
        "cannot create 'zroot/pot/jails/half_x': out of space",
        "cannot create 'zroot/pot/jails/half_x/m': parent does not exist",
    ]
    assert sim.pot("info", "-qp", "half_x").status == 1
    assert sim.pot("destroy", "-F", "-p", "half_x").lines == [
        "###>   zfs dataset half_x not found",
        "###>  pot half_x not found or corrupted. Try to use the -F flag",
    ]
    assert "half_x" in sim.pot("ls", "-q").lines


_WRONG_OPTIONS = [
    ("-e 99999", "99999 is not a valid port number"),
    ("-e sctp:80", "sctp:80 is not a valid port number"),
    ("-e 0", "0 is not a valid port number"),
    ("-e :80", ":80 is not a valid port number"),
    ("-N bogus", "Network type bogus not recognized"),
    ("-N alias", "option -i is mandatory with network type is alias"),
    ("-N alias -i auto", "-i auto not usable with network type alias - a real IP address has to be provided"),
    ("-N alias -i 1.2.3", "1.2.3 is not a valid IP address"),
    ("-N alias -i ::1", "Stack is ipv4 but not ipv4 address has been provided"),
    ("-N public-bridge -i 10.1.1.1", "The 10.1.1.1 IP is not valid - run potnet validate -H 10.1.1.1 for"),
    ("-d nope", "'' is not a valid dns option"),
    ("-d custom:/nonexistent", "The file /nonexistent is not valid or readable"),
    ("-S ipv5", "Network stack ipv5 not valid"),
]


def test_point_16_wrong_options_are_named(sim: Simulator) -> None:
    sim.prepare("p")
    for options, message in _WRONG_OPTIONS:
        ended = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q", *options.split())

        assert ended.status == 1
        assert ended.lines[0].startswith(f"###>  {message}")
        assert "q_a1" not in sim.pot("ls", "-q").lines


def test_point_17_a_private_bridge_needs_its_name(sim: Simulator) -> None:
    ended = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q", "-N", "private-bridge")

    assert ended.status == 1
    assert "A bridge name has to be provided if private-bridge is selected" in ended.lines[0]


def test_point_18_prepare_sets_these_attributes(sim: Simulator) -> None:
    name = sim.prepare("p", "/bin/true")

    assert sim.conf(name)[-7:] == [
        "pot.cmd=/bin/true",
        "pot.attr.persistent=NO",
        "pot.attr.no-rc-script=YES",
        "pot.attr.prunable=YES",
        "pot.attr.localhost-tunnel=YES",
        "pot.attr.no-etc-hosts=YES",
        "pot.attr.no-tmpfs=YES",
    ]


def test_point_19_a_key_means_nothing_once_the_image_is_there(sim: Simulator) -> None:
    wrong = ("-C", "/nonexistent.pub")
    new = sim.pot("prepare", "-U", sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p", *wrong)
    assert (new.status, new.lines) == (1, ["###>  Public key /nonexistent.pub not found"])

    sim.prepare("p")
    assert sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q", *wrong).status == 0


def test_point_20_host_means_inherit(sim: Simulator) -> None:
    assert "network_type=inherit" in sim.conf(sim.prepare("p", "", "-N", "host"))


def test_point_21_prepare_with_start_holds_the_lock_for_the_pots_life(sim: Simulator) -> None:
    sim.prepare("other")
    running = sim.background("prepare", "-s", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p", "-c", "/bin/sleep 300")
    sim.until(lambda: sim.state("p_a1") == "started")
    waiting = sim.background("clone", "-P", "web_1_0", "-p", "late")
    time.sleep(0.3)
    assert waiting.process.poll() is None

    sim.pot("signal", "-p", "p_a1", "-s", "TERM")
    assert running.ended().lines[0] == "===>  Starting the pot p_a1"
    assert waiting.ended().status == 0


def test_point_22_five_commands_wait_for_each_other(sim: Simulator) -> None:
    """However long one of them takes: here a prepare whose download is slow."""
    name = sim.prepare("p")
    sim.fault("fetch-slow 0.4")
    slow = sim.background("prepare", "-U", sim.images, "-p", "nope", "-t", "1", "-a", "a1", "-n", "q")
    sim.until(lambda: "importing" in slow.out)
    others = [
        sim.background("clone", "-P", "web_1_0", "-p", "c"),
        sim.background("copy-in", "-p", name, "-s", "/etc/passwd", "-d", "/root/x"),
        sim.background("create-private-bridge", "-B", "b", "-S", "4"),
        sim.background("create", "-p", "n", "-t", "single", "-P", "web_1_0"),
    ]
    time.sleep(0.2)

    assert [other.process.poll() for other in others] == [None] * 4
    assert slow.ended().status == 1
    assert [other.ended().status for other in others] == [0] * 4


def test_point_23_the_others_do_not_wait(sim: Simulator) -> None:
    name = sim.prepare("p", "/bin/sleep 300")
    sim.fault("fetch-slow 300")
    slow = sim.background("prepare", "-U", sim.images, "-p", "nope", "-t", "1", "-a", "a1", "-n", "q")
    sim.until(lambda: "importing" in slow.out)
    sim.start(name)

    for line in (f"set-env -p {name} -E A=1", f"exec -p {name} true", f"stop {name}", f"destroy -p {name}"):
        sim.ok(line)
    assert slow.process.poll() is None


def test_point_24_a_variable_bypasses_the_lock(sim: Simulator) -> None:
    sim.prepare("p")
    sim.fault("fetch-slow 300")
    slow = sim.background("prepare", "-U", sim.images, "-p", "nope", "-t", "1", "-a", "a1", "-n", "q")
    sim.until(lambda: "importing" in slow.out)

    assert sim.pot("clone", "-P", "web_1_0", "-p", "c", _POT_RECURSIVE="1").status == 0


def test_point_25_killing_the_outer_process_leaves_the_work_and_the_lock(sim: Simulator) -> None:
    """Three processes: pot, lockf, pot. The first dies alone."""
    sim.prepare("p")
    (Path(sim.root.cache) / "web_1.0.xz").unlink()
    sim.fault("slow clone 0.6")
    running = sim.background("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "q")
    sim.until(lambda: [_command(pid) for pid in _family(running.process.pid)] == ["pot", "lockf", "pot"])

    os.kill(running.process.pid, signal.SIGTERM)

    assert running.ended().status == -signal.SIGTERM
    assert sim.pot("clone", "-P", "web_1_0", "-p", "c").status == 0
    assert sim.pot("info", "-qp", "q_a1").status == 0


def test_point_26_killing_the_group_ends_all(sim: Simulator) -> None:
    """Inside the clone it is undone; later a pot without its attributes stays."""
    sim.prepare("p")
    sim.fault("slow set-attribute 300")
    running = sim.background("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "half", "-c", "x")
    sim.until(lambda: any("pot-set-cmd -p half_a1" in line for line in sim.log()))
    os.killpg(running.process.pid, signal.SIGTERM)
    assert running.ended().status == -signal.SIGTERM
    sim.until(lambda: not _family(running.process.pid))

    assert sim.pot("info", "-qp", "half_a1").status == 0
    assert "pot.attr.no-rc-script=YES" not in sim.conf("half_a1")
    sim.fault()
    assert sim.pot("clone", "-P", "web_1_0", "-p", "c").status == 0

    sim.fault("clone-slow 300 pot=undone*")
    running = sim.background("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "undone", "-c", "x")
    sim.until(lambda: Path(sim.root.conf("undone_a1")).exists())
    family = _family(running.process.pid)
    os.killpg(running.process.pid, signal.SIGTERM)
    sim.until(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in family))
    assert "undone_a1" not in sim.pot("ls", "-q").lines


def test_point_27_set_hosts_collides_on_a_file_with_a_fixed_name(sim: Simulator) -> None:
    name = sim.prepare("p")
    sim.tmp("pot-set-hosts").touch()
    ended = sim.pot("set-hosts", "-p", name, "-H", "db:10.0.0.1")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err == f"mktemp: mkstemp failed on {sim.root.tmp}/pot-set-hosts: File exists\n"
    sim.tmp("pot-set-hosts").unlink()
    sim.ok(f"set-hosts -p {name} -H db:10.0.0.1")
    assert not sim.tmp("pot-set-hosts").exists()


def _family(pid: int) -> list[int]:
    """A process and those that it, and they, have started, as long as they live."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        below = [int(word) for word in children.read_text().split()]
    except OSError:
        return []
    return [pid, *(each for child in below for each in _family(child))]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
