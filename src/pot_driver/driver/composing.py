"""A cloned pot becomes the task's: its files, its mount points and its configuration, made by descriptors.

Nothing of the image runs for that, and nothing that it brings leads out of the pot.

Not here: what is in the configuration (see `plan.compose`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from pot_driver import files, spec
from pot_driver import plan as planning
from pot_driver.driver import scripts
from pot_driver.driver.imports import ImportedImage
from pot_driver.errors import ConfigError, PotFailed, TryAgain
from pot_driver.keeper.home import Home
from pot_driver.plan import Plan, compose
from pot_driver.plan.compose import PlacedMount
from pot_driver.plan.scripts import INSIDE
from pot_driver.pot import conf, parse, prepared
from pot_driver.pot.layout import HOOKS, PotPaths
from pot_driver.pot.parse import PotConf
from pot_driver.pot.tree import Tree, open_without_links
from pot_driver.spec import Copy, Mounting

COPY_LIMIT = 64 << 30  # bytes of one copy
RESOLV_LIMIT = 64 * 1024
EVENTS, EVENT_WIDTH = 3, 400  # for what an image brings in vain: Nomad keeps ten events of a task


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A pot that is ready to be started. `conf`: what pot.conf says now; `warnings`: for task events."""

    conf: PotConf
    warnings: tuple[str, ...]


def compose_pot(paths: PotPaths, home: Home, plan: Plan, image: ImportedImage) -> Composed:
    """Make all that `pot start` will find. PotFailed and ConfigError name what stands against it."""
    name = plan.pot_name
    cloned = files.text(paths.conf(name))
    clone, own = parse.pot_conf(cloned), conf.read(cloned)
    _refuse(compose.problems(plan.spec, image.conf, clone))
    try:
        with Tree(paths.root(name)) as root:
            _refuse(prepared.lacking(root, plan.programs))
            warnings = prepared.wanting(root)
            _write_scripts(home, plan, image, clone, root)
            mounts = _place(plan, root, home)
            for copy in plan.spec.copies:
                _copy(root, copy)
            prepared.make_writable(root)
        _refuse(prepared.leaks(paths.root(name), [(mount.source, mount.destination) for mount in mounts]))
        with Tree(paths.conf_dir(name)) as directory:
            _write_conf(
                directory, plan, compose.fscomp_conf(mounts), compose.pot_conf(plan.spec, image.conf, clone, own)
            )
    except ValueError as error:
        raise ConfigError([f"the pot cannot be configured: {error}"]) from error
    except OSError as error:
        raise TryAgain(f"cannot make the files of pot {name}: {error}") from error
    dropped = ", ".join(compose.dropped(plan.spec, image.conf, image.mounts))
    warnings += [f"Left out of what the image brings: {part}" for part in wrap(dropped, EVENT_WIDTH)[:EVENTS]]
    return Composed(conf=parse.pot_conf(files.text(paths.conf(name))), warnings=tuple(warnings))


def set_attribute(paths: PotPaths, name: str, attribute: str, value: str) -> None:
    """Change one attribute in a pot's configuration, whole or not at all."""
    with Tree(paths.conf_dir(name)) as directory:
        text = (directory.read("/pot.conf", files.LIMIT) or b"").decode(errors="surrogateescape")
        changed = conf.replaced(text, f"pot.attr.{attribute}", value)
        if text and changed != text:
            directory.write("/pot.conf", changed.encode(errors="surrogateescape"))


def _write_scripts(home: Home, plan: Plan, image: ImportedImage, clone: PotConf, root: Tree) -> None:
    user = plan.spec.user
    owner = 0 if user is None else prepared.uid_of(root, user)
    if isinstance(owner, str):
        raise PotFailed(f"cannot start the task: {owner}")
    command = image.conf.single.get("pot.cmd")
    scripts.write(home, planning.task_files(plan.spec, command, image.conf.env, clone), owner)


