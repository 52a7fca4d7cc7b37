"""A task is root in its pot and may do what it likes with the directories that it shares with the driver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

IDLE = "echo ready; exec sleep 1000"


@pytest.mark.parametrize(
    "trick",
    [
        "rm pot; mkfifo pot",
        "rm pot; ln -s /dev/zero pot",
        "cd ..; rm -r .pot; ln -s /dev .pot",
        "cd ..; rm -r .pot; mkfifo .pot",
        "echo other >pot; mkdir -p $(printf 'd/%.0s' $(seq 400)); rm env.sh; mkfifo env.sh",
    ],
)
async def test_what_a_task_makes_of_its_secrets_stops_neither_the_driver_nor_the_next_run(
    stage: Stage, trick: str
) -> None:
    async with stage() as scene:
        run = await scene.begin(f"cd /secrets/.pot && {trick}; {IDLE}")
        await scene.destroy(run)
        again = await scene.begin(IDLE, after=run)
        assert scene.pots() == [again.pot]
        await scene.destroy(again)
        assert scene.pots() == scene.jails() == []


async def test_a_link_in_the_place_of_the_directory_of_logs_is_not_followed(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(f"mv /alloc/logs /alloc/mine; ln -s mine /alloc/logs; {IDLE}")
        await scene.destroy(run)
        again = scene.place(after=run)
        with pytest.raises(grpc.aio.AioRpcError, match="cannot open the task's log"):
            await scene.plugin.driver.StartTask(pb.StartTaskRequest(task=again.config))


async def test_what_pot_writes_into_a_mounted_directory_does_not_follow_a_tasks_link(
    stage: Stage, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    async with stage() as scene:
        run = scene.place(f"ln -sf {victim} /etc/hosts; {IDLE}", config={"mount": ["local/etc:/etc"]})
        (run.allocation.dir / "t/local/etc").mkdir()
        await scene.start(run)
        await run.heard(b"ready\n")
        await scene.destroy(run)

        again = scene.place(after=run)
        with pytest.raises(grpc.aio.AioRpcError, match=r"pot would write /etc/hosts .* leads out of the pot"):
            await scene.plugin.driver.StartTask(pb.StartTaskRequest(task=again.config))
        assert not victim.exists()
        assert scene.left() == []
