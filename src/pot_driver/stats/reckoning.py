"""Pure: from the output of rctl and ps to readings, from readings to CPU use.

Not here: running commands (see `readings`).
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pot_driver.pot.parse import rctl_usage

WINDOW_S = 10.0  # over which CPU use is averaged: rctl counts whole seconds
KIB = 1024
_PROCESS = re.compile(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+(?::\d+)*(?:[.,]\d+)?)\s*")  # jid rss vsz time


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a pot. `cpu_s` since its start, exact to `cpu_step_s`; `percent` as the kernel estimates it."""

    cpu_s: float
    cpu_step_s: float
    percent: float | None = None
    rss_bytes: int = 0
    swap_bytes: int | None = None
    virtual_bytes: int | None = None
    at_s: float = 0.0  # on the monotonic clock


def cpu_percent(history: deque[tuple[float, float]], reading: Reading) -> float:
    """CPU use in percent of one core, and `history` brought up to date.

    The time used since the oldest reading in the window is the truth, as exact as it is counted. Within that,
    the kernel's estimate is the finer one.
    """
    while len(history) > 1 and reading.at_s - history[1][0] >= WINDOW_S:
        history.popleft()
    history.append((reading.at_s, reading.cpu_s))
    since_s = reading.at_s - history[0][0]
    used_s = max(0.0, reading.cpu_s - history[0][1])  # ps counts only the processes that there still are
    if since_s <= 0:
        return 0.0
    if reading.percent is None:
        return 100 * used_s / since_s
    least, most = max(0.0, used_s - reading.cpu_step_s), used_s + reading.cpu_step_s
    return min(max(reading.percent, 100 * least / since_s), 100 * most / since_s)


def rctl_readings(output: str, names: Sequence[str], at_s: float) -> dict[str, Reading]:
    """Read `rctl -u jail:NAME…`: the lines of one jail after those of the other, without their names.

    Returns nothing where there are not as many blocks as names: then no block can be told from another.
    """
    blocks = list(_blocks(output))
    if len(blocks) != len(names):
        return {}
    found = {name: _rctl_reading(block, at_s) for name, block in zip(names, blocks, strict=True)}
    return {name: reading for name, reading in found.items() if reading is not None}


def ps_readings(processes: str, jails: str, names: Sequence[str], at_s: float) -> dict[str, Reading]:
    """Sum up `ps -ax -o jid= -o rss= -o vsz= -o time=` for the jails that `jls jid name` lists.

    ps prints one line a process, sizes in KiB, time as minutes:seconds.hundredths.
    """
    of_jail: dict[str, list[re.Match[str]]] = defaultdict(list)
    for line in processes.splitlines():
        if match := _PROCESS.fullmatch(line):
            of_jail[match[1]].append(match)
    jids = {words[1]: words[0] for line in jails.splitlines() if len(words := line.split()) == 2}  # noqa: PLR2004
    return {name: _ps_reading(of_jail[jid], at_s) for name in names if (jid := jids.get(name)) in of_jail and jid}


def _blocks(output: str) -> Iterator[str]:
    """The output of each filter: every one begins with the same resource."""
    lines = output.splitlines()
    first = lines[0].partition("=")[0] + "=" if lines else "="
    block: list[str] = []
    for line in lines:
        if line.startswith(first) and block:
            yield "\n".join(block)
            block = []
        block.append(line)
    if block:
        yield "\n".join(block)


def _rctl_reading(output: str, at_s: float) -> Reading | None:
    usage = rctl_usage(output)
    if "memoryuse" not in usage:
        return None
    return Reading(
        cpu_s=usage.get("cputime", 0),
        cpu_step_s=1.0,
        percent=usage.get("pcpu"),
        rss_bytes=usage["memoryuse"],
        swap_bytes=usage.get("swapuse"),
        virtual_bytes=usage.get("vmemoryuse"),
        at_s=at_s,
    )


def _ps_reading(found: Sequence[re.Match[str]], at_s: float) -> Reading:
    return Reading(
        cpu_s=sum(_seconds(match[4]) for match in found),
        cpu_step_s=0.01,
        rss_bytes=KIB * sum(int(match[2]) for match in found),
        virtual_bytes=KIB * sum(int(match[3]) for match in found),
        at_s=at_s,
    )


def _seconds(time: str) -> float:
    total = 0.0
    for part in time.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total
