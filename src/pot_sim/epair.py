"""The network interfaces, bridges and pf anchors that pot leaves on its host, as names: what there is, and what leaks.

The traffic itself goes its own way (`network`); here is only what `ifconfig` and `pfctl` would list. A reboot
forgets all of it.

Not here: addresses and forwarding (`network`).
"""

from __future__ import annotations

import os
import time

from pot_sim import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root


def create(root: Root, pot: str, family: str) -> tuple[str, str] | None:
    """The host's end, renamed as pot does, and the pot's end of a new epair; None if there is none to be had."""
    if faults.on(root, "epair", pot):
        return None
    number = 0
    while not _claim(root, f"epair{number}b", pot):
        number += 1
    ours = f"p{family}{int(time.time()):x}{os.getpid():x}"
    _claim(root, ours, f"epair{number}b")
    return ours, f"epair{number}b"


def exists(root: Root, interface: str) -> bool:
    return os.path.exists(_interface(root, interface))


def destroy(root: Root, interface: str) -> bool:
    """Both ends; False if there is no such interface."""
    try:
        with open(_interface(root, interface), encoding="utf-8") as file:
            other = file.read()
        os.unlink(_interface(root, interface))
        os.unlink(_interface(root, other))
    except FileNotFoundError:
        return False
    return True


def interfaces(root: Root) -> list[str]:
    """Every end of every epair, also those that nobody will destroy any more."""
    return _entries(root.run + "/interfaces")


def set_anchor(root: Root, anchor: str, rules: list[str]) -> None:
    _write(f"{root.run}/pf/{anchor}", rules)


def anchor(root: Root, anchor: str) -> list[str]:
    try:
        with open(f"{root.run}/pf/{anchor}", encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def drop_anchor(root: Root, anchor: str) -> None:
    if os.path.exists(f"{root.run}/pf/{anchor}"):
        os.unlink(f"{root.run}/pf/{anchor}")


def anchors(root: Root) -> list[str]:
    return _entries(root.run + "/pf")


PUBLIC, IPV6 = "public", "ipv6"


def private(bridge: str) -> str:
    """What a private bridge is called here; the others are PUBLIC and IPV6."""
    return "private-" + bridge


def bridge_interface(root: Root, which: str) -> str:
    """The bridge's interface; empty if it is not there."""
    try:
        with open(f"{root.run}/vnet/{which}", encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except FileNotFoundError:
        return ""


def start_bridge(root: Root, which: str) -> str:
    name = f"bridge{len(_entries(root.run + '/vnet'))}"
    _write(f"{root.run}/vnet/{which}", [name])
    return name


def enable_pf(root: Root) -> bool:
    """Whether it was not yet enabled."""
    is_new = not os.path.exists(root.run + "/pf-enabled")
    _write(root.run + "/pf-enabled", [])
    return is_new


def _claim(root: Root, interface: str, text: str) -> bool:
    os.makedirs(root.run + "/interfaces", exist_ok=True)
    try:
        with open(_interface(root, interface), "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _interface(root: Root, interface: str) -> str:
    return f"{root.run}/interfaces/{interface}"


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _write(path: str, lines: list[str]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
