"""A host command whose caller is cancelled ends, at whatever moment that is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pot_driver.process import Processes

MOMENTS = 12  # turns of the event loop: a command has begun well before


def alive(marker: str) -> list[str]:
    """Processes with this on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if marker in words:
                found.append(entry.name)
    return found


async def test_no_moment_is_too_early_to_cancel_a_command(tmp_path: Path) -> None:
    for moment in range(MOMENTS):
        marker = str(tmp_path / str(moment))
        command = ("sh", "-c", "while :; do sleep 1; done", marker)
        await cancelled_after(moment, Processes().run(command, timeout_s=60))
        assert alive(marker) == []


async def cancelled_after(turns: int, work: Coroutine[Any, Any, object]) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
