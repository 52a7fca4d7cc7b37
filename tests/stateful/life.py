"""One start of a task: its app, what it was told, what was said of it, and whether that can be true.

Not here: the calls (see `nomad`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Task
from pot_driver.spec import pot_name

# An app that does what it is told through its gate, and leaves a mark each time that it begins.
APP = """\
exec 8<>/local/gate-$LIFE
echo $$ >>/local/began-$LIFE
{beginning}
while :; do
    read -r verb value <&8
    case $verb in
    exit) exit "$value" ;;
    kill) kill "-$value" $$ ;;
    esac
done
"""
OBEDIENT = "trap 'exit 7' TERM"
PLAIN = ":"
STUBBORN = "trap '' TERM"
FAMILY = "sleep 1000 & sleep 1000 &"
BEGINNINGS = (OBEDIENT, PLAIN, STUBBORN, FAMILY)


@dataclass(frozen=True, order=True)
class Result:
    """What WaitTask said."""

    exit_code: int
    signal: int
    oom_killed: bool
    err: str

    @classmethod
    def of(cls, response: pb.WaitTaskResponse) -> Result:
        result = response.result
        return cls(result.exit_code, result.signal, result.oom_killed, response.err)

    @property
    def successful(self) -> bool:
        return not (self.exit_code or self.signal or self.err)


@dataclass(eq=False)
class Life:
    """From StartTask to DestroyTask."""

    number: str
    task: Task
    allocation: Allocation
    config: pb.TaskConfig
    gate: int  # held open, so that what the app is told waits for it
    told: int | None = None  # the exit code that it was told to end with
    meddled: set[str] = field(default_factory=set)  # with what else it may end, or fail to begin
    state: str = "starting"  # running, restoring, over; failed, lost; forgotten (by an agent that died); gone
    error: str = ""
    handle: pb.TaskHandle | None = None
    results: list[Result] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def pot(self) -> str:
        return pot_name(self.config.id, self.config.alloc_id, self.config.name)

    @property
    def began(self) -> int:
        """How often the app began."""
        try:
            return len((self._local / f"began-{self.number}").read_text().splitlines())
        except FileNotFoundError:
            return 0

    @property
    def log_held(self) -> bool:
        """Whether somebody has one of its log FIFOs open."""
        return any(_held(self.allocation.log_path(self.task, stream)) for stream in ("stdout", "stderr"))

    @property
    def recovery(self) -> pb.RecoverTaskRequest:
        """What a restarted agent knows of it."""
        assert self.handle is not None
        kept = pb.TaskHandle()
        kept.CopyFrom(self.handle)
        kept.config.ClearField("msgpack_driver_config")
        return pb.RecoverTaskRequest(handle=kept)

    def tell(self, verb: str, value: str, code: int) -> None:
        """Have the app end, now or as soon as it has begun."""
        if self.told is None:
            self.told = code
            os.write(self.gate, f"{verb} {value}\n".encode())

    def becomes(self, state: str, error: str = "") -> None:
        self.state, self.error = state, error
        self._changed.set()

    async def until(self, *states: str) -> None:
        while self.state not in states:
            self._changed.clear()
            await self._changed.wait()

    def lies(self) -> Iterator[str]:
        """What cannot be true of all that was said of it."""
        undisturbed = not self.meddled
        if self.began > 1:
            yield f"it began {self.began} times"
        if len(set(self.results)) > 1:
            yield f"different results: {sorted(set(self.results))}"
        if self.state == "failed" and undisturbed:
            yield f"StartTask failed: {self.error}"
        for result in set(self.results):
            if result.successful and self.told != 0:
                yield "success was reported of a task that was not told to succeed"
            if result.signal and result.exit_code != 128 + result.signal:
                yield f"code and signal: {result}"
            if undisturbed and self.told is None:
                yield f"ended by itself: {result}"
            elif undisturbed and (result.exit_code != self.told or result.err):
                yield f"told to end with {self.told}, reported {result}"

    @property
    def _local(self) -> Path:
        return self.allocation.dir / self.task.name / "local"


def born(number: int, beginning: str, allocation: Allocation, task: Task, config: pb.TaskConfig) -> Life:
    """Everything that it will find when it begins."""
    local = allocation.dir / task.name / "local"
    (local / f"app-{number}").write_text(APP.format(beginning=beginning))
    os.mkfifo(local / f"gate-{number}")
    gate = os.open(local / f"gate-{number}", os.O_RDWR | os.O_CLOEXEC)
    return Life(str(number), task, allocation, config, gate)


def _held(fifo: Path) -> bool:
    """A keeper has it open for reading, too."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True
