"""What is wrong with a job is said by option and value, before pot is asked to do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import PortAsk, Task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import ScriptedPot

GOOD: dict[str, object] = {"image": "file:///images", "pot": "web", "tag": "1.0", "command": "/bin/sh"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": None}, ["image"]),
        ({"network_mode": "bridged"}, ["network_mode", "bridged", "public-bridge"]),
        ({"port_map": [{"https": "443"}]}, ["port_map", "https", "http"]),
        ({"mount": ["/mnt/data"]}, ["mount", "/mnt/data"]),
        (
            {"port_map": [{"https": "443"}], "mount": ["nonsense"], "copy": ["local/none:/etc/x"]},
            ["port_map", "https", "mount", "nonsense", "copy", "local/none"],
        ),
    ],
    ids=["missing image", "bad network_mode", "unknown port label", "mount without colon", "all at once"],
)
async def test_a_wrong_option_is_named_and_pot_is_not_called(
    scripted: ScriptedPot, allocs: Path, a_client: Any, wrong: dict[str, object], words: list[str]
) -> None:
    task = Task(name="t", config={k: v for k, v in {**GOOD, **wrong}.items() if v is not None})
    async with a_client(allocs, **scripted.config) as client:
        allocation = client.allocation(task, ports=(PortAsk(label="http"),))
        before = scripted.calls

        with pytest.raises((CallFailed, ConfigError)) as error:
            await client.agent.start_task(allocation.task_config(task, client.agent.task_schema))

        assert scripted.calls == before
        for word in words:
            assert word in str(error.value)


async def test_a_wrong_key_is_refused_by_nomad_with_the_plugins_schema(
    scripted: ScriptedPot, allocs: Path, a_client: Any
) -> None:
    task = Task(name="t", config={**GOOD, "imagee": "x"})
    async with a_client(allocs, **scripted.config) as client:
        with pytest.raises(ConfigError, match='No argument or block type is named "imagee"'):
            client.allocation(task).task_config(task, client.agent.task_schema)


async def test_a_wrong_key_that_gets_past_the_host_is_refused_by_the_driver(
    scripted: ScriptedPot, allocs: Path, a_client: Any
) -> None:
    task = Task(name="t", config=GOOD)
    async with a_client(allocs, **scripted.config) as client:
        config = client.allocation(task).task_config(task, client.agent.task_schema)
        config.msgpack_driver_config = msgpack.packb({**GOOD, "imagee": "x"})
        before = scripted.calls

        with pytest.raises(CallFailed, match="imagee"):
            await client.agent.start_task(config)

        assert scripted.calls == before
