"""A service that is made at its first call.

Nomad launches the plugin three times at every agent start, one launch after the other, and ends two of them after a
question or two. What those do not need is not imported by them.

Not here: which service that is (see `app`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc


class Registry(Protocol):
    """What a generated `add_…Servicer_to_server` function asks of a server."""

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[Any]) -> None:
        """Take a service's handlers."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        """Take them in another form."""


class LateService(grpc.GenericRpcHandler):
    """Stands for the service of this full name until somebody calls it."""

    def __init__(self, name: str, make: Callable[[Registry], None]) -> None:
        self._prefix = f"/{name}/"
        self._make = make
        self._made: list[grpc.GenericRpcHandler] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call, if the call is ours."""
        if not handler_call_details.method.startswith(self._prefix):
            return None
        if not self._made:
            self._make(self)
        (made,) = self._made
        return made.service(handler_call_details)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Keep what was made."""
        self._made += generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        """The same once more, which asyncio's servers have no use for either."""
