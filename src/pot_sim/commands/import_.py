"""`pot import`: an image file and those it is layered on become pots.

Not here: downloading (`fetch`), what is in the file (`images`), signatures (`signify`).
"""

from __future__ import annotations

import os
import time

from pot_sim import conf, faults, fetch, images, pots, signify, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain

_SUFFIXES = ("", ".meta", ".skein", ".skein.sig")


class _Asked:
    """The options."""

    def __init__(self, pubkey: str) -> None:
        self.pot = self.tag = self.url = ""
        self.pubkey = pubkey


def run(pot: Pot, args: list[str]) -> int:
    asked = _parse(pot, args)
    if not asked.pot:
        raise Exit(pot.usage_error("import", "A remote pot name is mandatory"))
    if not asked.tag:
        raise Exit(pot.usage_error("import", "A tag name is mandatory"))
    name = f"{asked.pot}_{asked.tag}".replace(".", "_")
    if pots.exists(pot.root, name):
        raise Exit(pot.usage_error("import", f"pot {name} is already present"))
    if asked.pubkey and not os.access(asked.pubkey, os.R_OK):
        pot.error(f"Public key {asked.pubkey} not found")
        raise Exit(1)
    if asked.pubkey and not signify.installed(pot.root):
        pot.error(signify.MISSING)
        raise Exit(1)
    pot.must_be_root()
    pot.info(f"importing {asked.pot} @ {asked.tag} as {name}")
    if not _fetch(pot, asked):
        raise Exit(1)
    origin = _dependency(pot, asked, name)
    _receive(pot, asked, name, origin)
    return 0


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked(pot.config["POT_DEFAULT_SIGNATURE_PUBKEY"])
    for option, value in pot.options("import", args, "hvp:t:U:C:"):
        match option:
            case "p":
                asked.pot = value
            case "t":
                asked.tag = value
            case "U":
                if not value:
                    raise Exit(pot.usage_error("import", "Argument of -U cannot be empty"))
                asked.url = value
            case "C":
                asked.pubkey = value
    return asked


def _cached(pot: Pot, asked: _Asked) -> str:
    return f"{pot.root.cache}/{asked.pot}_{asked.tag}.xz"


def _fetch(pot: Pot, asked: _Asked) -> bool:
    """One second try, after the cache has been emptied of this image."""
    if _fetch_once(pot, asked):
        return True
    for suffix in _SUFFIXES:
        if os.path.lexists(_cached(pot, asked) + suffix):
            os.unlink(_cached(pot, asked) + suffix)
    return _fetch_once(pot, asked)


def _fetch_once(pot: Pot, asked: _Asked) -> bool:
    if not _get(pot, asked, ".skein"):
        return False
    if asked.pubkey and not _signed(pot, asked):
        return False
    if not _get(pot, asked, ""):
        return False
    if not _get(pot, asked, ".meta"):
        pot.info(f"No {_cached(pot, asked)}.meta, ignoring")
        conf.write(_cached(pot, asked) + ".meta", [])
    if not _same_hash(pot, asked):
        pot.error("The image and its hash do not overlap")
        return False
    pot.debug("Hash confirmed")
    return True


def _get(pot: Pot, asked: _Asked, suffix: str) -> bool:
    """What is in the cache is taken as it is."""
    target = _cached(pot, asked) + suffix
    if os.access(target, os.R_OK):
        return True
    return fetch.fetch(pot.root, f"{asked.url or 'file://'}/{os.path.basename(target)}", target)


def _signed(pot: Pot, asked: _Asked) -> bool:
    if not _get(pot, asked, ".skein.sig"):
        return False
    try:
        signify.verify(asked.pubkey, _cached(pot, asked) + ".skein.sig", _cached(pot, asked) + ".skein")
    except signify.NotVerified as error:
        complain(f"signify: {error}")
        pot.error("Signature verification failed")
        return False
    pot.echo("Signature Verified")
    pot.debug("Signature verification succeeded")
    return True


def _same_hash(pot: Pot, asked: _Asked) -> bool:
    """If not, with the line that cmp has for it on stdout."""
    stored = _cached(pot, asked) + images.HASH
    with open(stored, encoding="utf-8", errors="replace") as file:
        expected = file.read()
    found = images.digest(_cached(pot, asked)) + "\n"
    if expected == found:
        return True
    index = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
    if index is None:
        complain(f"cmp: EOF on {stored if len(expected) < len(found) else '-'}")
    else:
        pot.echo(f"{stored} - differ: char {index + 1}, line {expected[:index].count(chr(10)) + 1}")
    return False


def _dependency(pot: Pot, asked: _Asked, name: str) -> str:
    """The snapshot this image is layered on, its pot imported first; empty if it stands for itself."""
    first = [*conf.lines(_cached(pot, asked) + ".meta"), ""][0]
    if first in ("", "-"):
        pot.info(f"Pot {name} has no dependencies")
        return ""
    image, _, snapshot = first.partition("@")
    other, _, tag = image.partition(":")
    base = f"{other}_{tag}".replace(".", "_")
    pot.info(f"Pot {name} depends on {base} (@{snapshot})")
    if pots.exists(pot.root, base):
        pot.info(f"{base} already installed")
    else:
        pot.info(f"Installing dependency {base}")
        pot.command("import", "-p", other, "-t", tag, "-U", asked.url, "-C", asked.pubkey)
    return f"jails/{base}/m@{snapshot}"


def _receive(pot: Pot, asked: _Asked, name: str, origin: str) -> None:
    """Whether zfs could receive it is not looked at; what follows then fails, and says so."""

    def fill(directory: str) -> None:
        images.import_archive(_cached(pot, asked), directory)
        conf.append(directory + "/conf/fscomp.conf", [])

    try:
        _refuse(pot, name)
        zfs.receive(pot.root, f"jails/{name}", str(int(time.time())), origin, fill)
    except (images.ImageError, zfs.ZfsError) as error:
        complain(str(error))
        return
    _adapt(pot, name)


def _refuse(pot: Pot, name: str) -> None:
    if faults.on(pot.root, "receive", name):
        raise images.ImageError("cannot receive: injected failure")
    full = faults.value(pot.root, "disk-full", name)
    if full is not None:
        raise images.ImageError(f"cannot receive: {full or 'out of space'}")


def _adapt(pot: Pot, name: str) -> None:
    host = os.uname().nodename
    conf.replace(pot.root, name, "host.hostname", [f'"{name}.{host}.{host}"'])
    kind = conf.network_type(pot.root, name)
    if kind == "inherit":
        pot.debug("network_type set to inherit, nothing to rework")
        return
    if kind == "alias":
        pot.error("Static IP not supported by import. Moving the pot to the internal network")
        _set(pot, name, "vnet", "true")
    if kind in ("alias", "public-bridge"):
        from pot_sim import network  # noqa: PLC0415 (only for bridges)

        address = network.allocate_ip(pot.root)
        _set(pot, name, "ip", address)
        pot.info(f"Assigning new IP: {address}")


def _set(pot: Pot, name: str, key: str, value: str) -> None:
    """Where the line stands; a key that is not there stays away."""
    conf.edit(conf.path(pot.root, name), lambda line: f"{key}={value}" if line.startswith(key + "=") else line)
