"""The configuration that a task's pot is started with: pure. The driver writes both files whole.

Of the image only this is taken: its base, its command and variables (by the task's scripts), its own hosts and limits
where the job has none, and the attributes that the node permits. Of the clone that pot made: how it is connected.

Not here: reading and writing the files (see `driver.composing`), what a job may ask (see `spec`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pot_driver.plan.scripts import INSIDE, START, STOP
from pot_driver.pot import conf
from pot_driver.pot.conf import ConfFile
from pot_driver.pot.layout import HOOKS
from pot_driver.pot.parse import PotConf
from pot_driver.spec import TaskSpec
from pot_driver.spec.attributes import is_allowed

# What pot gives a jail that asks for nothing; an image can bring other values.
DEFAULTS: Mapping[str, str] = {
    "enforce_statfs": "2",
    "children": "0",
    "devfs_ruleset": "4",
    "sysvshm": "new",
    "sysvsem": "new",
    "sysvmsg": "new",
    **dict.fromkeys(
        ("mount", "fdescfs", "linprocfs", "nullfs", "procfs", "tmpfs", "zfs", "raw_sockets", "mlock"), "NO"
    ),
    "exec_stop": "",
}
# What `pot prepare` gives a pot of an orchestrator; a job may wish another value.
_PREPARED: Mapping[str, str] = {"localhost-tunnel": "YES", "no-etc-hosts": "YES", "no-tmpfs": "YES"}
# Ours: the pot ends with its command, which is our script; pot prune keeps away, because its end is read first.
_FIXED: Mapping[str, str] = {
    "persistent": "NO",
    "no-rc-script": "YES",
    "prunable": "NO",
    "start-at-boot": "NO",
    "stop_timeout": "10",
}
_VALUE = re.compile(r"[A-Za-z0-9._/-]*")
_BASE = ("pot.level", "pot.base", "pot.potbase")
_ATTR = "pot.attr."
_ATTRIBUTES = frozenset({*DEFAULTS, *_PREPARED, *_FIXED, "to-be-pruned", "early-start-at-boot"})  # that pot has
# What `pot clone` reads of an image. A word that begins with "custom:" would be a file of the host.
_CLONED = {
    "pot.type": re.compile("(single)?"),
    "pot.level": re.compile("[0-9]?"),
    "pot.dns": re.compile("(inherit|pot|off|custom)?"),
    "pot.stack": re.compile("(ipv4|ipv6|dual)?"),
    "network_type": re.compile("(inherit|alias|public-bridge|private-bridge)?"),
}
_LIMIT = re.compile(r"[0-9]{1,12}[KMGTkmgt]?")
_HOSTS = re.compile(r"[0-9A-Fa-f.:]{2,45} [A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMount:
    """A mount with its place in the pot, without links."""

    source: str
    destination: str
    read_only: bool


def problems(spec: TaskSpec, image: ConfFile, clone: PotConf) -> list[str]:
    """What stands against starting a pot of this image."""
    found = []
    if clone.network_type.endswith("-bridge") and clone.stack != "ipv6" and not clone.ips:
        found.append("it has no address on its bridge: potnet, which pot asks for one, gave none")
    found += [
        f"its image sets the attribute {name} to {value}, which is not one of this node's allowed_attributes"
        for name, value in _image_attributes(image).items()
        if value != DEFAULTS.get(name, value)
        and name not in dict(spec.attributes)
        and not is_allowed(name, spec.allowed_attributes)
    ]
    return found


def unfit(image: ConfFile) -> str:
    """Why an image must not be cloned: what `pot clone` reads of it, as the host's root; "" when it may."""
    for key, good in _CLONED.items():
        value = image.single.get(key, "").strip('" \t')
        if key in image.odd:
            return f"its pot.conf has {key} more than once"
        if not good.fullmatch(value):
            return f"its pot.conf has {key}={ascii(value)[1:-1]}, which an image cannot bring"
    return ""


def dropped(spec: TaskSpec, image: ConfFile, mounts: Sequence[str]) -> list[str]:
    """What an image brings and its pots do not get, for a warning. `mounts`: the lines of its fscomp.conf."""
    found = [f"{key} (unknown to pot, or there twice)" for key in image.odd]
    found += [key for key in ("pot.depend", conf.PORTS) if image.single.get(key, "").strip('" ')]
    found += [key for key in image.single if key.startswith(_ATTR) and key.removeprefix(_ATTR) not in _ATTRIBUTES]
    found += [key for key in (*_BASE, "osrelease") if not _VALUE.fullmatch(_plain(image, key))]
    if spec.memory_mb is None and not _LIMIT.fullmatch(_plain(image, "pot.rss.memory") or "0"):
        found.append("pot.rss.memory")
    if spec.cpus is None and not _LIMIT.fullmatch(_plain(image, "pot.rss.cpus") or "0"):
        found.append("pot.rss.cpus")
    if not spec.network.hosts and not all(_HOSTS.fullmatch(line.strip()) for line in image.hosts):
        found.append("pot.hosts (a line that is no address with a name)")
    found += [f"fscomp.conf, a mount of {ascii(line.split()[0])[1:-1]}" for line in mounts if line.strip()]
    return [ascii(text)[1:-1] for text in found]


def refused_hooks(spec: TaskSpec, conf_files: Sequence[str]) -> str:
    """Why the pot must not be made, judged by the names of the files in its image's conf directory; "" when it may."""
    hooks = sorted(set(conf_files) & set(HOOKS))
    if not hooks or spec.allow_image_hooks:
        return ""
    return (
        f"image {spec.image.pot} {spec.image.tag} brings {', '.join(hooks)}, which pot would run on the host as root; "
        "this node does not allow that (allow_image_hooks)"
    )


