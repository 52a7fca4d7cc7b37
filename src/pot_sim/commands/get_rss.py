"""`pot get-rss`: what a pot uses now, as rctl tells it, with whatever is missing left out.

Not here: measuring (`limits`).
"""

from __future__ import annotations

from pot_sim import faults, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("get-rss", args, "hvp:J"))
    name = given.get("p", "")
    as_json = "J" in given
    if not name:
        raise Exit(pot.usage_error("get-rss", "A pot name is mandatory"))
    if not pots.is_running(pot.root, name):
        pot.error(f"The pot {name} is not running")
        raise Exit(1)
    pot.must_be_root()
    if faults.on(pot.root, "racct"):
        pot.error("To get resource usage, rctl has to be enabled")
        raise Exit(1)
    _print(pot, name, as_json=as_json)
    return 0


def _print(pot: Pot, name: str, *, as_json: bool) -> None:
    from pot_sim import limits  # noqa: PLC0415 (only of a pot that runs)

    used = limits.usage(pot.root, name)
    percent, rss, swap = (used.get(each, "") for each in ("pcpu", "memoryuse", "swapuse"))
    ticks = _ticks("" if faults.on(pot.root, "clockrate") else str(limits.clock_rate()), percent)
    if as_json:
        pot.echo(
            f'{{ "ResourceUsage": {{ "MemoryStats": {{ "RSS" : {rss}, "Swap" : {swap} }}, '
            f'"CpuStats": {{ "TotalTicks": {ticks}, "Percent": {percent} }} }} }} '
        )
        return
    pot.echo(f"Resource usage by the pot {name}")
    for label, value in (
        ("cpu time (ticks spent)", used.get("cputime", "")),
        ("cpu time (MHz)        ", ticks),
        ("pcpu (%)              ", percent),
        ("virtual memory        ", used.get("vmemoryuse", "")),
        ("physical memory       ", rss),
        ("swap memory           ", swap),
    ):
        pot.echo(f"\t{label} : {value}")


def _ticks(clock: str, percent: str) -> str:
    """`CLOCK * PERCENT / 100` by bc with three decimals, which writes no zero before the point."""
    if not clock or not percent:
        complain("(standard_in) 2: syntax error")
        return ""
    thousandths = int(clock) * int(percent) * 10
    whole, rest = divmod(thousandths, 1000)
    return f"{whole or ''}.{rest:03}" if thousandths else "0"
