"""What the host's kernel says of itself, by `sysctl`.

Not here: what the values mean.
"""

from __future__ import annotations

from pot_driver.process import Processes

SYSCTL_S = 5.0  # it reads one number


async def sysctl(processes: Processes, name: str) -> str:
    """The value, "" when the kernel has no such thing."""
    done = await processes.run(("sysctl", "-n", name), timeout_s=SYSCTL_S)
    return done.stdout.decode(errors="replace").strip()
