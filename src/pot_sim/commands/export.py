"""`pot export`: the newest snapshot of a pot becomes an image file, with what it is layered on, hash and signature.

Not here: the file's format (`images`), signatures (`signify`).
"""

from __future__ import annotations

import os
import re
import tempfile

from pot_sim import conf, images, pots, signify, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain, natural


class _Asked:
    """The options."""

    def __init__(self) -> None:
        self.pot = self.tag = self.key = ""
        self.directory = "."
        self.check_tag = self.force = self.automatic = False


def run(pot: Pot, args: list[str]) -> int:
    asked = _parse(pot, args)
    if not asked.pot:
        raise Exit(pot.usage_error("export", "A pot name is mandatory"))
    if not pots.check(pot, asked.pot):
        raise Exit(pot.usage_error("export", f"pot {asked.pot} is not valid"))
    if conf.pot_type(pot.root, asked.pot) != "single":
        pot.error(f"pot {asked.pot} not supported - only single type pot can be exported")
        raise Exit(1)
    if asked.key and not os.access(asked.key, os.R_OK):
        pot.error(f"Signature key {asked.key} not found")
        raise Exit(1)
    if asked.key and not signify.installed(pot.root):
        pot.error(signify.MISSING)
        raise Exit(1)
    snapshot = _snapshot(pot, asked)
    if snapshot is None:
        return 1
    asked.tag = asked.tag or snapshot
    pot.must_be_root()
    pot.info(f"exporting {asked.pot} @ {snapshot} to {asked.directory}/{asked.pot}_{asked.tag}.xz")
    return 0 if _export(pot, asked, snapshot) else 1


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked()
    for option, value in pot.options("export", args, "hvcp:t:D:l:FAS:"):
        match option:
            case "c":
                asked.check_tag = True
            case "p":
                asked.pot = value
            case "t":
                asked.tag = value
            case "D":
                if not os.path.isdir(value):
                    pot.error(f"{value} is not a directory")
                    raise Exit(1)
                asked.directory = value
            case "l":
                if len(value) != 1 or not natural(value):
                    raise Exit(pot.usage_error("export", f"{value} is an invalid compression level"))
            case "F":
                asked.force = True
            case "A":
                asked.automatic = True
            case "S":
                asked.key = value
    return asked


def _snapshot(pot: Pot, asked: _Asked) -> str | None:
    dataset = f"jails/{asked.pot}"
    if not zfs.snapshots(pot.root, dataset):
        if not asked.automatic:
            pot.error(f"Pot {asked.pot} has no snapshots - please use pot snapshot for that")
            raise Exit(1)
        pot.info(f"Taking a snapshot of {asked.pot}")
        if pot.command("snapshot", "-p", asked.pot) != 0:
            pot.error(f"Failed to take a snapshot of pot {asked.pot}")
            raise Exit(1)
    tags = zfs.snapshots(pot.root, dataset)
    if len(tags) == 1:
        return tags[0]
    if asked.force:
        pot.info(f"Pot {asked.pot} has multiple snapshots and they all will be exported")
    elif asked.automatic:
        pot.info(f"Pot {asked.pot} has more than 1 snapshot - auto-purge will delete older snapshots")
        pot.command("purge-snapshots", "-p", asked.pot)
    else:
        pot.error(
            f"Pot {asked.pot} has more than 1 snapshot - use -A to auto-purge old snapshots or -F to force exporting"
        )
        return None
    return tags[-1]


def _export(pot: Pot, asked: _Asked, snapshot: str) -> bool:
    dataset = f"jails/{asked.pot}"
    if asked.check_tag and not _tag_may_follow(pot, asked, snapshot):
        return False
    depends = _origin(pot, dataset)
    if depends is None:
        return False
    archive = f"{asked.directory}/{asked.pot}_{asked.tag}.xz"
    try:
        with tempfile.TemporaryDirectory(prefix="pot-export.", dir=pot.root.tmp) as work:
            zfs.copy(zfs.snapshot_path(pot.root, dataset, snapshot) + "/conf", work + "/conf")
            zfs.copy(zfs.snapshot_path(pot.root, dataset + "/m", snapshot), work + "/m")
            images.export(work, archive, depends=depends)
    except (images.ImageError, zfs.ZfsError) as error:
        complain(str(error))
        return False
    if asked.key and not _sign(pot, asked.key, archive):
        return True
    zfs.set_property(pot.root, dataset, ":pot.tag", asked.tag)
    zfs.set_property(pot.root, dataset, ":pot.snap", snapshot)
    return True


def _sign(pot: Pot, key: str, archive: str) -> bool:
    try:
        signify.sign(key, archive + images.HASH, archive + images.SIGNATURE)
    except signify.NotVerified as error:
        complain(f"signify: {error}")
        pot.error("Export failed")
        for suffix in ("", images.META, images.HASH):
            os.unlink(archive + suffix)
        return False
    return True


def _tag_may_follow(pot: Pot, asked: _Asked, snapshot: str) -> bool:
    before = zfs.get_property(pot.root, f"jails/{asked.pot}", ":pot.tag")
    if before == asked.tag and zfs.get_property(pot.root, f"jails/{asked.pot}", ":pot.snap") != snapshot:
        pot.error("Already exported a different snapshot tagged as this version")
        return False
    if before and max(before, asked.tag, key=_version) != asked.tag:
        pot.error("Tag version lower than the previously exported one")
        return False
    return True


def _version(tag: str) -> list[tuple[int, str]]:
    """For an order of versions: numbers by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", tag)]


def _origin(pot: Pot, dataset: str) -> str | None:
    """The image that a layered one needs, `-` for none; None if that was never exported."""
    origin = zfs.get_property(pot.root, dataset + "/m", "origin")
    if not origin:
        return images.NO_DEPENDENCY
    base, _, snapshot = origin.removeprefix("jails/").partition("/m@")
    tag = zfs.get_property(pot.root, f"jails/{base}", ":pot.tag")
    if not tag:
        pot.error(f"Origin {base} has no :pot.tag, please export first")
        return None
    return f"{base}:{tag}@{snapshot}"
