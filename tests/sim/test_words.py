"""What pot says of mounts, bridges and odd arguments, as the real one says it, and as no record shows it.

Not here: the recorded runs (`test_transcripts.py`), the seventy points (`test_checklist*.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


def test_stop_unmounts_what_is_mounted_and_says_so_of_the_rest(sim: Simulator) -> None:
    """Also what a killed start, and whoever mounted something into the running pot, have left."""
    name = sim.prepare("p", "sleep 300")
    place, host = sim.m(name), sim.host
    (host / "more").mkdir()
    sim.ok(f"mount-in -p {name} -d {host} -m /a")
    start = sim.start(name)
    sim.ok(f"mount-in -p {name} -d {host}/more -m /b")
    out = sim.ok(f"mount-out -v -p {name} -m /b").lines
    again = sim.ok(f"mount-out -v -p {name} -m /b").lines
    assert out[1:] == [f"=====>  unmount {place}/b", f"=====>  Umounted b on {name}"]
    assert again[1:] == [f"=====>  {place}/b is already unmounted", f"=====>  Umounted b on {name}"]
    start.process.kill()
    sim.pot("signal", "-p", name, "-s", "KILL")
    sim.until(lambda: not sim.lives(name))

    first, second = (sim.ok(f"stop -v -p {name}").lines for _ in range(2))

    assert first[1:] == [
        f"=====>  {s}" for s in (f"unmount {place}/dev", f"{place}/b is already unmounted", f"unmount {place}/a")
    ]
    assert second[1:] == [f"=====>  {place}{each} is already unmounted" for each in ("/dev", "/b", "/a")]


def test_files_are_copied_where_a_directory_cannot_be_mounted(sim: Simulator) -> None:
    """copy-in only says so, and goes on."""
    name = sim.prepare("p", "true")
    (sim.host / "gone").mkdir()
    (sim.host / "file").write_text("here")
    sim.ok(f"mount-in -p {name} -d {sim.host}/gone -m /a")
    (sim.host / "gone").rmdir()

    copied = sim.ok(f"copy-in -p {name} -s {sim.host}/file -d /root/file")

    assert copied.lines == [f"###>  Error mounting {sim.host}/gone on {sim.m(name)}/a"]
    assert (sim.m(name) / "root/file").read_text() == "here"


def test_a_remounted_dataset_is_told_by_name(sim: Simulator) -> None:
    name = sim.prepare("p", "cat /data/mark")
    sim.ok("create-fscomp -f data")
    (Path(sim.root.fs) / "fscomp/data/mark").write_text("shared")
    sim.ok(f"mount-in -p {name} -f data -m /data -w")

    lines = sim.ok(f"start -v {name}").lines

    assert f"=====>  _pot_mount: the dataset zroot/pot/fscomp/data is mounted at {sim.m(name)}/data" in lines
    assert lines[-1] == f"=====>  stop: the dataset zroot/pot/fscomp/data is mounted at {sim.root.jail(name)}/data"
    assert "shared" in lines


def test_each_stack_has_a_bridge(sim: Simulator) -> None:
    """On a host of one stack a dual pot looks for the other one's bridge at each start, in vain."""
    name = sim.prepare("p", "true", "-N", "public-bridge", "-S", "dual")
    missing = "===>  Internal network not found! Calling vnet-start to fix the issue"
    assert [sim.ok(f"start {name}").lines.count(missing) for _ in range(2)] == [2, 1]
    with (Path(sim.root.etc) / "pot.conf").open("a") as file:
        file.write("POT_NETWORK_STACK=dual\n")

    lines = sim.ok("vnet-start -v").lines

    assert lines[:2] == ["=====>  Bridge bridge0 already present", "=====>  Bridge created bridge1"]
    assert sim.ok(f"start {name}").lines.count(missing) == 0


def test_every_host_has_a_loopback_interface_for_an_alias(sim: Simulator) -> None:
    name = sim.prepare("p", "true", "-N", "alias", "-S", "dual", "-i", "em0|10.9.0.5", "-i", "lo0|fe80::5")

    assert "export _POT_NIC_1=lo0" in sim.ok(f"info -E -p {name}").lines
    assert sim.ok(f"info -E -s -p {name}").lines == []  # snapshots come first


def test_odd_names_and_files_are_left_to_the_tools(sim: Simulator) -> None:
    """What a tool refuses, pot does not notice."""
    name = sim.prepare("p", "true")
    assert sim.pot("set-cmd", "-p", name, "-c", "-n").status == 0
    assert "pot.cmd=" in sim.conf(name)
    assert sim.pot("set-hook", "-p", name, "-s", str(sim.host)).status == 0
    slashed = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "a/b", "-d", f"custom:{sim.host}")
    assert (slashed.status, slashed.lines[-1]) == (0, "===>  Prepared the pot a/b_a1")
    assert "cannot create 'zroot/pot/jails/a/b_a1': parent does not exist" in slashed.err
    assert sim.pot("info", "-qp", "a/b_a1").status == 1
    for directory in ("w", "w-1"):
        Path(sim.root.jail(directory)).mkdir()
    assert sim.ok("ls -q").lines == ["a", name, "w-1", "w", "web_1_0"]


