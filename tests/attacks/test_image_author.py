"""Who makes an image must not act on the host by it, nor on other pots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from pot_driver.plan import compose
from pot_driver.pot import conf, prepared
from pot_driver.pot.tree import Tree

from .conftest import add_conf, image_of, program

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

IDLE = "echo ready; exec sleep 1000"
SECRET = "s3cr3t-of-the-host"


def conf_of(scene: Scene, run: Run, name: str = "pot.conf") -> list[str]:
    return Path(scene.root.jails, run.pot, "conf", name).read_text().splitlines()


async def refused(scene: Scene, run: Run) -> str:
    """Why the task is not started; nothing of it is left."""
    with pytest.raises(CallFailed) as caught:
        await scene.start(run)
    assert scene.left() == []
    return str(caught.value)


async def test_attack_1_no_program_of_the_image_runs_before_there_is_a_jail(stage: Stage) -> None:
    async with stage() as scene:
        marked = scene.path / "ran"

        def change(pot: Path) -> None:
            for name in ("realpath", "cp", "ls", "mkdir", "ln", "mv", "cat", "chown", "id", "env", "rm"):
                program(pot / "m/bin" / name, f'echo $0 "$@" >>{marked} 2>/dev/null || echo "$0" >>/ran')

        config = image_of(scene, "programs", change)
        (scene.path / "file").write_text("text")
        (scene.path / "data").mkdir()
        config |= {"copy": [f"{scene.path}/file:/srv/file"], "mount": [f"{scene.path}/data:/data"]}
        run = scene.place("[ -e /ran ] || echo ready; exec /usr/bin/sleep 1000", config=config)
        await scene.start(run)

        await run.heard(b"ready\n")
        assert not marked.exists()
        assert not Path(scene.root.jails, run.pot, "m/ran").exists()
        await scene.destroy(run)
        assert not marked.exists()


async def test_attack_1_links_of_the_image_lead_a_copy_or_a_mount_nowhere_on_the_host(stage: Stage) -> None:
    async with stage() as scene:
        victim = scene.path / "victim"
        victim.mkdir()
        below = str(victim).lstrip("/")
        targets = {"a": f"/{below}", "b": f"{'../' * 40}{below}", "c": f"opt/../../{'../' * 40}{below}"}

        def change(pot: Path) -> None:
            for name, target in targets.items():
                (pot / "m" / name).symlink_to(target)

        (scene.path / "file").write_text("text")
        (scene.path / "data").mkdir()
        config = image_of(scene, "links", change) | {
            "copy": [f"{scene.path}/file:/{name}/file{name}" for name in targets],
            "mount": [f"{scene.path}/data:/{name}/data{name}" for name in targets],
        }
        run = scene.place(f"cat /a/filea /b/fileb /c/filec && ls -d /a/dataa /b/datab && {IDLE}", config=config)
        await scene.start(run)
        await run.heard(b"ready\n")
        assert list(victim.iterdir()) == []
        await scene.destroy(run)
        assert list(victim.iterdir()) == []


@pytest.mark.parametrize("path", ["etc/hosts", "tmp/tinirc", "bin/freebsd-version"])
async def test_attack_1_what_pot_writes_into_a_pot_does_not_follow_a_link_of_the_image(stage: Stage, path: str) -> None:
    async with stage() as scene:
        victim = scene.path / "victim"
        victim.write_text("untouched")

        def change(pot: Path) -> None:
            (pot / "m" / path).unlink(missing_ok=True)
            (pot / "m" / path).symlink_to(victim)

        config = image_of(scene, f"written-{Path(path).stem}", change)
        run = scene.place(IDLE, config=config)
        await scene.start(run)
        await scene.destroy(run)
        assert victim.read_text() == "untouched"


@pytest.mark.parametrize("kind", ["fifo", "zero", "huge"])
def test_attack_1_pot_does_not_wait_at_what_an_image_has_in_the_place_of_its_version(tmp_path: Path, kind: str) -> None:
    """`pot start` looks for a line in that file, as the host's root."""
    file = tmp_path / "bin/freebsd-version"
    file.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "zero":
        file.symlink_to("/dev/zero")
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    with Tree(tmp_path) as tree:
        prepared.make_writable(tree)
    assert not os.path.lexists(file)


async def test_attack_2_what_an_image_mounts_is_not_mounted(stage: Stage) -> None:
    async with stage() as scene:
        other = scene.place(f"echo {SECRET} >/key; {IDLE}", name="other")
        await scene.start(other)
        await other.heard(b"ready\n")
        (scene.path / "host").mkdir()
        (scene.path / "host/key").write_text(SECRET)
        mnt = Path(scene.root.jails, "mounts_1_0/m/mnt")
        dataset = f"zroot/pot/jails/{other.pot}/m"
        lines = [
            f"{dataset} /mnt",
            f"{dataset} /mnt zfs-remount",
            f"{scene.path}/host {mnt}",
            f"{scene.path}/host /mnt",
        ]

        def change(pot: Path) -> None:
            (pot / "conf/fscomp.conf").write_text("".join(f"{line}\n" for line in lines))

        run = scene.place(f"ls /mnt; cat /mnt/key; {IDLE}", config=image_of(scene, "mounts", change))
        await scene.start(run)

        await run.heard(b"ready\n")
        assert bytes(run.output["stdout"]) == b"ready\n"
        assert not [one for one in conf_of(scene, run, "fscomp.conf") if "/mnt" in one or dataset in one]
        await scene.until_told("Left out")
        assert any("fscomp.conf" in event and dataset in event for event in scene.told(run))
        await scene.destroy(run)
        await scene.destroy(other)


