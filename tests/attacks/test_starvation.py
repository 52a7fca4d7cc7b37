"""Nothing of an image, and no slow server, keeps other tasks from starting."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed

from .conftest import image_of, program

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

IDLE = "echo ready; exec sleep 1000"


async def test_attack_13_an_image_whose_shell_sleeps_holds_no_slot(stage: Stage) -> None:
    async with stage(max_parallel_starts=1) as scene:
        config = image_of(scene, "sleeper", lambda pot: program(pot / "m/bin/sh", "exec /usr/bin/sleep 1000"))
        asleep = [scene.place(config=config) for _ in range(2)]
        starting = [asyncio.ensure_future(scene.start(run)) for run in asleep]
        await scene.until_told("Waiting for the pot")

        awake = await scene.begin(IDLE)
        assert not any(start.done() for start in starting)
        await scene.destroy(awake)
        for run in asleep:
            shutil.rmtree(run.allocation.dir)
        for start in starting:
            with pytest.raises(CallFailed, match="given up"):
                await start


async def test_attack_13_no_program_of_an_image_is_waited_for_before_there_is_a_jail(stage: Stage) -> None:
    async with stage(max_parallel_starts=1) as scene:

        def change(pot: Path) -> None:
            for name in ("cp", "realpath", "ls", "mkdir", "id"):
                program(pot / "m/bin" / name, "exec /usr/bin/sleep 1000")

        (scene.path / "file").write_text("text")
        config = image_of(scene, "slow-programs", change) | {"copy": [f"{scene.path}/file:/srv/file"]}
        run = await scene.begin(IDLE, config=config)
        await scene.destroy(run)


async def test_attack_13_pot_fetches_nothing_under_its_lock_when_a_hash_is_wrong(stage: Stage) -> None:
    async with stage() as scene:
        image_of(scene, "wrong-hash", lambda _: None)
        images = Path(scene.root.path, "images")
        (images / "wrong-hash_1.0.xz.skein").write_text("0" * 256 + "\n")
        asked: Counter[str] = Counter()

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked[self.path] += 1
                super().do_GET()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(images))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            run = scene.place(IDLE, config={"image": url, "pot": "wrong-hash"})
            with pytest.raises(CallFailed, match=r"has is not what .*\.skein says"):
                await scene.start(run)
            server.shutdown()

        assert asked["/wrong-hash_1.0.xz"] == 2  # by the driver, once more for a bad moment; pot is not asked at all
        assert scene.left() == []
