"""The guard around every call: each ends with a status, whatever happens in it, and its streams are closed.

Nomad takes UNAVAILABLE and CANCELLED for the plugin's death, and a call that ends without any status hangs it. So
an error becomes the status that `statuses` has for it, a bug is logged once and becomes INTERNAL, and a
`CancelledError` that the host did not cause is a bug too.

Not here: which error is which status (see `statuses`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from grpc import aio

from pot_driver.clock import Clock
from pot_driver.services import statuses

log = structlog.get_logger()

Context = aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Guard(aio.ServerInterceptor):
    """Wraps the handlers of all services, and knows since when no host has had a call open."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open = 0
        self._last_s = clock.monotonic_s()

    @property
    def idle_s(self) -> float:
        """For how long no call has been open: an agent always has some."""
        return 0.0 if self._open else self._clock.monotonic_s() - self._last_s

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Put ourselves around the handler."""
        inner: Any = await continuation(handler_call_details)
        if inner is None:
            return inner  # not a method of ours: gRPC says so
        if inner.request_streaming:
            make, call = grpc.stream_stream_rpc_method_handler, self._stream(inner.stream_stream)
        elif inner.response_streaming:
            make, call = grpc.unary_stream_rpc_method_handler, self._stream(inner.unary_stream)
        else:
            make, call = grpc.unary_unary_rpc_method_handler, self._unary(inner.unary_unary)
        return make(call, inner.request_deserializer, inner.response_serializer)

    def _unary(self, call: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def guarded(request: Any, context: Context) -> Any:
            async with self._answering(context):
                return await call(request, context)

        return guarded

    def _stream(self, call: Callable[[Any, Context], AsyncGenerator[Any, None]]) -> Any:
        # Written here and not yielded to gRPC, which leaves a generator open when the call is cancelled.
        async def guarded(request: Any, context: Context) -> None:
            async with self._answering(context), aclosing(call(request, context)) as responses:
                async for response in responses:
                    await context.write(response)

        return guarded

    @contextmanager
    def call(self) -> Iterator[None]:
        """Some host is there as long as this lasts."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._last_s = self._clock.monotonic_s()

    @asynccontextmanager
    async def _answering(self, context: Context) -> AsyncIterator[None]:
        with self.call():
            try:
                yield
            except BaseException as error:  # every end has a status
                if _host_gave_up() or isinstance(error, aio.AbortError):
                    raise
                await _refuse(context, error)


async def _refuse(context: Context, error: BaseException) -> NoReturn:
    """End the call with the error's status."""
    refusal = statuses.refusal(error)
    if refusal is None:
        log.error("unexpected error in a call", exc_info=error)
        refusal = statuses.BUG
    await context.abort(refusal.code, refusal.text, refusal.trailing_metadata)


def _host_gave_up() -> bool:
    """Whether gRPC cancels this call: the host cancelled it or has gone."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
