"""sysctl(8): what a FreeBSD host of this root's kind would say of itself.

Not here: setting anything.
"""

from __future__ import annotations

import os
import sys

from pot_sim import faults
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from pot_sim.root import Root

RELEASE, OSRELDATE = "14.1-RELEASE", "1401000"
_OPAQUE = "kern.boot_id"
_CONSTANT = {
    "hw.pagesize": str(os.sysconf("SC_PAGE_SIZE")),
    "kern.features.inet": "1",
    "kern.features.inet6": "1",
    "kern.osreldate": OSRELDATE,
    "kern.osrelease": RELEASE,
    "kern.ostype": "FreeBSD",
    "kern.version": f"FreeBSD {RELEASE} GENERIC (pot-sim)",
    "net.inet.ip.forwarding": "1",
    "net.inet.ip.portrange.first": "10000",
    "net.inet.ip.portrange.hifirst": "49152",
    "net.inet.ip.portrange.hilast": "65535",
    "net.inet.ip.portrange.last": "65535",
    "net.inet.ip.portrange.lowfirst": "1023",
    "net.inet.ip.portrange.lowlast": "600",
    "net.inet.ip.portrange.reservedhigh": "1023",
    "net.inet.ip.portrange.reservedlow": "0",
    "security.jail.jailed": "0",
}


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "sysctl")
        end(_run(root, sys.argv[1:]))
    except Exit as ended:
        end(ended.status)


def _run(root: Root, args: list[str]) -> int:
    options = Options("sysctl", args, "abdeiNnoqtxX")
    flags = {letter for letter, _ in options}
    names = sorted({*_CONSTANT, *_VALUES}) if "a" in flags else options.rest
    if "?" in flags or not names:
        complain("usage: sysctl [-bdehiNnoqTtWx] name ...")
        return 1
    missing = 0
    for name in names:
        if name == _OPAQUE:
            _print_opaque(root, flags)
            continue
        value = _CONSTANT.get(name) or (_VALUES[name](root) if name in _VALUES else None)
        if value is not None:
            _print(name, value, flags)
        elif not flags & {"i", "a"}:
            missing += 1
            if "q" not in flags:
                complain(f"sysctl: unknown oid '{name}'")
    return 1 if missing else 0


def _print(name: str, value: str, flags: set[str]) -> None:
    if "N" in flags:
        write(1, name + "\n")
    elif "b" in flags:
        write(1, value)
    elif "n" in flags:
        write(1, value + "\n")
    else:
        write(1, f"{name}{'=' if 'e' in flags else ': '}{value}\n")


def _print_opaque(root: Root, flags: set[str]) -> None:
    """Bytes without a type are shown only on demand."""
    raw = bytes.fromhex(roots.boot_id(root).replace("-", ""))
    if "b" in flags:
        os.write(1, raw)
    elif flags & {"o", "x", "X"}:
        shown = f"Format: Length:{len(raw)} Dump:0x{raw.hex()}"
        _print(_OPAQUE, shown, flags)


def _boottime(root: Root) -> str:
    import time  # noqa: PLC0415 (rarely wanted)

    seconds = roots.boot_time(root)
    return f"{{ sec = {seconds}, usec = 0 }} {time.ctime(seconds)}"


def _clockrate(root: Root) -> str | None:
    from pot_sim import limits  # noqa: PLC0415 (rarely wanted)

    return None if faults.on(root, "clockrate") else str(limits.clock_rate())


def _racct(root: Root) -> str:
    return "0" if faults.on(root, "racct") else "1"


def _memory(_: Root) -> str:
    return str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _machine(_: Root) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


_ARGMAX = 512 * 1024  # of FreeBSD 13 and newer


def _argmax(_: Root) -> str:
    """What the machine below can keep of it."""
    return str(min(_ARGMAX, os.sysconf("SC_ARG_MAX")))


_VALUES: dict[str, Callable[[Root], str | None]] = {
    "hw.clockrate": _clockrate,
    "hw.machine": _machine,
    "hw.machine_arch": lambda root: {"arm64": "aarch64"}.get(_machine(root), _machine(root)),
    "hw.model": lambda _: f"{os.uname().machine} (pot-sim)",
    "hw.ncpu": lambda _: str(os.cpu_count() or 1),
    "hw.physmem": _memory,
    "hw.realmem": _memory,
    "kern.argmax": _argmax,
    "kern.boottime": _boottime,
    "kern.hostname": lambda _: os.uname().nodename,
    "kern.features.vimage": lambda root: None if faults.on(root, "vnet") else "1",
    "kern.racct.enable": _racct,
}
