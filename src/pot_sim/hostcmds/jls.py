"""jls(8): the jails that there are.

Not here: libxo's other output formats.
"""

from __future__ import annotations

import sys

from pot_sim import dying, faults, registry
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pot_sim.root import Root

USAGE = "usage: jls [-dhNnqv] [-j jail] [param ...]"
_VERBOSE = ("jid", "host.hostname", "path", "name", "dying", "cpuset.id", "ip4.addr", "ip6.addr")
_ALL = ("devfs_ruleset", "enforce_statfs", "host", "ip4", "ip6", "jid", "name", "osreldate", "osrelease", "parent",
        "path", "persist", "securelevel", "vnet", "host.hostname", "ip4.addr", "ip6.addr")  # fmt: skip
_CONSTANT = {
    "cpuset.id": "0",
    "devfs_ruleset": "4",
    "dying": "false",
    "enforce_statfs": "2",
    "host": "new",
    "ip4": "inherit",
    "ip6": "inherit",
    "osreldate": "1401000",
    "osrelease": "14.1-RELEASE",
    "parent": "0",
    "securelevel": "-1",
    "sysvmsg": "new",
    "sysvsem": "new",
    "sysvshm": "new",
}


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "jls")
        _run(root, sys.argv[1:])
        end(0)
    except Exit as ended:
        end(ended.status)


def _run(root: Root, args: list[str]) -> None:
    flags, wanted = set(), ""
    options = Options("jls", args, "adhNnqsvj:")
    for letter, value in options:
        if letter == "?":
            complain(USAGE)
            raise Exit(1)
        flags.add(letter)
        wanted = value if letter == "j" else wanted
    jails = _found(root, wanted, flags) if "j" in flags else _all(root, flags)
    parameters = _parameters(options.rest, flags)
    for parameter in parameters:
        if parameter not in _CONSTANT and parameter not in _ALL:
            complain(f"jls: unknown parameter: {parameter}")
            raise Exit(1)
    if parameters:
        _print_parameters(jails, parameters, flags)
    elif "v" in flags:
        _print_verbose(jails)
    else:
        _print_table(jails, "Name" if "N" in flags else "JID")


def _all(root: Root, flags: set[str]) -> list[dict[str, str]]:
    found = [
        _jail(name, record) for name in registry.recorded(root.run) if (record := registry.running(root.run, name))
    ]
    if "d" in flags:
        found += [_dying(root, name) for name in dying.names(root)]
    return sorted(found, key=lambda jail: int(jail["jid"]))


def _found(root: Root, wanted: str, flags: set[str]) -> list[dict[str, str]]:
    """A word of digits is always a jid. What is dying is shown only with -d."""
    key, shown = ("jid", wanted) if wanted.isdecimal() else ("name", f'"{wanted}"')
    found = [jail for jail in _all(root, flags) if jail[key] == wanted][:1]
    if not found:
        fades = any(jail[key] == wanted for jail in _all(root, {"d"}))
        complain(f"jls: jail {shown} " + ("is dying" if fades else "not found"))
        raise Exit(1)
    return found


def _dying(root: Root, name: str) -> dict[str, str]:
    return {
        **dict.fromkeys((*_VERBOSE, *_ALL), ""),
        **_CONSTANT,
        "jid": dying.jid(root, name),
        "name": name,
        "path": root.m(name),
        "dying": "true",
        "persist": "false",
    }


def _jail(name: str, record: registry.Record) -> dict[str, str]:
    fields = record.fields
    vnet = "switch" in fields
    return {
        **_CONSTANT,
        "jid": fields["jid"],
        "name": name,
        "path": fields["path"],
        "host.hostname": fields["hostname"],
        "persist": "true" if fields["persist"] == "1" else "false",
        "vnet": "new" if vnet else "inherit",
        "ip4.addr": "",
        "ip6.addr": "",
    }


def _parameters(words: list[str], flags: set[str]) -> list[str]:
    if words == ["all"] or (not words and flags & {"n", "q", "s", "h"}):
        return list(_ALL)
    return words


def _print_parameters(jails: list[dict[str, str]], parameters: list[str], flags: set[str]) -> None:
    if "h" in flags:
        write(1, " ".join(parameters) + "\n")
    for jail in jails:
        cells = []
        for parameter in parameters:
            value = _quoted(jail[parameter]) if flags & {"q", "n"} else jail[parameter] or "-"
            cells.append(f"{parameter}={value}" if "n" in flags else value)
        write(1, " ".join(cells) + "\n")


def _quoted(value: str) -> str:
    if value and not set(value) & set(" \t\"'\\"):
        return value
    quote = "'" if '"' in value else '"'
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _print_table(jails: list[dict[str, str]], first: str) -> None:
    write(1, f" {first:<14}  IP Address      Hostname                      Path\n" if first == "Name" else
          "   JID  IP Address      Hostname                      Path\n")  # fmt: skip
    for jail in jails:
        head = f" {jail['name']:<15}" if first == "Name" else f"{jail['jid']:>6} "
        write(1, f"{head} {jail['ip4.addr']:<15} {jail['host.hostname']:<29.29} {jail['path']:.74}\n")


def _print_verbose(jails: list[dict[str, str]]) -> None:
    write(1, "   JID  Hostname                      Path\n        Name                          State\n")
    write(1, "        CPUSetID\n        IP Address(es)\n")
    for jail in jails:
        write(1, f"{jail['jid']:>6}  {jail['host.hostname']:<29.29} {jail['path']:.74}\n")
        write(1, f"        {jail['name']:<29.29} ACTIVE\n        {jail['cpuset.id']}\n")
