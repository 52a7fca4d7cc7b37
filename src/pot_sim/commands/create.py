"""`pot create`: a single pot from the simulator's base (the host's own /usr) or after another single pot.

Pots of several datasets need bases, and there are none here.

Not here: the base (`skeleton`), addresses (`addresses`).
"""

from __future__ import annotations

import os

from pot_sim import addresses, attributes, conf, flavours, pots, undo, zfs
from pot_sim.commands import clone
from pot_sim.session import Pot
from pot_sim.shell import Exit

RELEASES = ("14.1",)


class _Asked:
    """The options."""

    def __init__(self, stack: str) -> None:
        self.name = self.base = self.model = self.bridge = ""
        self.type, self.kind, self.dns, self.stack = "multi", "inherit", "inherit", stack
        self.level, self.level_given = "1", ""
        self.addresses: list[str] = []
        self.flavours: list[str] = []
        self.keep = False


def run(pot: Pot, args: list[str]) -> int:
    undo.trap()
    asked = _parse(pot, args)
    _settle(pot, asked)
    if not asked.name:
        raise Exit(pot.usage_error("create", "pot name is missing"))
    if pots.exists(pot.root, asked.name):
        pot.error(f"pot {asked.name} already exists")
        raise Exit(1)
    pot.must_be_root()
    address = _address(pot, asked)
    if asked.dns == "pot" and not pots.exists(pot.root, pot.config["POT_DNS_NAME"]):
        pot.error(f"dns pot not found ({pot.config['POT_DNS_NAME']}) - please fix it")
        raise Exit(1)
    _announce(pot, asked, address)
    with undo.making(pot, asked.name, keep=asked.keep):
        _make_datasets(pot, asked)
        _write_conf(pot, asked, address)
        for flavour in asked.flavours:
            if not flavours.apply(pot, asked.name, flavour):
                raise undo.Undone
    return 0


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked(pot.config["POT_NETWORK_STACK"])
    for option, value in pot.options("create", args, "hvp:t:N:i:l:b:f:P:d:B:S:k"):
        match option:
            case "k":
                asked.keep = True
            case "p":
                if not pots.valid_name(value):
                    pot.error(f"{value} is not a valid name for a pot ('.' is the only character not allowed)")
                    raise Exit(1)
                asked.name = value
            case "t":
                if value not in ("multi", "single"):
                    raise Exit(pot.usage_error("create", f"Type {value} not supported"))
                asked.type = value
            case "N":
                if value not in addresses.TYPES:
                    raise Exit(pot.usage_error("create", f"Network type {value} not recognized"))
                asked.kind = value
            case "B":
                asked.bridge = value
            case "S":
                if value not in addresses.STACKS:
                    raise Exit(pot.usage_error("create", f"Network stack {value} not valid"))
                asked.stack = value
            case "i":
                asked.addresses.append(value)
            case "l":
                asked.level = asked.level_given = value
            case "b":
                asked.base = value
            case "P":
                asked.model = value
            case "d":
                asked.dns = clone.dns(pot, value, "create")
            case "f":
                asked.flavours.append(flavours.checked(pot, value))
    return asked


def _settle(pot: Pot, asked: _Asked) -> None:
    """Type, level, base and model agree."""
    problem = _problem_of_single(pot, asked) if asked.type == "single" else _problem_of_multi(pot, asked)
    if problem:
        raise Exit(pot.usage_error("create", problem))


def _problem_of_single(pot: Pot, asked: _Asked) -> str:
    if asked.level_given not in ("", "0"):
        return "single pot level can only be zero (omit -l option)"
    asked.level = "0"
    if not asked.model:
        if not asked.base:
            return "at least one of -b and -P has to be used"
        return "" if asked.base in RELEASES else f"{asked.base} is not a valid release"
    if not pots.exists(pot.root, asked.model):
        return f"pot {asked.model} not found"
    if conf.pot_type(pot.root, asked.model) != "single":
        return f"pot {asked.model} has the wrong type, it has to be of type single"
    base = conf.get(pot.root, asked.model, "pot.base")
    if asked.base and asked.base != base:
        return f"-b {asked.base} and -P {asked.model} are not compatible"
    asked.base = base
    return ""


