"""What pot's own files must say once the steps are done, and what they say: pot succeeds without having done it.

Not here: reading the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pot_driver.pot.layout import HOOKS
from pot_driver.pot.parse import FscompEntry, PotConf
from pot_driver.spec.attributes import is_allowed

# What pot gives a jail that asks for nothing; an image can bring other values.
_DEFAULTS: Mapping[str, str] = {
    "enforce_statfs": "2",
    "children": "0",
    "devfs_ruleset": "4",
    "sysvshm": "new",
    "sysvsem": "new",
    "sysvmsg": "new",
    **dict.fromkeys(
        ("mount", "fdescfs", "linprocfs", "nullfs", "procfs", "tmpfs", "zfs", "raw_sockets", "mlock"), "NO"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedMount:
    """A line of fscomp.conf. pot stores `destination` with the image's symlinks followed."""

    source: str
    destination: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What pot.conf and fscomp.conf must say."""

    cmd: str
    network_type: str | None  # None: the image's
    export_ports: frozenset[str]
    attributes: Mapping[str, str]
    mounts: tuple[ExpectedMount, ...]
    memory: str | None  # None: whatever the image has
    cpus: str | None
    hosts: frozenset[str] | None
    allowed_attributes: tuple[str, ...] | None


def differences(expect: Expected, conf: PotConf, fscomp: Sequence[FscompEntry]) -> list[str]:
    """Where pot's files differ from what was asked."""
    problems = []
    if conf.cmd != expect.cmd:
        problems.append(f'its command is "{conf.cmd or ""}" instead of "{expect.cmd}"')
    if expect.network_type not in {None, conf.network_type}:
        problems.append(f'its network is "{conf.network_type}" instead of "{expect.network_type}"')
    bridged = conf.network_type in {"public-bridge", "private-bridge"}
    if bridged and expect.export_ports and expect.export_ports != set(conf.export_ports):
        asked, got = " ".join(sorted(expect.export_ports)), " ".join(sorted(conf.export_ports))
        problems.append(f'its exported ports are "{got}" instead of "{asked}"')
    if bridged and conf.stack != "ipv6" and not conf.ips:
        problems.append("it has no address on its bridge: potnet, which pot asks for one, gave none")
    for name, value in expect.attributes.items():
        if conf.attributes.get(name) != value:
            problems.append(f'its attribute {name} is "{conf.attributes.get(name, "")}" instead of "{value}"')
    if expect.memory not in {None, conf.memory}:
        problems.append(f'its memory limit is "{conf.memory}" instead of "{expect.memory}"')
    if expect.cpus not in {None, conf.cpus}:
        problems.append(f'its number of CPUs is "{conf.cpus}" instead of "{expect.cpus}"')
    if expect.hosts not in {None, conf.hosts}:
        problems.append(f"its hosts are {_texts(conf.hosts)} instead of {_texts(expect.hosts)}")
    return problems + _of_the_image(expect, conf) + _mounts(expect.mounts, fscomp)


def hooks_in(names: Iterable[str]) -> list[str]:
    """The scripts among the files of a pot's conf directory that pot runs on the host, as root."""
    return sorted(set(names) & set(HOOKS))


def _of_the_image(expect: Expected, conf: PotConf) -> list[str]:
    return [
        f"its image sets the attribute {name} to {value}, which is not one of this node's allowed_attributes"
        for name, value in conf.attributes.items()
        if value != _DEFAULTS.get(name, value)
        and name not in expect.attributes
        and not is_allowed(name, expect.allowed_attributes)
    ]


def _mounts(expected: Sequence[ExpectedMount], fscomp: Sequence[FscompEntry]) -> list[str]:
    found = [entry for entry in fscomp if entry.source.startswith("/")]  # the others are datasets, pot's own
    if len(found) != len(expected):
        return [f"it has {len(found)} mounts of the host instead of {len(expected)}: {_listed(found)}"]
    problems = []
    taken: dict[str, str] = {}
    for want, got in zip(expected, found, strict=True):
        if got.source != want.source or (got.option == "ro") != want.read_only:
            problems.append(f"its mount of {want.source} became {_listed([got])}")
        elif got.destination == "/":
            problems.append(
                f"its mount {want.destination} would cover the pot's root: the image has no working /bin/realpath,"
                f" or a symlink to / at {want.destination}"
            )
        elif got.destination in taken:
            problems.append(
                f"its mounts {taken[got.destination]} and {want.destination} are the same place in the image"
            )
        taken[got.destination] = want.destination
    return problems


def _texts(values: Iterable[str] | None) -> str:
    return ", ".join(sorted(values or ())) or "none"


def _listed(entries: Sequence[FscompEntry]) -> str:
    return "; ".join(f"{entry.source} on {entry.destination} {entry.option}".strip() for entry in entries) or "none"
