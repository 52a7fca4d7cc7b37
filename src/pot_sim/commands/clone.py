"""`pot clone`: a new pot from a snapshot of another.

A base without a snapshot is found out late, and undone.

Not here: copying (`zfs`), addresses (`addresses`), the undoing (`undo`).
"""

from __future__ import annotations

import os
import time

from pot_sim import addresses, conf, faults, flavours, hooks, pots, undo, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain

_NOT_INHERITED = ("host.hostname", "bridge", "ip", "vnet", "network_type", "pot.stack", "pot.dns")


class _Asked:
    """The options."""

    def __init__(self) -> None:
        self.name = self.base = self.kind = self.bridge = self.stack = self.snapshot = self.dns = ""
        self.addresses: list[str] = []
        self.flavours: list[str] = []
        self.keep = self.auto_snapshot = False


def run(pot: Pot, args: list[str]) -> int:
    asked = _Asked()
    undo.trap()
    _parse(pot, args, asked)
    _demand(pot, asked)
    address = _address(pot, asked)
    asked.dns = asked.dns or conf.get(pot.root, asked.base, "pot.dns")
    if conf.get(pot.root, asked.base, "pot.level") == "0" and conf.pot_type(pot.root, asked.base) != "single":
        raise Exit(pot.usage_error("clone", "Level 0 pots cannot be cloned"))
    pot.must_be_root()
    with undo.making(pot, asked.name, keep=asked.keep):
        _make_datasets(pot, asked)
        _write_conf(pot, asked, address)
        for flavour in asked.flavours:
            if not flavours.apply(pot, asked.name, flavour):
                raise undo.Undone
    return 0


def _parse(pot: Pot, args: list[str], asked: _Asked) -> None:
    for option, value in pot.options("clone", args, "hvp:i:P:FN:B:S:f:ks:d:"):
        match option:
            case "k":
                asked.keep = True
            case "p":
                if not pots.valid_name(value):
                    pot.error(f"{value} is not a valid name for a pot ('.' is the only character not allowed)")
                    raise Exit(1)
                asked.name = value
            case "N":
                if value not in addresses.TYPES:
                    raise Exit(pot.usage_error("clone", f"Network type {value} not recognized"))
                asked.kind = value
            case "i":
                asked.addresses.append(value)
            case "P":
                asked.base = value
            case "s":
                asked.snapshot = value
            case "B":
                asked.bridge = value
            case "S":
                asked.stack = stack(pot, value)
            case "F":
                asked.auto_snapshot = True
            case "f":
                asked.flavours.append(flavours.checked(pot, value))
            case "d":
                asked.dns = dns(pot, value, "clone")


def stack(pot: Pot, value: str) -> str:
    """-S of clone and prepare, whose help for this case is not loaded."""
    if value not in addresses.STACKS:
        pot.error(f"Network stack {value} not valid")
        complain(f"{pot.program}: create-help: not found")
        raise Exit(1)
    return value


def dns(pot: Pot, value: str, command: str, *, shown: str | None = None) -> str:
    """-d; `shown` is what the error names, if it is not the value."""
    if value in ("inherit", "pot", "off"):
        return value
    if value.startswith("custom:"):
        file = value.removeprefix("custom:")
        if os.access(file, os.R_OK):
            return value
        pot.error(f"The file {file} is not valid or readable")
        raise Exit(1)
    raise Exit(pot.usage_error(command, f"'{value if shown is None else shown}' is not a valid dns option"))


def _demand(pot: Pot, asked: _Asked) -> None:
    problem = ""
    if not asked.name:
        problem = "pot name is missing (option -p)"
    elif not asked.base:
        problem = "reference pot name is missing (option -P)"
    elif not pots.exists(pot.root, asked.base):
        problem = f"reference pot {asked.base} not found"
    elif pots.exists(pot.root, asked.name):
        problem = f"pot {asked.name} already exists"
    elif asked.snapshot and asked.auto_snapshot:
        problem = "-s and -F are incompatible - which snapshot should I use"
    elif asked.snapshot and asked.snapshot not in zfs.snapshots(pot.root, f"jails/{asked.base}"):
        pot.error(f"snapshot {asked.snapshot} not found")
        pot.debug(f"snapshots available {' '.join(zfs.snapshots(pot.root, f'jails/{asked.base}'))} ")
        raise Exit(pot.usage_error("clone"))
    if problem:
        raise Exit(pot.usage_error("clone", problem))


