"""What a host may have wrong: each fault, as pot and those around it see it.

Not here: faults of jls, ps, sysctl and rctl alone (`test_hostcmds`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import __version__, conf, install

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = pytest.mark.namespaces


def faulty(sim: Simulator, *lines: str) -> None:
    Path(sim.root.faults).write_text("".join(line + "\n" for line in lines))


def test_pot_signal_refuses_every_name(sim: Simulator) -> None:
    faulty(sim, "signal")
    name = sim.prepare("p", "sleep 300")
    sim.start(name)
    refused = sim.pot("signal", "-p", name, "-s", "SIGTERM")
    assert refused.status == 1
    assert refused.lines[0].startswith("###>  Invalid signal, valid signals: HUP ")


def test_a_dataset_is_busy_for_a_moment_after_its_jail(sim: Simulator) -> None:
    faulty(sim, "busy 60")
    name = sim.prepare("p", "sleep 300")
    sim.start(name)
    sim.ok(f"stop {name}")
    refused = sim.pot("destroy", "-p", name)
    assert refused.status == 1
    assert f"cannot destroy 'zroot/pot/jails/{name}': dataset is busy" in refused.err
    faulty(sim, "busy 0")
    sim.ok(f"destroy -p {name}")


@pytest.mark.parametrize(("fault", "words"), [("disk-full", "out of space"), ("disk-full quota exceeded", "quota")])
def test_a_full_pool_says_so_in_its_words(sim: Simulator, fault: str, words: str) -> None:
    sim.prepare("first")
    faulty(sim, fault)
    refused = sim.pot("clone", "-p", "second", "-P", "web_1_0")
    assert words in refused.err


def test_without_vimage_a_pot_with_a_network_does_not_start(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    faulty(sim, "vnet")
    conf.replace(sim.root, name, "vnet", ["true"])
    refused = sim.pot("start", name)
    assert "###>  This kernel doesn't support VIMAGE! No vnet possible - abort" in refused.lines


def test_an_unmounted_root_is_missed(sim: Simulator) -> None:
    faulty(sim, "unmounted")
    refused = sim.pot("ls")
    assert (refused.status, refused.err) == (1, f"###>  {sim.root.fs} does not exist, please run 'pot init'\n")


def test_a_reboot_cleans_as_rc_does(sim: Simulator) -> None:
    home = sim.host / "run/task"
    home.mkdir(parents=True)
    (home / "file").touch()
    os.mkfifo(home / "alive")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "socket"))
    Path(sim.root.tmp, "left").touch()
    install.reboot(sim.root, var_run=[str(sim.host / "run")])
    assert [path.name for path in home.iterdir()] == ["alive"]
    assert Path(sim.root.tmp, "left").exists()
    install.reboot(sim.root, clear_tmp=True)
    assert list(Path(sim.root.tmp).iterdir()) == []


def test_chroot_takes_freebsd_options(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    sim.start(name)
    script = "/usr/sbin/chroot -u www -g www -G tty / sh -c 'id -un; id -gn; id -Gn; echo $$'; /usr/sbin/chroot -x"
    ended = sim.pot("exec", "-p", name, "sh", "-c", script)
    assert [line.split() for line in ended.lines[-4:-1]] == [["www"], ["www"], ["www", "tty"]]
    assert "usage: chroot [-g group] [-G group,group,...] [-u user] newroot [command]" in ended.err


def test_the_simulator_says_its_version() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "pot_sim", "--version"], capture_output=True, text=True, check=True, env={}
    )
    assert said.stdout == f"pot-sim {__version__}\n"


def test_an_image_without_a_password_database_has_no_jail(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    faulty(sim, "jail getpwnam: No such file or directory")
    started = sim.pot("start", name)
    assert started.status == 125
    assert "jail: getpwnam: No such file or directory" in started.err
    assert sim.ok(f"last-run-stats -p {name}").out == '{ "ExitCode": 1 }\n'


def test_images_are_received_side_by_side(sim: Simulator) -> None:
    images = Path(sim.images.removeprefix("file://"))
    for suffix in ("", ".meta", ".skein"):
        for tag in ("1", "2"):
            (sim.host / f"web_{tag}.xz{suffix}").write_bytes((images / f"web_1.0.xz{suffix}").read_bytes())
    half = Path(sim.root.fs, "receiving/killed.4194304")
    half.mkdir(parents=True)
    argv = ("import", "-p", "web", "-U", f"file://{sim.host}", "-t")
    running = [sim.background(*argv, tag) for tag in ("1", "2", "1")]
    for each in running:
        each.ended()
    for tag in ("1", "2"):
        assert sim.ok(f"info -p web_{tag}").out
    assert list(half.parent.iterdir()) == []
