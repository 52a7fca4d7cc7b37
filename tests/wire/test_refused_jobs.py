"""A job that is wrong is refused by name before pot is touched.

Not here: what is right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgpack
import pytest

from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.host import Plugin

RIGHT: dict[str, Any] = {"image": "https://example.org", "pot": "nginx", "tag": "1.0"}
WRONG = {
    "a wrong key": ({**RIGHT, "imag": "x"}, ["imag"]),
    "no image": ({"pot": "nginx", "tag": "1.0"}, ["image"]),
    "an unknown network": ({**RIGHT, "network_mode": "vpn"}, ["network_mode", "vpn"]),
    "an unknown port": ({**RIGHT, "port_map": [{"metrics": "80"}]}, ["port_map", "metrics"]),
    "a mount without a colon": ({**RIGHT, "mount": ["/srv/www"]}, ["mount", "/srv/www"]),
    "two problems": ({**RIGHT, "mount": ["/srv/www"], "extra_hosts": ["db"]}, ["/srv/www", "extra_hosts"]),
}


@pytest.fixture
async def plugin(plugin_argv: list[str], tmp_path: Path) -> AsyncIterator[Plugin]:
    """A plugin on a host whose commands note that they were called."""
    for name in ("pot", "jls", "ps", "sysctl", "rctl"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho "$0 $*" >>"{tmp_path}/commands"\n')
        script.chmod(0o755)
    config = {"host_path": str(tmp_path / "bin"), "state_dir": str(tmp_path / "state")}
    async with await Plugin.launch(plugin_argv) as plugin:
        await plugin.base.SetConfig(base.SetConfigRequest(msgpack_config=msgpack.packb(config)))
        yield plugin


@pytest.mark.parametrize(("config", "named"), WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_job_is_refused_by_name(
    plugin: Plugin, tmp_path: Path, config: dict[str, Any], named: list[str]
) -> None:
    """Option and value are in the message, it is not worth another try, and nothing on the host was run or made."""
    task = pb.TaskConfig(
        id="a1/web/00000000",
        name="web",
        alloc_id="a1",
        alloc_dir=str(tmp_path / "alloc"),
        msgpack_driver_config=msgpack.packb(config),
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await plugin.driver.StartTask(pb.StartTaskRequest(task=task))
    words = refused.value.details() or ""

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert all(name in words for name in named), words
    assert tuple(refused.value.trailing_metadata() or ()) == ()
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}
