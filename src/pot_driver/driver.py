"""The use cases: what each of Nomad's calls means for a task.

Not here: gRPC, argv, processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pot_driver.model import (
        ExecInput,
        ExecOutput,
        ExecResult,
        ExecSetup,
        ExitResult,
        Fingerprint,
        HostCompute,
        StartedTask,
        TaskConfig,
        TaskEvent,
        TaskHandle,
        TaskStatus,
        Usage,
    )


class PotDriver:
    """One per process."""

    def set_config(self, msgpack_config: bytes, compute: HostCompute) -> None:
        """Take the agent's plugin block (ConfigError names what is wrong in it). No side effects."""
        raise NotImplementedError

    async def init(self) -> None:
        """Nomad ≥ 2.0.4, after SetConfig and again after each reattach."""
        raise NotImplementedError

    async def shutdown(self) -> None:
        """The agent stops gracefully. Tasks go on."""
        raise NotImplementedError

    def fingerprints(self) -> AsyncIterator[Fingerprint]:
        """The first at once, then on change and periodically, until cancelled."""
        raise NotImplementedError

    async def recover_task(self, handle: TaskHandle) -> None:
        """Adopt the task of `handle`, or raise so that Nomad starts it afresh."""
        raise NotImplementedError

    async def start_task(self, task: TaskConfig) -> StartedTask:
        """Start it."""
        raise NotImplementedError

    async def wait_task(self, task_id: str) -> ExitResult:
        """Wait for the end. Any number of callers; a cancelled one harms no other."""
        raise NotImplementedError

    async def stop_task(self, task_id: str, timeout_s: float, signal: str) -> None:
        """Return when the jail is gone."""
        raise NotImplementedError

    async def destroy_task(self, task_id: str, *, force: bool) -> None:
        """Undo all that the task made."""
        raise NotImplementedError

    def inspect_task(self, task_id: str) -> TaskStatus:
        """Where the task stands."""
        raise NotImplementedError

    def task_stats(self, task_id: str, interval_s: float) -> AsyncIterator[Usage]:
        """A sample at once and then each interval, until the task has ended."""
        raise NotImplementedError

    def task_events(self) -> AsyncIterator[TaskEvent]:
        """All tasks' events, until cancelled."""
        raise NotImplementedError

    async def signal_task(self, task_id: str, signal: str) -> None:
        """Send a signal to the task's main process."""
        raise NotImplementedError

    async def exec_task(self, task_id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command in the pot, 0 = no time limit."""
        raise NotImplementedError

    def exec_task_streaming(
        self, setup: ExecSetup, requests: AsyncIterator[ExecInput]
    ) -> AsyncIterator[ExecOutput]:
        """Run a command in the pot, interactively. Cancelling ends the command."""
        raise NotImplementedError
