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
    limit (pot's lock) or fail at once (set-hosts' temporary file), so the driver queues them itself.
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


def prepare(  # noqa: PLR0913 - as many as pot has
    *,
    name: str,
    suffix: str,
    url: str,
    image: str,
    tag: str,
    command: str,
    exports: Sequence[str] = (),
    network_type: str | None = None,
    ips: Sequence[str] = (),
    bridge: str | None = None,
    stack: str | None = None,
    dns: str | None = None,
    signature_pubkey: str | None = None,
) -> PotStep:
    """Import the image if it is not there, clone it as `<name>_<suffix>`, set command, network and ports.

    pot takes one pair of double quotes off `command`; the rest is read by the pot's shell.
    """
    options = [("-U", url), ("-p", image), ("-t", tag), ("-n", name), ("-a", suffix), ("-c", f'"{command}"')]
    single = [("-N", network_type), ("-B", bridge), ("-S", stack), ("-d", dns), ("-C", signature_pubkey)]
    options += [(flag, value) for flag, value in single if value is not None]
    options += [("-i", ip) for ip in ips] + [("-e", port) for port in exports]
    argv = [word for option in options for word in option]
    reason = f"clone image {image} {tag} as {name}_{suffix}, importing it first if it is not there"
    return _step(reason, "prepare", *argv, timeout="prepare", locked=True)


def info_valid(name: str) -> PotStep:
    """Status 0 when it is a pot: a prepare that says success can have made none."""
    return _step("see that prepare really made a pot", "info", "-qp", name)


def set_attribute(name: str, attribute: str, value: str, reason: str) -> PotStep:
    """Set an attribute of pot or of the jail."""
    return _step(reason, "set-attribute", "-p", name, "-A", attribute, "-V", value)


def copy_in(name: str, source: str, destination: str, reason: str) -> PotStep:
    """Copy a host file or directory into the pot, making the parents of the destination."""
    argv = ("copy-in", "-p", name, "-s", source, "-d", destination, "-c")
    return _step(reason, *argv, timeout="copy", locked=True)


def mount_in(name: str, source: str, destination: str, reason: str, *, read_only: bool) -> PotStep:
    """Mount a host directory in the pot, now for a look and again at each start."""
    argv = ("mount-in", "-p", name, "-d", source, "-m", destination)
    return _step(reason, *argv, *(("-r",) if read_only else ()))


def set_rss(name: str, *, memory_mb: int | None, cpus: int | None) -> PotStep:
    """Limit resident memory and the number of CPUs."""
    limits, texts = [], []
    if cpus is not None:
        limits += ["-C", str(cpus)]
        texts.append(f"{cpus} CPUs" if cpus > 1 else "1 CPU")
    if memory_mb is not None:
        limits += ["-M", f"{memory_mb}M"]
        texts.append(f"{memory_mb} MiB of memory")
    return _step(f"limit the pot to {' and '.join(texts)}", "set-rss", "-p", name, *limits)


def set_hosts(name: str, hosts: Sequence[tuple[str, str]]) -> PotStep:
    """Replace the pot's own lines of /etc/hosts by these pairs of name and address; none clears them."""
    argv = [word for host, address in hosts for word in ("-H", f"{host}:{address}")]
    reason = f"/etc/hosts: {', '.join(host for host, _ in hosts) or 'none of the image'}"
    return _step(reason, "set-hosts", "-p", name, *argv, locked=True)


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