def pot_conf(spec: TaskSpec, image: ConfFile, clone: PotConf, own: ConfFile) -> str:
    """The task's pot.conf. `clone` and `own`: what `pot clone` made of it, read in two ways.

    Raises ValueError where a value would be something else for pot.
    """
    return conf.write(_pairs(spec, image, clone, own))


def fscomp_conf(mounts: Sequence[PlacedMount]) -> str:
    """The task's fscomp.conf, in the order in which pot mounts. Raises ValueError as `pot_conf` does."""
    lines = [f"{mount.source} {mount.destination}{' ro' if mount.read_only else ''}" for mount in mounts]
    for line, mount in zip(lines, mounts, strict=True):
        words = [mount.source, mount.destination, *(["ro"] if mount.read_only else [])]
        if line.split() != words or not all(word.startswith("/") for word in words[:2]) or not line.isprintable():
            raise ValueError(f"{line!r} is not a mount that pot can make")
    return "".join(f"{line}\n" for line in lines)


def _pairs(spec: TaskSpec, image: ConfFile, clone: PotConf, own: ConfFile) -> Iterator[tuple[str, str]]:
    yield "pot.type", "single"
    for key in _BASE:
        value = image.single.get(key, "")
        yield key, value if _VALUE.fullmatch(value) else ""
    release = _plain(image, "osrelease")
    if release and _VALUE.fullmatch(release):  # for an image without /bin/freebsd-version
        yield "osrelease", f'"{release}"'
    yield "pot.cmd", START
    for name, value in sorted(_attributes(spec, image).items()):
        yield f"pot.attr.{name}", value
    yield from _connection(spec, clone, own)
    yield from _limits(spec, image)
    for line in _hosts(spec, image):
        yield "pot.hosts", line


def _attributes(spec: TaskSpec, image: ConfFile) -> dict[str, str]:
    ours = dict(_FIXED) | ({"exec_stop": STOP} if spec.exec_stop is not None else {})
    return {**DEFAULTS, **_image_attributes(image), **_PREPARED, **dict(spec.attributes), **ours}


def _plain(image: ConfFile, key: str) -> str:
    """A value as pot reads it, or a part of it that shows that it is none."""
    return image.single.get(key, "").strip('" \t')


def _image_attributes(image: ConfFile) -> dict[str, str]:
    """Those that an image may bring at all, as pot reads them."""
    found = {}
    for key, value in image.single.items():
        name = key.removeprefix("pot.attr.")
        if key != name and name in DEFAULTS:
            found[name] = value.split("=")[0].strip() if name == "exec_stop" else re.sub(r'[ \t"]|=.*', "", value)
    return found


def _connection(spec: TaskSpec, clone: PotConf, own: ConfFile) -> Iterator[tuple[str, str]]:
    network = spec.network
    hostname = network.hostname or own.single.get("host.hostname", "").strip('"')
    yield "host.hostname", f'"{hostname}"'
    yield "pot.stack", clone.stack
    yield "network_type", clone.network_type
    yield "vnet", "true" if clone.network_type.endswith("-bridge") else "false"
    if "ip" in own.single:
        yield "ip", own.single["ip"]
    if "bridge" in own.single:
        yield "bridge", own.single["bridge"]
    yield "pot.dns", "custom" if network.dns == "custom" else own.single.get("pot.dns", "inherit")
    exports = [str(export) for export in network.exports] if clone.network_type.endswith("-bridge") else []
    if exports:
        yield conf.PORTS, " ".join(exports)


def _limits(spec: TaskSpec, image: ConfFile) -> Iterator[tuple[str, str]]:
    memory = image.single.get("pot.rss.memory", "") if spec.memory_mb is None else f"{spec.memory_mb}M"
    cpus = image.single.get("pot.rss.cpus", "") if spec.cpus is None else str(spec.cpus)
    for key, value in (("pot.rss.memory", memory), ("pot.rss.cpus", cpus)):
        if _LIMIT.fullmatch(value):
            yield key, value


def _hosts(spec: TaskSpec, image: ConfFile) -> list[str]:
    if spec.network.hosts:
        return [f"{address} {name}" for name, address in spec.network.hosts]
    return [line for line in image.hosts if _HOSTS.fullmatch(line.strip())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The configuration as far as it is known before there is an image."""

    pot_conf: str
    fscomp_conf: str


def preview(spec: TaskSpec) -> Preview:
    """What a pot of an image that brings nothing would be started with; what pot chooses is in angle brackets."""
    network = spec.network
    kind, stack = network.type or "<the image's>", network.stack or "<pot's>"
    own = {"host.hostname": f'"{spec.pot_name}"', "pot.dns": network.dns or "<the image's>"}
    if network.type not in {"inherit", None}:
        own["ip"] = " ".join(network.ips) or "<chosen by pot>"
    if network.bridge is not None:
        own["bridge"] = network.bridge
    nothing = ConfFile(single={}, hosts=(), env=(), odd=())
    clone = PotConf(network_type=kind, stack=stack)
    return Preview(
        pot_conf=pot_conf(spec, nothing, clone, ConfFile(single=own, hosts=(), env=(), odd=())),
        fscomp_conf=fscomp_conf(
            [PlacedMount(source="/STATE_DIR/scripts", destination=INSIDE, read_only=True)]
            + [PlacedMount(source=m.source.path, destination=m.destination, read_only=m.read_only) for m in spec.mounts]
        ),
    )