DROPPED = (
    " pot.export.ports=23:18023",
    "pot.export.ports=80:18080 90:18090",
    "pot.export.portsX=22:18022",
    "x=pot.export.ports=24:18024",
    "pot-attr-devfs_ruleset=0",
    "potXattr.raw_sockets=YES",
    "pot.attr.raw_sockets=YES",  # there already
    "pot.attr.devfs_ruleset=0",
    "pot.attr.exec_stop=/bin/sh -c x",
    "pot.attr.persistent=YES",
    "pot.attr.nonsense=1",
    "pot.depend=shell_1_0",
    "pot.cmd=/bin/sh /trap",
    "osrelease=$(touch MARK)",
    "pot.rss.cpus=$(touch MARK)",
    "pot.hosts=127.0.0.1 x;touch MARK",
    "pot.potbase=../../etc",
)
REFUSED = (
    "pot.type=multi",
    "pot.dns=custom:/etc/master.passwd",
    "pot.stack=$(touch MARK)",
    "pot.level=0",
    "network_type=public-bridge\rvnet=true",
    "network_type=public-bridge",
)


async def test_attack_3_what_an_image_adds_to_its_pot_conf_changes_nothing_and_is_told(stage: Stage) -> None:
    async with stage() as scene:
        plain = scene.place(IDLE)
        await scene.start(plain)
        expected = conf_of(scene, plain)
        await scene.destroy(plain)
        mark = scene.path / "mark"
        lines = [line.replace("MARK", str(mark)) for line in DROPPED]
        run = scene.place(IDLE, config=image_of(scene, "lines", add_conf(*lines)))
        await scene.start(run)

        assert without_names(conf_of(scene, run)) == without_names(expected)
        await scene.until_told("Left out")
        told = " ".join(event for event in scene.told(run) if event.startswith("Left out"))
        assert [line for line in DROPPED if line.split("=")[0] not in told] == []
        await scene.destroy(run)
        assert not mark.exists()


async def test_attack_3_ports_of_an_image_are_not_forwarded_where_the_job_asks_for_none(stage: Stage) -> None:
    async with stage() as scene:
        lines = ["pot.export.ports=80:18080", "pot.export.ports=8080;touch${IFS}/tmp/x:28081"]
        config = {**image_of(scene, "ports", add_conf(*lines)), "network_mode": "public-bridge"}
        run = scene.place(IDLE, config=config)
        await scene.start(run)
        assert not [line for line in conf_of(scene, run) if "ports" in line]
        await scene.destroy(run)


@pytest.mark.parametrize("line", REFUSED)
def test_attack_3_what_pot_clone_would_obey_is_refused_by_name(line: str) -> None:
    problem = compose.unfit(conf.read(f"pot.level=0\npot.type=single\nnetwork_type=inherit\n{line}\n"))

    assert line.split("=", maxsplit=1)[0] in problem
    assert problem.isprintable()


async def test_attack_3_an_image_that_is_refused_is_not_cloned(stage: Stage) -> None:
    async with stage() as scene:
        config = image_of(scene, "multi", add_conf("pot.type=multi"))
        scene.wire.forget()
        assert "pot.type" in await refused(scene, scene.place(IDLE, config=config))
        assert "pot clone" not in scene.wire.calls


def without_names(lines: list[str]) -> list[str]:
    return sorted(line for line in lines if not line.startswith(("host.hostname=", "ip=")))


async def test_attack_3_hooks_and_unknown_files_of_an_image_are_refused_by_name(stage: Stage) -> None:
    async with stage() as scene:
        for file in ("prestart.sh", "poststop.sh", "exotic", "pot.conf.bak"):
            config = image_of(
                scene, f"file-{file.replace('.', '-')}", lambda pot, file=file: (pot / "conf" / file).touch()
            )
            assert file in await refused(scene, scene.place(IDLE, config=config))


@pytest.mark.parametrize("file", ["fscomp.conf", "resolv.conf", ".last_run_stats"])
async def test_attack_4_a_link_in_the_images_configuration_is_refused_by_name(stage: Stage, file: str) -> None:
    async with stage() as scene:
        secret = scene.path / "secret"
        secret.write_text(f"{SECRET}\n")

        def change(pot: Path) -> None:
            (pot / "conf" / file).unlink(missing_ok=True)
            (pot / "conf" / file).symlink_to(secret)

        config = image_of(scene, f"link-{file.replace('.', '-')}", change)
        text = await refused(scene, scene.place(IDLE, config=config))
        assert file in text
        assert SECRET not in text
        assert secret.read_text() == f"{SECRET}\n"


async def test_attack_4_a_whole_conf_directory_that_is_a_link_is_refused(stage: Stage) -> None:
    async with stage() as scene:
        theirs = scene.path / "theirs"

        def change(pot: Path) -> None:
            (pot / "conf").rename(theirs)
            (pot / "conf").symlink_to(theirs)

        run = scene.place(IDLE, config=image_of(scene, "link-conf", change))
        before = sorted(theirs.iterdir())
        await refused(scene, run)
        assert sorted(theirs.iterdir()) == before


async def test_attack_4_dns_of_an_image_shows_no_file_of_the_host(stage: Stage) -> None:
    async with stage() as scene:
        secret = scene.path / "secret"
        secret.write_text(f"{SECRET}\n")

        def change(pot: Path) -> None:
            conf = pot / "conf/pot.conf"
            conf.write_text(conf.read_text().replace("pot.dns=inherit", f"pot.dns=custom:{secret}"))

        run = scene.place(IDLE, config=image_of(scene, "dns", change))
        text = await refused(scene, run)
        assert "pot.dns=custom:" in text
        assert SECRET not in text
