"""`pot config`: one item of pot's own configuration.

Not here: reading it (`settings`).
"""

from __future__ import annotations

from pot_sim.session import Pot
from pot_sim.shell import Exit

NAMES = ("fs_root", "zfs_root", "gateway", "syslogd", "pot_prefix", "fscomp_prefix", "network_stack")


def run(pot: Pot, args: list[str]) -> int:
    quiet, name = False, ""
    for option, value in pot.options("config", args, "hvqg:"):
        match option:
            case "q":
                quiet = True
            case "g":
                if value not in NAMES:
                    raise Exit(_problem(pot, f"{value} is not a valid name", quiet=quiet))
                name = value
    if not name:
        raise Exit(_problem(pot, "option -g is mandatory", quiet=quiet))
    label, found = _item(pot, name)
    pot.echo(found if quiet else f"{label} = {found}")
    return 0


def _problem(pot: Pot, text: str, *, quiet: bool) -> int:
    if not quiet:
        pot.error("NO", text)
        pot.help("config")
    return 1


def _item(pot: Pot, name: str) -> tuple[str, str]:
    config = pot.config
    return {
        "fs_root": ("fs_root", pot.root.fs),
        "zfs_root": ("zfs_root", config["POT_ZFS_ROOT"]),
        "gateway": ("gateway", config["POT_GATEWAY"]),
        "syslogd": ("syslogd flags", f"-b 127.0.0.1 -b {config['POT_GATEWAY']} -a {config['POT_NETWORK']}"),
        "pot_prefix": ("pot prefix", pot.root.jails),
        "fscomp_prefix": ("fscomp prefix", pot.root.fs + "/fscomp"),
        "network_stack": ("network stack", network_stack(config)),
    }[name]


def network_stack(config: dict[str, str]) -> str:
    stack = config["POT_NETWORK_STACK"]
    return stack if stack in ("ipv4", "ipv6", "dual") else "ipv4"
