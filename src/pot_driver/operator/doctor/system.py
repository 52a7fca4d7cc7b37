"""Rows about the host: Python, user, kernel, network, space.

Not here: pot's own files (see `potrows`), Nomad (see `agent`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pot_driver.operator.doctor import facts as ask
from pot_driver.operator.doctor.row import Row, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_driver.operator.doctor.facts import Facts

SLOW_S = 5.0  # for a command that should take a tenth of a second
LITTLE_BYTES = 2 << 30
VERY_LITTLE_BYTES = 200 << 20
_ANCHORS = ("nat-anchor pot-nat", 'rdr-anchor "pot-rdr/*"')


def rows(facts: Facts) -> Iterator[Row]:
    """All of them; of a simulated host without those that its kernel does not have."""
    yield judged(
        "packages",
        not facts.packages,
        facts.packages or "all that the driver needs",
        "the plugin cannot start, and an agent that finds it does not start either",
        "see the line itself",
    )
    yield judged(
        "root",
        facts.uid == 0 or facts.simulated,
        f"uid {facts.uid}",
        "pot works for root only, and so does the agent's plugin",
        'run this as root; for the agent, in rc.conf: nomad_user="root" nomad_group="wheel"',
    )
    yield from _commands(facts)
    yield from _space(facts)
    yield from _resolver(facts)
    if not facts.simulated:
        yield from _kernel(facts)
        yield from _network(facts)


def _commands(facts: Facts) -> Iterator[Row]:
    for name, argv in {"pot": ask.POT_VERSION, "jls": ask.JLS, "ps": ask.PROCESSES, "sysctl": ask.RACCT}.items():
        answer = facts.answer(argv)
        if answer.missing:
            yield judged(
                f"command {name}",
                False,
                f"not on {facts.host_path}",
                "the driver finds host commands there and nowhere else",
                "pkg install pot" if name == "pot" else 'set host_path in the block plugin "nomad-pot-driver"',
            )
        else:
            took = "no answer" if answer.status is None else "answers"
            yield judged(
                f"command {name}",
                answer.status is not None and answer.seconds < SLOW_S,
                f"{took} in {answer.seconds:.1f} s",
                "starts are slow, or fail by their time limit: something holds the file systems or pot's lock",
                "zpool status; ps -axd",
                Verdict.FAILURE if answer.status is None else Verdict.WARNING,
            )
    for name, lost in {
        "ncat": "ports of a pot are not reachable from the host itself",
        "signify": "no signed images",
    }.items():
        package = "nmap" if name == "ncat" else name
        yield judged(
            name, name in facts.found, "found" if name in facts.found else "not found", lost, f"pkg install {package}",
            Verdict.WARNING,
        )  # fmt: skip


def _space(facts: Facts) -> Iterator[Row]:
    for place, free in facts.free_bytes.items():
        yield judged(
            f"free space of {place}",
            free >= LITTLE_BYTES,
            f"{free / 2**30:.1f} GiB",
            "images cannot be imported, and apps that write fail",
            "pot-driver does not delete: see gc.image in docs/images.md, or zfs list -t all",
            Verdict.FAILURE if free < VERY_LITTLE_BYTES else Verdict.WARNING,
        )
    for problem in facts.unwritable:
        yield judged("directories", False, problem, "no task can start", "make it, or mount its file system")


def _resolver(facts: Facts) -> Iterator[Row]:
    servers = re.findall(r"^\s*nameserver\s+(\S+)", facts.resolv_conf or "", re.MULTILINE)
    local = [server for server in servers if server.startswith("127.") or server == "::1"]
    if facts.resolv_conf is None:
        yield judged("resolv.conf", False, "missing", "pots that inherit the host's DNS cannot start", "make it")
        return
    yield judged(
        "resolv.conf",
        bool(servers) and len(local) < len(servers),
        ", ".join(servers) or "no nameserver",
        "pots on a bridge cannot reach a resolver on the host's loopback: names are not found in them",
        'in the plugin block: default_dns = "custom:FILE", a file with a nameserver that pots reach',
        Verdict.WARNING,
    )


def _kernel(facts: Facts) -> Iterator[Row]:
    on = facts.answer(ask.RACCT).out.strip() == "1"
    yield judged(
        "racct", on, "on" if on else "off", "no memory limits, and statistics by ps only",
        "echo kern.racct.enable=1 >> /boot/loader.conf, and a reboot", Verdict.WARNING,
    )  # fmt: skip
    rctl = facts.answer(ask.RCTL)
    if on:
        yield judged("rctl", rctl.status == 0, rctl.words or "answers", "no memory limits", "which rctl; rctl")
    vnet = facts.answer(ask.VIMAGE).out.strip() == "1"
    yield judged(
        "vnet", vnet, "the kernel has VIMAGE" if vnet else "the kernel has no VIMAGE",
        "no pot with a network of its own: network_mode public-bridge and private-bridge fail",
        "use the GENERIC kernel",
    )  # fmt: skip
    devfs = facts.answer(ask.DEVFS)
    yield judged(
        "devfs ruleset 4", bool(devfs.out.strip()), "there" if devfs.out.strip() else devfs.words or "empty",
        "pots see all devices of the host, or none", "service devfs restart",
    )  # fmt: skip


def _network(facts: Facts) -> Iterator[Row]:
    forwarding = facts.answer(ask.FORWARDING).out.strip() == "1"
    yield judged(
        "forwarding", forwarding, "on" if forwarding else "off", "pots on a bridge reach nothing but the host",
        "sysrc gateway_enable=YES && service routing restart", Verdict.WARNING,
    )  # fmt: skip
    pf = facts.answer(ask.PF)
    enabled = "Status: Enabled" in pf.out
    yield judged(
        "pf", enabled, "enabled" if enabled else pf.words or "disabled",
        "ports are not forwarded into pots", "sysrc pf_enable=YES && service pf start",
    )  # fmt: skip
    lines = [line.strip() for line in (facts.pf_conf or "").splitlines()]
    missing = [anchor for anchor in _ANCHORS if anchor not in lines]
    yield judged(
        "pf anchors", not missing, f"missing in pf.conf: {', '.join(missing)}" if missing else "in pf.conf",
        "pot's rules are lost whenever pf is reloaded", "pot init, which adds them, then service pf reload",
    )  # fmt: skip
    gateway = facts.settings.get("POT_GATEWAY", "")
    interfaces = facts.answer(ask.INTERFACES).out
    bridge = not gateway or re.search(rf"\binet {re.escape(gateway)}\b", interfaces)
    yield judged(
        "bridge", bool(bridge), f"{gateway} {'is' if bridge else 'is not'} an address of this host",
        "the first pot on the public bridge makes it", "pot vnet-start", Verdict.WARNING,
    )  # fmt: skip
    outer = facts.settings.get("POT_EXTIF", "")
    there = not outer or re.search(rf"^{re.escape(outer)}:", interfaces, re.MULTILINE)
    yield judged(
        "POT_EXTIF", bool(there), outer or "not set", "pots have no way out, and their ports none in",
        "set POT_EXTIF in /usr/local/etc/pot/pot.conf to the interface of the default route",
    )  # fmt: skip
