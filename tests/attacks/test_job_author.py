"""Who may submit jobs, on a node that says which paths and images are allowed, must not get more than that."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed

from .conftest import image_of

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

IDLE = "echo ready; exec sleep 1000"
SECRET = b"s3cr3t-of-the-host"


def closed(scene_path: Path) -> dict[str, object]:
    """The plugin block of a node with allow-lists."""
    return {"volumes": {"allowed_paths": [f"{scene_path}/allowed"]}}


async def refused(scene: Scene, run: Run) -> str:
    with pytest.raises(CallFailed) as caught:
        await scene.start(run)
    assert scene.pots() == scene.jails() == []
    return str(caught.value)


OPENING = [
    ".",
    "./",
    "local/..",
    "/local/..",
    "/secrets/../",
    "../t",
    "../alloc/../t/.",
    "private",
    "./private/x",
    "..",
]


async def test_attack_5_the_whole_task_directory_is_neither_mounted_nor_copied(stage: Stage) -> None:
    async with stage() as scene:
        for option in ("mount", "mount_read_only", "copy"):
            run = scene.place(IDLE, config={option: [f"{path}:/td{n}" for n, path in enumerate(OPENING)]})
            (run.allocation.dir / "t/private").mkdir(exist_ok=True)
            (run.allocation.dir / "t/private/x").mkdir()
            text = await refused(scene, run)
            assert [
                path for n, path in enumerate(OPENING) if f'"{path}:/td{n}"' not in text and f'"{path}" ' not in text
            ] == []


@pytest.mark.parametrize("name", ["..", ".", "alloc", "../other", "a/../../b"])
async def test_attack_5_a_tasks_name_does_not_lead_out_of_its_directory(stage: Stage, name: str) -> None:
    async with stage() as scene:
        run = scene.place(IDLE)
        run.config.name = name
        text = await refused(scene, run)
        assert "name" in text


@pytest.mark.parametrize("place", ["local", "secrets"])
async def test_attack_5_a_link_in_the_place_of_a_directory_of_nomads_is_refused(stage: Stage, place: str) -> None:
    async with stage() as scene:
        victim = scene.path / "victim"
        victim.mkdir()
        run = scene.place(IDLE)
        own = run.allocation.dir / "t" / place
        own.rename(own.with_name("moved"))
        own.symlink_to(victim)
        assert place in await refused(scene, run)
        assert list(victim.iterdir()) == []


async def test_attack_7_nothing_below_alloc_is_a_source_of_a_mount(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(
            IDLE, config={"mount": ["../alloc/data:/a", "/alloc/data:/b"], "mount_read_only": ["../alloc:/c"]}
        )
        text = await refused(scene, run)
        assert all(f":/{name}" in text for name in "abc")


async def test_attack_7_what_others_may_rename_is_no_source_of_a_mount(stage: Stage, tmp_path: Path) -> None:
    loose = tmp_path / "allowed"
    (loose / "of-www/data").mkdir(parents=True)
    (loose / "of-all/data").mkdir(parents=True)
    os.chown(loose / "of-www", 80, 80)
    (loose / "of-all").chmod(0o777)
    async with stage(volumes={"allowed_paths": [str(loose)]}) as scene:
        run = scene.place(IDLE, config={"mount": [f"{loose}/of-www/data:/a", f"{loose}/of-all/data:/b"]})
        text = await refused(scene, run)
        assert f"{loose}/of-www" in text
        assert f"{loose}/of-all" in text


@pytest.mark.parametrize("inside", ["/.pot-driver", "/.pot-driver/start.sh", "//.pot-driver/./x", "/.pot-driver/"])
async def test_attack_7_nothing_covers_the_tasks_scripts(stage: Stage, inside: str) -> None:
    async with stage() as scene:
        for option in ("mount", "mount_read_only", "copy"):
            run = scene.place(IDLE, config={option: [f"local/x:{inside}"]})
            (run.allocation.dir / "t/local/x").mkdir()
            assert option in await refused(scene, run)


async def test_attack_7_an_images_link_does_not_bring_a_mount_over_the_scripts(stage: Stage) -> None:
    async with stage() as scene:

        def change(pot: Path) -> None:
            (pot / "m/data").symlink_to("/.pot-driver")
            (pot / "m/.pot-driver").mkdir()

        run = scene.place(IDLE, config={**image_of(scene, "over", change), "mount": ["local/x:/data"]})
        (run.allocation.dir / "t/local/x").mkdir()
        assert "/data" in await refused(scene, run)


async def test_attack_7_an_image_cannot_put_the_scripts_elsewhere(stage: Stage) -> None:
    async with stage() as scene:
        victim = scene.path / "victim"
        victim.mkdir()

        def change(pot: Path) -> None:
            (pot / "m/.pot-driver").symlink_to(victim)

        run = scene.place(IDLE, config=image_of(scene, "scripts", change))
        try:
            await scene.start(run)
        except CallFailed:
            assert scene.left() == []
        else:
            await scene.destroy(run)
        assert list(victim.iterdir()) == []


@pytest.mark.parametrize("when", ["pot import", "pot clone"])
async def test_attack_9_a_source_that_is_exchanged_after_the_check_shows_nothing_of_the_host(
    stage: Stage, when: str
) -> None:
    async with stage() as scene:
        secret = scene.path / "secret"
        secret.mkdir()
        (secret / "key").write_bytes(SECRET)
        config = {
            **image_of(scene, f"exchange-{when[4:]}", lambda _: None),
            "copy": ["../alloc/data/file:/srv/file", "../alloc/data/tree:/srv/tree"],
        }
        run = scene.place(f"cat /srv/file /srv/tree/key; {IDLE}", config=config)
        data = run.allocation.dir / "alloc/data"
        (data / "tree").mkdir()
        (data / "tree/key").write_text("mine")
        (data / "file").write_text("mine")
        scene.wire.forget()
        scene.wire.set(when, "after")
        starting = asyncio.ensure_future(scene.start(run))
        await scene.wire.held()
        for name, target in (("file", secret / "key"), ("tree", secret)):
            (data / name).rename(data / f"old-{name}")
            (data / name).symlink_to(target)
        scene.wire.go()
        with pytest.raises(CallFailed, match="was replaced after the job was checked"):
            await starting
        assert scene.left() == []


async def test_attack_9_a_source_that_changes_there_and_back_shows_nothing_of_the_host(stage: Stage) -> None:
    """As fast as another task can, all the time."""
    async with stage() as scene:
        secret = scene.path / "secret"
        secret.mkdir()
        (secret / "key").write_bytes(SECRET)
        over = threading.Event()
        for _ in range(6):
            config = {"copy": ["../alloc/data/tree/key:/srv/file", "../alloc/data/tree:/srv/tree"]}
            run = scene.place(f"cat /srv/file /srv/tree/key; {IDLE}", config=config)
            data = run.allocation.dir / "alloc/data"
            (data / "tree").mkdir()
            (data / "tree/key").write_text("mine")
            over.clear()
            exchanging = asyncio.create_task(asyncio.to_thread(exchange, data, secret, over))
            try:
                await scene.start(run)
            except CallFailed as error:
                assert SECRET.decode() not in str(error)  # noqa: PT017 - it may start as well
            else:
                await run.heard(b"ready\n")
                assert SECRET not in run.output["stdout"]
                await scene.destroy(run)
            finally:
                over.set()
                await exchanging


def exchange(data: Path, secret: Path, over: threading.Event) -> None:
    """Put a link to the secret in the place of the directory and of the file in it, and take it away again."""
    tree, old, key, moved = data / "tree", data / "old", data / "tree/key", data / "tree/old"
    while not over.is_set():
        tree.rename(old)
        tree.symlink_to(secret)
        tree.unlink()
        old.rename(tree)
        key.rename(moved)
        key.symlink_to(secret / "key")
        key.unlink()
        moved.rename(key)


async def test_attack_9_a_fifo_or_a_device_in_a_copied_directory_is_refused(stage: Stage) -> None:
    async with stage() as scene:
        for kind in ("fifo", "link"):
            run = scene.place(IDLE, config={"copy": ["local/tree:/srv/tree"]})
            tree = run.allocation.dir / "t/local/tree"
            tree.mkdir()
            if kind == "fifo":
                os.mkfifo(tree / "pipe")
                assert "pipe" in await refused(scene, run)
            else:  # it stays a link, into the pot
                (tree / "link").symlink_to("/etc/passwd")
                await scene.start(run)
                assert Path(scene.root.jails, run.pot, "m/srv/tree/link").is_symlink()
                await scene.destroy(run)
