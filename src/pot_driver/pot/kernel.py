"""What the host's kernel says of itself, by `sysctl`.

Not here: what the values mean.
"""

from __future__ import annotations

import re

from pot_driver.process import Processes

SYSCTL_S = 5.0  # it reads one number


async def sysctl(processes: Processes, name: str) -> str:
    """The value, "" when the kernel has no such thing."""
    return await _ask(processes, "-n", name)


async def opaque(processes: Processes, name: str) -> str:
    """A value without a type as hexadecimal digits, "" when the kernel has no such thing.

    Only -x shows it, as `Format: Length:16 Dump:0x0123…`.
    """
    dump = re.search(r"\bDump:0x([0-9a-f]+)", await _ask(processes, "-nx", name))
    return dump[1] if dump else ""


async def _ask(processes: Processes, how: str, name: str) -> str:
    done = await processes.run(("sysctl", how, name), timeout_s=SYSCTL_S)
    return done.stdout.decode(errors="replace").strip()