def test_a_configuration_is_brought_up_to_date(sim: Simulator) -> None:
    """What older versions wrote is rewritten; an empty value is missing, and added at each time."""
    name = sim.prepare("p", "true")
    file = Path(sim.root.conf(name)) / "pot.conf"
    kept = [line for line in sim.conf(name) if not line.startswith(("network_type", "pot.attr.prunable"))]
    old = ["ip4=10.192.0.9", "vnet=true", "pot.export.static.ports=80 81", "pot.export.ports=8:9", "pot.rss.cpuset=1"]
    file.write_text("\n".join([line for line in kept if not line.startswith("vnet")] + old) + "\n")
    assert sim.pot("start", name).status == 1

    said = sim.ok(f"update-config -p {name}").lines

    assert said[0] == "===>  Removing cpuset rss allocation: 1"
    added = [line for line in sim.conf(name) if line not in kept and line not in old]
    assert added == [
        "pot.attr.early.start-at-boot=NO",
        "pot.attr.prunable=NO",
        "pot.export.ports=8:9 80:80 81:81",
        "network_type=public-bridge",
        "ip=10.192.0.9",
    ]
    sim.ok("update-config -a")
    assert sim.conf(name).count("pot.attr.exec_stop=") == 3
    assert "exec_stop: NO" in sim.ok(f"info -v -p {name}").out
    assert sim.pot("start", name).status == 0


def test_pots_of_several_datasets_are_refused_with_their_own_reasons(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    for options, reason in (
        (f"-P {name}", f"-P {name} : it has to be of level 1"),
        ("-P none", "-P none : is not a pot"),
        (f"-l 2 -P {name}", f"-P {name} : it has to be at least of level 1"),
        (f"-b 13 -P {name}", f"-b 13 -P {name} are not compatible".replace("-P", "and -P")),
        ("-b 14.1", "14.1 is not a valid base"),
        ("-l 3", "level 3 is not supported"),
    ):
        refused = sim.pot("create", "-p", "new", *options.split())
        assert refused.status == 1
        assert f"###>  {reason}" in refused.lines[:2], options
    assert sim.pot("create-base", "-r", "1.0").lines[0] == "###>  1.0 is not a supported release"
    assert sim.pot("create-base", "-r", "14.1").status == 1


def test_everything_is_given_up_and_begun_anew(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    sim.start(name)
    assert "pool or dataset is busy" in sim.ok("de-init -f").err
    sim.ok(f"stop {name}")

    assert sim.ok("de-init -m").lines[:2] == ["===>  Deinstall pot (zroot/pot)", "zfs datasets have been removed"]
    assert sim.pot("ls").err == f"###>  {sim.root.fs} does not exist, please run 'pot init'\n"
    assert sim.ok("init").lines == []
    sim.prepare("p", "true")


def test_a_flavour_s_script_runs_in_the_new_pot(sim: Simulator) -> None:
    sim.prepare("p")
    script = sim.host / "fl.sh"
    script.write_text("#!/bin/sh\necho in $1; test -e /root/ready\n")
    script.chmod(0o755)
    copied = f"'{script}' -> '{{}}/tmp/fl.sh'"

    failed = sim.pot("clone", "-P", "web_1_0", "-p", "c", "-f", str(script))

    assert failed.status == 1
    assert failed.lines[-3:] == [copied.format(sim.m("c")), "in c", f"###>  create: flavour {script} failed (script)"]
    assert sim.pot("info", "-qp", "c").status == 1
    (sim.m("p_a1") / "root/ready").write_text("")
    sim.ok("snapshot -p p_a1")
    done = sim.ok(f"clone -P p_a1 -p d -f {script}")
    assert done.lines == ["===>  Starting the pot d", copied.format(sim.m("d")), "in d"]
    assert not sim.lives("d")


@pytest.mark.parametrize("odd", [".", "..", "../jails/p_a1", "p_a1/"])
def test_a_name_that_leads_elsewhere_is_no_pot(sim: Simulator, odd: str) -> None:
    """It may be a directory, but zfs knows no such dataset."""
    sim.prepare("p", "true")

    for command in (f"start -p {odd}", f"destroy -F -p {odd}", f"set-env -p {odd} -E A=1"):
        ended = sim.pot(*command.split())
        assert (ended.status, ended.lines[0]) == (1, f"###>   zfs dataset {odd} not found"), command
    assert sim.ok("ls -q").lines == ["p_a1", "web_1_0"]
