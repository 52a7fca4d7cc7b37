"""What info, list and show print about a pot or a bridge, line by line.

Not here: which of it is asked for (`commands/`).
"""

from __future__ import annotations

import time

from pot_sim import attributes, conf, pots, zfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot


def full(pot: Pot, name: str) -> list[str]:
    """`pot info`."""
    kind = conf.network_type(pot.root, name)
    lines = [
        f"pot name : {name}",
        f"\ttype : {conf.get(pot.root, name, 'pot.type')}",
        *_base(pot, name),
        f"\tnetwork_type : {kind}",
    ]
    if kind != "inherit":
        lines += _network(pot, name, kind)
    lines.append(_active(pot, name))
    if pot.verbose:
        lines.append("\tdatasets:")
        if conf.get(pot.root, name, "pot.type") == "single":
            lines.append(f"\t\t{name}/m")
        lines += [*_fscomp(pot, name), "\tsnapshots:", *_snapshot_names(pot, name)]
    lines.append("\tattributes:")
    for each in (*attributes.OF_POT, *attributes.READ_ONLY):
        lines.append(f"\t\t{each}: {conf.get(pot.root, name, 'pot.attr.' + each) or 'NO'}")
    lines.append("\tjail attributes:")
    for each, (_, default, _) in attributes.OF_JAIL.items():
        lines.append(f"\t\t{each}: {conf.get(pot.root, name, 'pot.attr.' + each) or default or 'NO'}")
    if pot.verbose:
        lines += _limits(pot, name)
    return [*lines, ""]


def brief(pot: Pot, name: str) -> list[str]:
    """`pot list`."""
    kind = conf.network_type(pot.root, name)
    lines = [f"pot name : {name}", f"\tnetwork : {kind}"]
    if kind != "inherit":
        lines.append(f"\tip : {conf.ip(pot.root, name)}")
    lines.append(_active(pot, name))
    if pot.verbose:
        lines += [*_base(pot, name), "\tdatasets:", *_fscomp(pot, name), "\tsnapshot:", *_snapshot_names(pot, name)]
    return [*lines, ""]


def snapshots(pot: Pot, name: str) -> list[str]:
    tags = zfs.snapshots(pot.root, f"jails/{name}")
    if not pot.verbose:
        return tags
    return [f"{tag}: ->  {time.strftime('%a %b %e %T %Z %Y', time.localtime(int(tag)))}" for tag in tags]


def bridge(pot: Pot, name: str) -> list[str]:
    """As `potnet show -b` lists it: the net, then who has which address."""
    found = dict(line.partition("=")[::2] for line in conf.lines(f"{pot.root.bridges}/{name}"))
    lines = [f"\t{found.get('net', '')}\t{name}", f"\t{found.get('gateway', '')}\t{name} bridge - default gateway"]
    members = (other for other in pots.names(pot.root) if conf.get(pot.root, other, "bridge") == name)
    return [*lines, *(f"\t{conf.ip(pot.root, other)}\t{other}" for other in members)]


def _base(pot: Pot, name: str) -> list[str]:
    level = conf.get(pot.root, name, "pot.level")
    lines = [f"\tbase : {conf.get(pot.root, name, 'pot.base')}", f"\tlevel : {level}"]
    if level == "2":
        lines.append(f"\tbase pot : {conf.get(pot.root, name, 'pot.potbase')}")
    return lines


def _network(pot: Pot, name: str, kind: str) -> list[str]:
    lines = [f"\tip : {conf.ip(pot.root, name)}"]
    if kind == "private-bridge":
        lines.append(f"\tbridge : {conf.get(pot.root, name, 'bridge')}")
    if pot.verbose:
        exported = " ".join(conf.export_ports(pot.root, name))
        lines.append(f"\t\texported ports: {exported}" if exported else "\t\tno ports exported")
    return lines


def _active(pot: Pot, name: str) -> str:
    return f"\tactive : {'true' if pots.is_running(pot.root, name) else 'false'}"


def _fscomp(pot: Pot, name: str) -> list[str]:
    found = []
    for line in conf.lines(conf.fscomp_path(pot.root, name)):
        source, mountpoint, *_ = *line.split(), "", ""
        target = mountpoint.removeprefix(pot.root.jails + "/")
        found.append(f"\t\t{target} => {source.removeprefix(pot.config['POT_ZFS_ROOT'] + '/')}")
    return found


def _snapshot_names(pot: Pot, name: str) -> list[str]:
    names = pot.config["POT_ZFS_ROOT"]
    found = [
        f"\t\t{names}/{dataset}@{tag}"
        for dataset in zfs.children(pot.root, f"jails/{name}")
        for tag in zfs.snapshots(pot.root, dataset)
    ]
    return found or ["\t\tno snapshots"]


def _limits(pot: Pot, name: str) -> list[str]:
    cpus, memory = (conf.get(pot.root, name, f"pot.rss.{each}") for each in ("cpus", "memory"))
    lines = ["\tresource limits:"] if cpus or memory else []
    lines += [f"\t\tmax amount cpus: {cpus}"] if cpus else []
    lines += [f"\t\tmax amount memory: {memory}"] if memory else []
    return lines
