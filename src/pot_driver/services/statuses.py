"""Errors → gRPC statuses: one row for each error.

Nomad takes UNAVAILABLE and CANCELLED for the plugin's death and UNIMPLEMENTED for "not offered": they are in no row.

Not here: when a call is refused (see `guard`).
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as Detail
from grpc import StatusCode

from pot_driver import errors
from pot_driver._proto.google.rpc.status_pb2 import Status
from pot_driver._proto.plugins.shared.structs.proto.recoverable_error_pb2 import RecoverableError
from pot_driver.escaped import escaped

STATUS: dict[type[errors.DriverError], StatusCode] = {
    errors.DriverError: StatusCode.UNKNOWN,
    errors.ConfigError: StatusCode.INVALID_ARGUMENT,
    errors.TaskNotFound: StatusCode.NOT_FOUND,
    errors.TaskExists: StatusCode.ALREADY_EXISTS,
    errors.WrongState: StatusCode.FAILED_PRECONDITION,
    errors.PotFailed: StatusCode.UNKNOWN,  # as Go plugins answer
    errors.TryAgain: StatusCode.FAILED_PRECONDITION,
    errors.TimedOut: StatusCode.DEADLINE_EXCEEDED,
    errors.Unsupported: StatusCode.FAILED_PRECONDITION,
}

# Bytes. Texts are copied into task events on the servers, and a call's trailing metadata, in which a text may
# take three times its length and is there twice, should stay below 8 KiB.
TEXT_LIMIT = 1536
_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What `context.abort` is told."""

    code: StatusCode
    text: str
    trailing_metadata: tuple[tuple[str, bytes], ...] = ()


BUG = Refusal(code=StatusCode.INTERNAL, text="the pot driver failed unexpectedly: the agent's log has the traceback")


def refusal(error: BaseException) -> Refusal | None:
    """The status of an error; nothing for a bug."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            text = shorten(escaped(str(error)) or kind.__name__)
            metadata = _try_again(text) if isinstance(error, errors.TryAgain) else ()
            return Refusal(code=STATUS[kind], text=text, trailing_metadata=metadata)
    return None


def shorten(text: str) -> str:
    """Within the limit: the beginning says what was asked, the end what to do."""
    data = text.encode(errors="backslashreplace")
    if len(data) <= TEXT_LIMIT:
        return data.decode()
    half = TEXT_LIMIT // 2 - 8
    return f"{data[:half].decode(errors='ignore')} […] {data[-half:].decode(errors='ignore')}"


def _try_again(text: str) -> tuple[tuple[str, bytes], ...]:
    """The only thing that makes Nomad apply the restart policy to a failed start."""
    detail = Detail()
    detail.Pack(RecoverableError(recoverable=True))
    status = Status(code=StatusCode.FAILED_PRECONDITION.value[0], message=text, details=[detail])
    return ((_DETAILS, status.SerializeToString()),)
