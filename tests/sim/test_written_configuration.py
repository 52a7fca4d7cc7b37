"""A pot whose pot.conf and fscomp.conf somebody else has written: read line by line as pot's scripts read them.

Not here: the configuration that pot itself writes (`test_checklist_settings`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import conf

if TYPE_CHECKING:
    from conftest import Simulator

pytestmark = pytest.mark.namespaces


@pytest.fixture
def name(sim: Simulator) -> str:
    return sim.prepare("p", "sleep 300")


def pot_conf(sim: Simulator, name: str) -> Path:
    return Path(conf.path(sim.root, name))


def mounts(sim: Simulator, name: str, text: str) -> None:
    Path(conf.fscomp_path(sim.root, name)).write_text(text)


def test_a_dot_of_a_key_is_any_character(sim: Simulator, name: str) -> None:
    with pot_conf(sim, name).open("a") as file:
        file.write("potXattrXexec_stop=touch x\npot_hosts=192.0.2.1 other\n")
    assert conf.get_string(sim.root, name, "pot.attr.exec_stop") == "\ntouch x"
    assert conf.get_lines(sim.root, name, "pot.hosts") == ["192.0.2.1 other"]


def test_repeated_keys_are_lines_of_one_value(sim: Simulator, name: str) -> None:
    pot_conf(sim, name).write_text('pot.dns=off\npot.dns="inh erit"=x\n#pot.dns=pot\n')
    assert conf.get(sim.root, name, "pot.dns") == "off\ninherit"


def test_exported_ports_are_found_anywhere_in_a_line(sim: Simulator, name: str) -> None:
    pot_conf(sim, name).write_text("# not pot.export.ports=80\npot.export.portsX=81 82\npot.export.ports=a=83\n")
    assert conf.export_ports(sim.root, name) == ["80", "81", "82"]


def test_a_last_line_without_its_newline_is_not_mounted(sim: Simulator, name: str) -> None:
    mounts(sim, name, f"{sim.host} /mnt\n{sim.host} /opt")
    assert conf.fscomp(sim.root, name) == [(str(sim.host), "/mnt", "")]


def test_options_of_mount_are_nullfs_options(sim: Simulator, name: str) -> None:
    (sim.host / "file").touch()
    mounts(sim, name, f"{sim.host} /mnt noexec,ro\n")
    sim.start(name)
    assert sim.pot("exec", "-p", name, "sh", "-c", "touch /mnt/x || ls /mnt").lines[-1] == "file"
    sim.ok(f"stop {name}")
    mounts(sim, name, f"{sim.host} /mnt nonsense\n")
    refused = sim.pot("start", name)
    assert refused.status == 1
    assert "###>  Mount failed " in refused.lines


def test_a_dataset_gets_a_mount_point_and_must_exist(sim: Simulator, name: str) -> None:
    sim.ok("create-fscomp -f data")
    mounts(sim, name, "zroot/pot/fscomp/data /made\n")
    sim.start(name)
    assert sim.ok(f"exec -p {name} ls -d /made").lines[-1] == "/made"
    sim.ok(f"stop {name}")
    mounts(sim, name, f"{sim.host} /mnt zfs-remount\n")
    refused = sim.pot("start", name)
    assert f"###>  _pot_mount: Dataset {sim.host} not mounted at {sim.root.m(name)}/mnt! Aborting" in refused.lines


def test_the_same_directory_is_not_mounted_twice_at_one_place(sim: Simulator, name: str) -> None:
    mounts(sim, name, f"{sim.host} /mnt\n{sim.host} /mnt ro\n")
    refused = sim.pot("start", name)
    assert f"mount_nullfs: {sim.host}: Resource deadlock avoided" in refused.lines + refused.err.splitlines()


def test_a_mount_through_a_link_is_where_the_host_finds_it(sim: Simulator, name: str) -> None:
    root, elsewhere = Path(sim.root.m(name)), sim.host / "elsewhere"
    source = sim.host / "source"
    for directory in (elsewhere, source, root / "real"):
        directory.mkdir()
    (source / "file").touch()
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to(elsewhere)
    mounts(sim, name, f"{source} /inside\n{source} /outside\n")
    sim.start(name)
    assert sim.ok(f"exec -p {name} ls /real").lines[-1] == "file"
    assert sim.pot("exec", "-p", name, "ls", str(elsewhere)).status != 0  # it is not in the pot
    assert str(elsewhere) in Path(sim.root.run, "mounted", name).read_text().splitlines()


def test_files_of_etc_are_written_through_links(sim: Simulator, name: str) -> None:
    etc, victim = Path(sim.root.m(name), "etc"), sim.host / "victim"
    (etc / "hosts").unlink(missing_ok=True)
    (etc / "hosts").symlink_to(victim)
    sim.start(name)
    assert victim.read_text().startswith("::1 localhost")


def test_the_image_says_its_release(sim: Simulator, name: str) -> None:
    script = Path(sim.root.m(name), "bin/freebsd-version")
    script.write_text('USERLAND_VERSION="12.1-RELEASE"\n')
    running = sim.background("start", "-vv", name)
    sim.until(lambda: sim.state(name) == "started")
    assert " osrelease=12.1-RELEASE " in running.out
