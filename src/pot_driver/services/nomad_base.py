"""Nomad's BasePlugin service: who we are, and our configuration.

Not here: what the configuration means.
"""

# ruff: noqa: N802, ARG002 - gRPC's names and signatures

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pot_driver import schema
from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.base.proto.base_pb2_grpc import BasePluginServicer
from pot_driver.config.tables import PLUGIN_OPTIONS
from pot_driver.services.guard import Context

if TYPE_CHECKING:
    from pot_driver.driver import PotDriver


class BaseService(BasePluginServicer):
    """The first calls of every launch, two of three of which only ask and then end us."""

    def __init__(self, driver: Callable[[], PotDriver]) -> None:
        self._driver = driver  # made when it is first needed

    async def PluginInfo(self, request: base.PluginInfoRequest, context: Context) -> base.PluginInfoResponse:
        """Name and versions."""
        return schema.PLUGIN_INFO

    async def ConfigSchema(self, request: base.ConfigSchemaRequest, context: Context) -> base.ConfigSchemaResponse:
        """What the agent's plugin block may hold."""
        return base.ConfigSchemaResponse(spec=schema.spec(PLUGIN_OPTIONS))

    async def SetConfig(self, request: base.SetConfigRequest, context: Context) -> base.SetConfigResponse:
        """What it holds."""
        from pot_driver import wire  # noqa: PLC0415 - a launch that only asks does without

        self._driver().set_config(request.msgpack_config, wire.host_compute(request))
        return base.SetConfigResponse()