def _address(pot: Pot, asked: _Asked) -> str:
    asked.kind = asked.kind or conf.network_type(pot.root, asked.base)
    if not asked.kind:
        pot.error(f"Configuration file for {asked.base} contains obsolete elements")
        pot.error(f"Please run pot update-config -p {asked.base} to fix")
        raise Exit(1)
    asked.stack = asked.stack or conf.get(pot.root, asked.base, "pot.stack") or pot.config["POT_NETWORK_STACK"]
    try:
        return addresses.resolve(pot, asked.kind, " ".join(asked.addresses), asked.bridge, asked.stack)
    except addresses.NotValid as problem:
        for line in problem.lines:
            pot.error(line)
        raise Exit(pot.usage_error("clone")) from None


def _make_datasets(pot: Pot, asked: _Asked) -> None:
    dataset, base = f"jails/{asked.name}", f"jails/{asked.base}/m"
    names = pot.config["POT_ZFS_ROOT"]
    if zfs.exists(pot.root, dataset):
        pot.info(f"{names}/{dataset} exists already")
    elif faults.on(pot.root, "create", asked.name):
        complain(f"cannot create '{names}/{dataset}': out of space")  # pot does not notice
    elif not zfs.exists(pot.root, os.path.dirname(dataset)):  # a name with a slash
        complain(f"cannot create '{names}/{dataset}': parent does not exist")
    else:
        zfs.create(pot.root, dataset)
    if not os.path.isdir(pot.root.conf(asked.name)):
        pot.debug(f"Create conf dir ({pot.root.conf(asked.name)})")
        os.makedirs(pot.root.conf(asked.name))
    pot.debug(f"Cloning {asked.base} with snap {asked.snapshot}")
    conf.update_fscomp(pot.root, asked.base)
    tag = asked.snapshot or _last_snapshot(pot, base, asked)
    pot.debug(f"clone {names}/{base}@{tag} into {names}/{dataset}/m")
    try:
        zfs.clone(pot.root, base, tag, f"{dataset}/m", names)
    except zfs.ZfsError as error:
        complain(str(error))
    copy_file(conf.fscomp_path(pot.root, asked.base), conf.fscomp_path(pot.root, asked.name))


def _last_snapshot(pot: Pot, base: str, asked: _Asked) -> str:
    tags = zfs.snapshots(pot.root, base)
    if tags:
        return tags[-1]
    full = f"{pot.config['POT_ZFS_ROOT']}/{base}"
    if not asked.auto_snapshot:
        pot.error(f"{full} has no snap - please take a snapshot of {asked.base}")
        raise undo.Undone
    tag = str(int(time.time()))
    pot.info(f"{full} has no snap - taking a snapshot on the fly with tag {tag}")
    zfs.snapshot(pot.root, base, tag)
    return tag


def _write_conf(pot: Pot, asked: _Asked, address: str) -> None:
    source, target = pot.root.conf(asked.base), pot.root.conf(asked.name)
    dns_setting = asked.dns
    if dns_setting.startswith("custom:"):
        copy_file(dns_setting.removeprefix("custom:"), target + "/resolv.conf")
        dns_setting = "custom"
    kept = [
        line for line in conf.lines(source + "/pot.conf") if not any(conf.matches(line, key) for key in _NOT_INHERITED)
    ]
    host = pots.hostname(os.uname().nodename, asked.name, int(pot.config["POT_HOSTNAME_MAX_LENGTH"]))
    conf.write(
        target + "/pot.conf",
        [
            *kept,
            f'host.hostname="{host}"',
            *network_lines(asked.kind, asked.stack, address, asked.bridge),
            f"pot.dns={dns_setting}",
        ],
    )
    for kind in hooks.KINDS:
        copy_file(f"{source}/{kind}.sh", f"{target}/{kind}.sh")
    copy_file(source + "/resolv.conf", target + "/resolv.conf")


def network_lines(kind: str, stack_name: str, address: str, bridge: str) -> list[str]:
    """The network's part of a pot.conf."""
    lines = [f"pot.stack={stack_name}", f"network_type={kind}"]
    lines.append("vnet=true" if kind.endswith("-bridge") else "vnet=false")
    if kind != "inherit":
        lines.append(f"ip={address}")
    if kind == "private-bridge":
        lines.append(f"bridge={bridge}")
    return lines


def copy_file(source: str, target: str) -> None:
    """`cp`, where nobody looks at how it ended."""
    if os.path.isdir(source):
        complain(f"cp: {source} is a directory (not copied).")
    elif os.path.exists(source):
        with open(source, "rb") as file, open(target, "wb") as copy:
            copy.write(file.read())
        os.chmod(target, os.stat(source).st_mode & 0o777)
