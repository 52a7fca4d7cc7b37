"""Pot's command line as data: each function gives the arguments of one pot command and why it is run.

Not here: running anything, deciding what is needed (see `plan`), quoting for a shell (no shell reads these).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PotStep:
    """One pot command. `timeout` names a field of `config.Timeouts`.

    `locked`: only one such command makes progress on the host at a time; the others wait inside pot without
    limit (pot's lock), so the driver queues them itself.
    """

    verb: str
    argv: tuple[str, ...]  # without the leading "pot"
    reason: str
    timeout: str = "quick"
    locked: bool = False


def _step(reason: str, *argv: str, timeout: str = "quick", locked: bool = False) -> PotStep:
    return PotStep(verb=argv[0], argv=argv, reason=reason, timeout=timeout, locked=locked)


def version() -> PotStep:
    """The bare version number on stdout."""
    return _step("which pot this is", "version", "-q")


def config_get(setting: str) -> PotStep:
    """The bare value of a setting of pot, such as fs_root, on stdout."""
    return _step(f"pot's {setting}", "config", "-q", "-g", setting)


def import_image(url: str, image: str, tag: str, *, signature_pubkey: str | None = None) -> PotStep:
    """Make a pot of the image's files in pot's cache, and of the images that it depends on."""
    key = ("-C", signature_pubkey) if signature_pubkey is not None else ()
    argv = ("import", "-p", image, "-t", tag, "-U", url, *key)
    return _step(f"import image {image} {tag}, unless it is there", *argv, timeout="prepare", locked=True)


def clone(
    name: str,
    image: str,
    *,
    network_type: str | None = None,
    ips: Sequence[str] = (),
    bridge: str | None = None,
    stack: str | None = None,
    dns: str | None = None,
) -> PotStep:
    """Clone the pot of an image; pot gives it an address, where its network has one."""
    options = [("-N", network_type), ("-B", bridge), ("-S", stack), ("-d", dns)]
    words = [word for flag, value in options if value is not None for word in (flag, value)]
    words += [word for ip in ips for word in ("-i", ip)]
    reason = f"clone image {image} as {name}"
    return _step(reason, "clone", "-p", name, "-P", image, *words, timeout="prepare", locked=True)


def start(name: str) -> PotStep:
    """Run the pot's command; returns when it has ended."""
    return _step("start it", "start", "-p", name, timeout="start")


def stop(name: str) -> PotStep:
    """SIGTERM to all, stop_timeout, SIGKILL; then undo network and mounts."""
    return _step("stop it", "stop", "-p", name, timeout="stop")


def destroy(name: str) -> PotStep:
    """Remove it, whatever state it is in."""
    return _step("remove it", "destroy", "-p", name, "-F", timeout="destroy")


def exec_command(name: str, command: Sequence[str], *, terminal: bool = False) -> PotStep:
    """Run a command in the running pot, as its root, with a clean environment.

    With a terminal it is told one that every program knows. (pot's own -t would put a second one in between.)
    """
    argv = ("exec", "-p", name, *(("-e", "TERM=xterm") if terminal else ()), "--", *command)
    return _step(f"run {command[0]} in the pot", *argv)


def set_status(name: str, state: str) -> PotStep:
    """Pot's own way out of a state in which it is stuck."""
    return _step(f"release it from its state: {state}", "set-status", "-p", name, "-s", state)
