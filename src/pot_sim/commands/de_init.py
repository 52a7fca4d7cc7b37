"""`pot de-init`: removes all pots and where they lie; `pot init` makes an empty place of it again.

Not here: ending pots, which pot means to do with -f, and does not (`commands/stop`).
"""

from __future__ import annotations

from pot_sim import pots, zfs
from pot_sim.session import Pot
from pot_sim.shell import complain

_PF_FILE = "/etc/pf.conf"
_LAST_WORDS = (
    "check your rc.conf for potential leftovers variable like:",
    "  syslogd_flags",
    "  pot_enable",
    "Please, consider to write a feedback email to pizzamig at FreeBSD dot org",
    "It gives us the opportunity to learn and improve",
)


def run(pot: Pot, args: list[str]) -> int:
    pf_file = _PF_FILE
    for option, value in pot.options("de-init", args, "fhmvp:"):
        match option:
            case "m":
                pf_file = ""
            case "p":
                pf_file = value
    pot.must_be_root()
    _destroy(pot)
    pot.echo("zfs datasets have been removed")
    if pf_file:
        pot.echo("pf configuration file should be clean")
        pot.echo(f"  - please check {pf_file} and reload it")
    for line in _LAST_WORDS:
        pot.echo(line)
    return 0


def _destroy(pot: Pot) -> None:
    dataset = pot.config["POT_ZFS_ROOT"]
    if not zfs.exists(pot.root, "jails"):
        pot.info(f"no root dataset found ({dataset})")
        return
    pot.info(f"Deinstall pot ({dataset})")
    busy = [name for name in pots.names(pot.root) if pots.is_running(pot.root, name)]
    if busy:
        complain(f"cannot unmount '{pot.root.m(busy[0])}': pool or dataset is busy")
        return
    for place in (pot.root.fs, pot.root.cache, pot.root.zfs):
        zfs.remove(place)