def _place(plan: Plan, root: Tree, home: Home) -> list[PlacedMount]:
    """Make the mount points; every mount with its place in the pot, in order."""
    if root.make_directory(INSIDE) != INSIDE:
        raise PotFailed(f"cannot start the task: the image has a link in the place of {INSIDE}, the driver's own")
    placed = [PlacedMount(source=str(home.scripts), destination=INSIDE, read_only=True)]
    made: list[tuple[Mounting, PlacedMount]] = []
    for mounting in plan.spec.mounts:
        place = PlacedMount(
            source=mounting.source.path, destination=_mount_point(root, mounting, made), read_only=mounting.read_only
        )
        if any(place.destination == other.destination for _, other in made):
            raise PotFailed(f"cannot start the task: {mounting.destination} is the place of another mount in the image")
        if f"{place.destination}/".startswith(f"{INSIDE}/"):
            raise PotFailed(f"cannot start the task: in the image {mounting.destination} leads to {INSIDE}")
        if place.destination == "/":
            raise PotFailed(f"cannot start the task: in the image {mounting.destination} is a link to /")
        made.append((mounting, place))
    return placed + [place for _, place in made]


def _mount_point(root: Tree, mounting: Mounting, made: Iterable[tuple[Mounting, PlacedMount]]) -> str:
    """Make it in the pot, or in the directory that is mounted over that place."""
    inside = mounting.destination
    over = [(asked.destination, place) for asked, place in made if inside.startswith(f"{asked.destination}/")]
    if not over:
        return root.make_directory(inside)
    at, outer = max(over, key=lambda pair: len(pair[0]))
    below = inside.removeprefix(at)
    with Tree(Path(outer.source)) as mounted:
        there = mounted.make_directory(below) if not outer.read_only else below
        if mounted.find(below) is None:
            raise PotFailed(f"cannot start the task: {inside} cannot be made in {outer.source}, mounted read-only")
    if there != below:
        raise PotFailed(
            f"cannot start the task: {inside} leads through a link in {outer.source}, which is mounted there"
        )
    return outer.destination + below


def _copy(root: Tree, copy: Copy) -> None:
    problem = spec.changed(copy.source)
    if problem:
        raise PotFailed(f"cannot start the task: {problem}")
    source = open_without_links(copy.source.path)
    try:
        found = os.fstat(source)
        if copy.source.inode is not None and (found.st_dev, found.st_ino) != (copy.source.device, copy.source.inode):
            raise PotFailed(f"cannot start the task: {copy.source.path} was replaced after the job was checked")
        root.copy(source, copy.destination, name=Path(copy.source.path).name, limit=COPY_LIMIT)
    finally:
        os.close(source)


def _write_conf(directory: Tree, plan: Plan, fscomp_conf: str, pot_conf: str) -> None:
    """Both files, the resolv.conf of the job, and nothing else but hooks where the node allows them."""
    resolv_conf = _resolv_conf(plan)
    kept = {"pot.conf", "fscomp.conf"} | (set(HOOKS) if plan.spec.allow_image_hooks else set())
    if resolv_conf is None and "pot.dns=custom\n" in pot_conf:
        kept.add("resolv.conf")  # the image's, which was looked at before it was cloned
    for name in directory.names("/"):
        if name not in kept:
            directory.remove(f"/{name}")
    if resolv_conf is not None:
        directory.write("/resolv.conf", resolv_conf)
    directory.write("/fscomp.conf", fscomp_conf.encode())
    directory.write("/pot.conf", pot_conf.encode(errors="surrogateescape"))


def _resolv_conf(plan: Plan) -> bytes | None:
    network = plan.spec.network
    if network.resolv_conf is not None:
        return network.resolv_conf.encode()
    if network.resolv_file is None:
        return None
    problem = spec.changed(network.resolv_file)
    content = None if problem else files.content(Path(network.resolv_file.path), RESOLV_LIMIT)
    if content is None:
        raise PotFailed(f"cannot start the task: {problem or f'{network.resolv_file.path} cannot be read'}")
    return content


def _refuse(problems: list[str]) -> None:
    if problems:
        raise PotFailed(f"cannot start the task: {'; '.join(problems)}")
