"""What a faithful simulator must reproduce, point by point: set-*, get-*, mounts and copies (points 28-44).

Not here: points 1 to 27 (`test_checklist.py`), 45 to 70 (`test_checklist_life.py`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


def _lines(sim: Simulator, name: str, key: str) -> list[str]:
    return [line.removeprefix(key + "=") for line in sim.conf(name) if line.startswith(key + "=")]


def _fscomp(sim: Simulator, name: str) -> list[str]:
    return (Path(sim.root.conf(name)) / "fscomp.conf").read_text().splitlines()


def test_point_28_set_env_replaces_and_escapes_double_quotes(sim: Simulator) -> None:
    name = sim.prepare("p")
    sim.ok(f"set-env -p {name} -E A=1 -E B=2")
    assert sim.pot("set-env", "-p", name, "-E", 'C=say "hi" \\ $x').status == 0

    assert _lines(sim, name, "pot.env") == ['"C=say \\"hi\\" \\ $x"']
    assert sim.pot("set-env", "-p", name, "-E", "NOEQ").lines[:2] == [
        "###>  NOEQ not in a valid form",
        "###>  VARIABLE=value is accetped",
    ]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("a b\t'&|;<>*?#=ü\"", "a b\t'&|;<>*?#=ü\""),
        ("$HOME `echo tick` $(echo tock)", "/root tick tock"),
        ("a\\$b\\\\c\\nd", "a$b\\c\\nd"),
        ('a\\"b', None),
        ("end\\", None),
        ("one\ntwo", "one\nexport two"),
        ("trail\n\n", "trail"),
    ],
)
def test_point_29_values_are_evaluated_by_the_pots_shell(sim: Simulator, value: str, seen: str | None) -> None:
    """Row by row; what is left unterminated ends the start script with 2."""
    name = sim.prepare("p", "printenv V")
    assert sim.pot("set-env", "-p", name, "-E", f"V={value}").status == 0
    ended = sim.pot("start", name)

    if seen is None:
        assert (ended.status, sim.pot("last-run-stats", "-p", name).out) == (125, '{ "ExitCode": 2 }\n')
    else:
        assert ended.out.split("\n", 1)[1] == f"{seen}\n\n"


def test_point_30_set_cmd_strips_a_pair_of_quotes_and_cuts_at_a_newline(sim: Simulator) -> None:
    name = sim.prepare("p")
    for given, stored in (
        ('"a b"', "a b"),
        ('a "b"', 'a "b"'),
        ('"a" "b"', 'a" "b'),
        ('""a" "b""', '"a" "b"'),
        ('"a', "a"),
    ):
        assert sim.pot("set-cmd", "-p", name, "-c", given).status == 0
        assert _lines(sim, name, "pot.cmd") == [stored]
    assert sim.pot("set-cmd", "-p", name, "-c", "a\npot.attr.injected=YES").status == 0
    assert sim.conf(name)[-2:] == ["pot.cmd=a", "pot.attr.injected=YES"]


def test_point_31_the_start_script_is_read_by_a_real_shell_whose_pid_the_app_keeps(sim: Simulator) -> None:
    name = sim.prepare("p", "sh -c 'echo $$; cat /tmp/tinirc.pid' | cat && echo never")
    assert sim.pot("start", name).status == 0
    assert sim.pot("set-cmd", "-p", name, "-c", 'sh -c "echo \\$\\$; cat /tmp/tinirc.pid" && echo never').status == 0
    ended = sim.pot("start", name)

    assert ended.lines[1] == ended.lines[2]
    assert "never" not in ended.out
    assert (sim.m(name) / "tmp/tinirc").read_text().splitlines()[-1].startswith("exec sh -c ")


def test_point_32_set_hosts_takes_name_then_address(sim: Simulator) -> None:
    name = sim.prepare("p", "cat /etc/hosts")
    sim.ok(f"set-hosts -p {name} -H db:10.0.0.1 -H six:fe80::1")
    assert _lines(sim, name, "pot.hosts") == ["10.0.0.1 db", "fe80::1 six"]
    assert sim.pot("start", name).lines[3:5] == ["10.0.0.1 db", "fe80::1 six"]

    assert sim.pot("set-hosts", "-p", name, "-H", "db:[::1]").status == 1
    sim.ok(f"set-hosts -p {name}")
    assert _lines(sim, name, "pot.hosts") == []


def test_point_33_set_rss_has_this_grammar(sim: Simulator) -> None:
    name = sim.prepare("p")
    for good in ("1", "64M", "3k", "2G", "007b"):
        sim.ok(f"set-rss -p {name} -M {good}")
        assert _lines(sim, name, "pot.rss.memory") == [good]
    for bad in ("0", "00M", "64MB", "1.5G", "1t", "-1", "M"):
        assert sim.pot("set-rss", "-p", name, f"-M{bad}").status == 1
    for bad in ("0", "x", "1.5"):
        ended = sim.pot("set-rss", "-p", name, "-C", bad)
        assert (ended.status, ended.lines) == (1, [f"###>  {bad} is a not valid amount of CPUs!"])
    sim.ok(f"set-rss -p {name} -C 2")
    assert _lines(sim, name, "pot.rss.cpus") == ["2"]


def test_point_34_attributes_have_types(sim: Simulator) -> None:
    """Booleans are normalised; the value is missing in the text about a wrong one."""
    name = sim.prepare("p")
    for given, stored in (("oN", "YES"), ("False", "NO"), ("yes", "YES")):
        sim.ok(f"set-attribute -p {name} -A prunable -V {given}")
        assert _lines(sim, name, "pot.attr.prunable") == [stored]
    for attribute, value, text in (
        ("persistent", "maybe", "value  is not a valid boolean value"),
        ("stop_timeout", "3.5", "value 3.5 is not a valid uint value"),
        ("sysvshm", "yes", "value must be one of 'new', 'inherit', 'disable'"),
        ("to-be-pruned", "YES", "to-be-pruned is not a valid attribute"),
        ("mlock", "", "Option -V is mandatory"),
    ):
        ended = sim.pot("set-attr", "-p", name, "-A", attribute, "-V", value)
        assert (ended.status, ended.lines[0]) == (1, f"###>  {text}")
    running = sim.start(_with_command(sim, name, "sleep 300"))
    ended = sim.pot("set-attr", "-p", name, "-A", "no-tmpfs", "-V", "NO")
    assert (ended.status, ended.lines) == (1, [f"###>  pot {name} is still running"])
    assert ended.err.endswith(": not found\n")
    sim.ok(f"stop {name}")
    running.ended()


def _with_command(sim: Simulator, name: str, command: str) -> str:
    assert sim.pot("set-cmd", "-p", name, "-c", command).status == 0
    return name


def test_point_35_get_attribute_prints_an_empty_line_and_mangles_exec_stop(sim: Simulator) -> None:
    name = sim.prepare("p")
    assert sim.pot("set-attr", "-p", name, "-A", "exec_stop", "-V", '/bin/x a=b "c"').status == 0

    assert sim.pot("get-attr", "-q", "-p", name, "-A", "early-start-at-boot").out == "\n"
    assert sim.pot("get-attr", "-p", name, "-A", "early-start-at-boot").lines == [
        f"===>  The attribute early-start-at-boot is not set for the pot {name}"
    ]
    assert sim.pot("get-attr", "-q", "-p", name, "-A", "exec_stop").out == "/bin/xa\n"
    assert sim.pot("get-attribute", "-p", name, "-A", "persistent").lines == ["===>  persistent: NO"]


def test_point_36_export_ports_ignores_a_third_field_and_warns_without_a_bridge(sim: Simulator) -> None:
    name = sim.prepare("p")
    ended = sim.pot("export-ports", "-p", name, "-e", "80:8080:junk", "-e", "udp:53:5353", "-e", "443")

    assert ended.status == 0
    assert ended.lines[0].startswith("===>  Only public-bridge and private-bridge network type can export ports")
    assert _lines(sim, name, "pot.export.ports") == ["80:8080:junk udp:53:5353 443"]
    for bad in ("0", "65536", "80:", "tcp:", "80:x"):
        assert sim.pot("export-ports", "-p", name, "-e", bad).lines[0] == f"###>  {bad} is not a valid port number"
    other = sim.prepare("q", "", "-N", "public-bridge", "-e", "80:18081", "-e", "81:18082")
    assert _lines(sim, other, "pot.export.ports") == ["81:18082 80:18081"]


def test_point_37_one_valid_hook_is_enough(sim: Simulator) -> None:
    name = sim.prepare("p")
    hook = sim.host / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    ended = sim.pot("set-hook", "-p", name, "-s", "/nonexistent", "-T", str(hook))

    assert (ended.status, ended.lines) == (0, ["###>  /nonexistent not a valid hook"])
    assert sorted(path.name for path in Path(sim.root.conf(name)).glob("*.sh")) == ["poststop.sh"]
    assert sim.pot("set-hook", "-p", name, "-s", "/nonexistent").status == 1


def test_point_38_mount_in_accepts_a_blank_that_is_fatal_at_start(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    (sim.host / "has space").mkdir()
    (sim.host / "ro").mkdir()
    sim.ok(f"mount-in -p {name} -d {sim.host}/ro/ -m /ro/ -r")
    assert _fscomp(sim, name) == [f"{sim.host}/ro /ro ro"]
    assert sim.pot("mount-in", "-p", name, "-d", f"{sim.host}/has space", "-m", "/sp").status == 0

    ended = sim.pot("start", name)
    assert (ended.status, ended.lines[-1]) == (1, "###>  Mount failed ")


def test_point_39_a_directory_is_refused_twice_and_a_suffix_of_one_as_well(sim: Simulator) -> None:
    name = sim.prepare("p", "cat /one/which")
    for which in ("data", "other"):
        (sim.host / "x" / which).mkdir(parents=True)
        (sim.host / "x" / which / "which").write_text(which)
    sim.ok(f"mount-in -p {name} -d {sim.host}/x/data -m /one")
    again = sim.pot("mount-in", "-p", name, "-d", f"{sim.host}/x/data", "-m", "/two")
    assert (again.status, again.lines[0].endswith("not valid, already used or already part of the pot")) == (1, True)
    ending = sim.pot("mount-in", "-p", name, "-d", "/data", "-m", "/two")
    assert ending.lines[0] == "###>  /data is not a directory"

    sim.ok(f"mount-in -p {name} -d {sim.host}/x/other -m /one")
    assert _fscomp(sim, name) == [f"{sim.host}/x/data /one", f"{sim.host}/x/other /one"]
    assert sim.pot("start", name).lines[1] == "other"


def test_point_40_without_realpath_the_mount_point_becomes_the_root(sim: Simulator) -> None:
    name = sim.prepare("p")
    (sim.m(name) / ".host").write_text("")
    (sim.m(name) / "usr/bin/realpath").unlink(missing_ok=True)
    (sim.host / "d").mkdir()
    ended = sim.pot("mount-in", "-p", name, "-d", f"{sim.host}/d", "-m", "/local")

    assert ended.status == 0
    assert "/bin/realpath" in ended.err
    assert _fscomp(sim, name) == [f"{sim.host}/d /"]


def test_point_41_a_file_is_no_directory(sim: Simulator) -> None:
    name = sim.prepare("p")
    for path in ("/etc/passwd", "/nonexistent"):
        ended = sim.pot("mount-in", "-p", name, "-d", path, "-m", "/x")
        assert (ended.status, ended.lines[0]) == (1, f"###>  {path} is not a directory")


def test_point_42_a_failing_mount_stops_the_start(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    (sim.host / "d").mkdir()
    sim.ok(f"mount-in -p {name} -d {sim.host}/d -m /d")
    sim.fault("mount")
    ended = sim.pot("start", name)

    assert (ended.status, ended.lines) == (
        1,
        [f"###>  Error mounting {sim.host}/d on {sim.m(name)}/d", "###>  Mount failed "],
    )
    assert sim.state(name) == "stopped"
    assert sim.pot("last-run-stats", "-p", name).out == "{}\n"


def test_point_43_mount_out_changes_nothing(sim: Simulator) -> None:
    name = sim.prepare("p")
    (sim.host / "d").mkdir()
    sim.ok(f"mount-in -p {name} -d {sim.host}/d -m /d")
    sim.ok(f"mount-out -p {name} -m /d")

    assert _fscomp(sim, name) == [f"{sim.host}/d /d"]
    assert sim.pot("mount-out", "-p", name, "-m", "/nosuch").lines == [
        "###>  The mount point /nosuch is not in use",
        "###>  The mountpoint is not valid!",
    ]


def test_point_44_copy_in_has_its_ways(sim: Simulator) -> None:
    """Directories onto directories get a random name, its own leave empty ones behind, a running pot needs -F."""
    name = sim.prepare("p", "sleep 300")
    tree = sim.host / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "x").write_text("x")
    sim.ok(f"copy-in -p {name} -s {tree} -d /new")
    sim.ok(f"copy-in -p {name} -s {tree} -d /etc")
    m = sim.m(name)
    assert (m / "new/sub/x").read_text() == "x"
    [random] = (m / "etc").glob("copy-in.*")
    assert (random / "sub/x").exists()
    assert re.fullmatch(r"copy-in\.\w{8}", random.name)
    assert len(list((m / "tmp").glob("copy-in.*"))) == 2

    file = f"copy-in -p {name} -s {tree}/sub/x -d /no/such/x"
    assert sim.pot(*file.split()).lines == [f"###>  Source {tree}/sub/x NOT copied because of an error"]
    sim.ok(file + " -c")
    assert (m / "no/such/x").exists()
    running = sim.start(name)
    ended = sim.pot(*f"copy-in -p {name} -s {tree}/sub/x -d /root/x".split())
    assert (ended.status, ended.lines[0][:50]) == (1, "###>  Copying files on a running pot is discourage")
    sim.ok(f"copy-in -F -p {name} -s {tree}/sub/x -d /root/x")
    assert sim.ok(f"exec -p {name} cat /root/x").out == "x"
    sim.ok(f"stop {name}")
    running.ended()
    out = sim.host / "out"
    out.mkdir()
    sim.ok(f"copy-out -p {name} -s /root/x -d {out}")
    assert (out / "x").read_text() == "x"
