"""One pot command of a start; who waits long for pot's lock is told.

Not here: which commands, in which order (see `start`), and what they must have done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pot_driver.driver.host import Host
from pot_driver.pot.command import PotStep
from pot_driver.process import Completed

Tell = Callable[[str], None]  # a task event

SLOW_S = 5.0  # after which a step that waits for pot's lock is told


async def run(host: Host, step: PotStep, tell: Tell) -> Completed:
    """Run it, or raise what pot said."""
    slow = asyncio.get_running_loop().call_later(
        SLOW_S, tell, f"Still at pot {step.verb}: at work, or waiting for that of another pot"
    )
    if not step.locked:
        slow.cancel()
    try:
        return await host.pot.run(step)
    finally:
        slow.cancel()