def _problem_of_multi(pot: Pot, asked: _Asked) -> str:
    """There is one in any case, since there are no bases."""
    if asked.level not in ("0", "1", "2"):
        pot.error(f"level {asked.level} is not supported")
        raise Exit(1)
    if asked.level == "0":
        if not asked.base:
            return "level 0 needs option -b"
        if asked.model:
            return "-P option is not allowed with level 0"
    elif asked.model:
        return _problem_of_model(pot, asked)
    elif asked.level == "2":
        return "level 2 pots need another pot as reference"
    elif not asked.base:
        return "at least one of -b and -P has to be used"
    return f"{asked.base} is not a valid base"


def _problem_of_model(pot: Pot, asked: _Asked) -> str:
    """Of -P: only single pots are here, whose level is 0."""
    if asked.level == "2" and conf.get(pot.root, asked.model, "pot.level") == "0":
        return f"-P {asked.model} : it has to be at least of level 1"
    if asked.level == "1" and asked.base and asked.base != conf.get(pot.root, asked.model, "pot.base"):
        return f"-b {asked.base} and -P {asked.model} are not compatible"
    if not pots.check(pot, asked.model):
        return f"-P {asked.model} : is not a pot"
    return f"-P {asked.model} : it has to be of level 1"


def _address(pot: Pot, asked: _Asked) -> str:
    try:
        return addresses.resolve(pot, asked.kind, " ".join(asked.addresses), asked.bridge, asked.stack)
    except addresses.NotValid as problem:
        for line in problem.lines:
            pot.error(line)
        raise Exit(1) from None


def _announce(pot: Pot, asked: _Asked, address: str) -> None:
    pot.info("Creating a new pot")
    for label, value in (
        ("pot name     ", asked.name),
        ("type         ", asked.type),
        ("base         ", asked.base),
        ("pot_base     ", asked.model),
        ("level        ", asked.level),
        ("network-type ", asked.kind),
        ("network-stack", asked.stack),
        ("ip           ", address),
        ("bridge       ", asked.bridge),
        ("dns          ", asked.dns),
        ("flavours     ", " ".join(asked.flavours)),
    ):
        pot.info(f"{label}: {value}")


def _make_datasets(pot: Pot, asked: _Asked) -> None:
    dataset = f"jails/{asked.name}"
    if zfs.exists(pot.root, dataset):
        pot.info(f"{pot.config['POT_ZFS_ROOT']}/{dataset} exists already")
    else:
        zfs.create(pot.root, dataset)
    os.makedirs(pot.root.conf(asked.name), exist_ok=True)
    if not asked.model:
        pot.info(f"Fetching FreeBSD {asked.base}")
        zfs.create(pot.root, dataset + "/m")
        pot.info("Extract the tarball")
        from pot_sim import skeleton  # noqa: PLC0415 (only for a new base)

        skeleton.make(pot.root.m(asked.name))
        return
    tags = zfs.snapshots(pot.root, f"jails/{asked.model}/m")
    if not tags:
        pot.error(f"no snapshot found for {pot.config['POT_ZFS_ROOT']}/jails/{asked.model}/m/m")
        raise undo.Undone
    zfs.adopt(pot.root, dataset + "/m")
    zfs.copy(zfs.snapshot_path(pot.root, f"jails/{asked.model}/m", tags[-1]), pot.root.m(asked.name))


def _write_conf(pot: Pot, asked: _Asked, address: str) -> None:
    directory = pot.root.conf(asked.name)
    host = pots.hostname(os.uname().nodename, asked.name, int(pot.config["POT_HOSTNAME_MAX_LENGTH"]))
    dns = "custom" if asked.dns.startswith("custom:") else asked.dns
    if dns == "custom":
        clone.copy_file(asked.dns.removeprefix("custom:"), directory + "/resolv.conf")
    conf.write(directory + "/fscomp.conf", [])
    conf.write(
        directory + "/pot.conf",
        [
            f"pot.level={asked.level}",
            f"pot.type={asked.type}",
            f"pot.base={asked.base}",
            f"pot.potbase={asked.model}",
            f"pot.dns={dns}",
            "pot.cmd=sh /etc/rc",
            f'host.hostname="{host}"',
            f'osrelease="{asked.base}-RELEASE"',
            *attributes.of_new_pot(),
            *clone.network_lines(asked.kind, asked.stack, address, asked.bridge),
            *([f"pot.depend={pot.config['POT_DNS_NAME']}"] if dns == "pot" else []),
        ],
    )
