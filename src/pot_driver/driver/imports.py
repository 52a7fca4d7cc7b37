"""Images as pots: each is imported once, looked at before anything of it is used, and then cloned.

Not here: downloading (see `images`), what a task's pot gets (see `composing`).
"""

from __future__ import annotations

import asyncio
import stat
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass

import structlog

from pot_driver import files
from pot_driver.driver import steps
from pot_driver.driver.host import Host
from pot_driver.driver.steps import Tell
from pot_driver.errors import DriverError, PotFailed
from pot_driver.plan import Plan, compose
from pot_driver.pot import command, conf
from pot_driver.pot.cli import failure
from pot_driver.pot.conf import ConfFile
from pot_driver.pot.layout import HOOKS, PotPaths
from pot_driver.pot.tree import Tree

log = structlog.get_logger()

CONF_LIMIT = 64 * 1024  # bytes of each file of an image's configuration; real ones have some hundred
_CONF_FILES = frozenset({"pot.conf", "fscomp.conf", "resolv.conf", ".last_run_stats", *HOOKS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedImage:
    """A pot that tasks' pots are clones of. `conf`: what its pot.conf says."""

    name: str
    conf: ConfFile
    names: tuple[str, ...]  # of the files of its configuration
    mounts: tuple[str, ...]  # the lines of its fscomp.conf


class Imports:
    """Imports of this plugin process: one at a time for each image, as many wait as want to."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ready(self, host: Host, plan: Plan, tell: Tell) -> ImportedImage:
        """Return when the image is there as a pot; PotFailed where it is not fit to be cloned."""
        paths = await host.paths()
        async with self._locks[plan.image_pot]:
            imported = not is_whole(paths, plan.image_pot)
            if imported:
                await self._import(host, paths, plan, tell)
            image = await asyncio.to_thread(look, paths, plan.image_pot)
            problem = compose.refused_hooks(plan.spec, image.names)
            if problem:
                raise PotFailed(f"cannot start the task: {problem}")
        return image

    async def again(self, host: Host, plan: Plan, tell: Tell) -> ImportedImage:
        """The same after what is there turned out to be half an image, which is destroyed first."""
        paths = await host.paths()
        async with self._locks[plan.image_pot]:
            if is_whole(paths, plan.image_pot):
                return await asyncio.to_thread(look, paths, plan.image_pot)
        log.warning("half an image is destroyed and imported again", image=plan.image_pot)
        return await self.ready(host, plan, tell)

    async def _import(self, host: Host, paths: PotPaths, plan: Plan, tell: Tell) -> None:
        name = plan.image_pot
        if paths.pot(name).exists():  # what a killed import left: pot can neither clone it nor import over it
            log.warning("pot import was killed here before, what it left is destroyed", image=name)
            await host.pot.run(command.destroy(name))
        tell(f"Importing image {plan.image.pot} {plan.image.tag}")
        # All is in the cache, and checked: pot needs no server, which it would ask under its lock.
        step = plan.import_from(f"file://{paths.cache}")
        try:
            done = await steps.run(host, step, tell)
        except DriverError as error:
            if "already present" in str(error) and is_whole(paths, name):  # somebody else did
                return
            raise
        if not is_whole(paths, name):
            raise failure(step, done)


def is_whole(paths: PotPaths, name: str) -> bool:
    """Whether a pot of this name has a configuration and a root with something in it."""
    with suppress(OSError):
        root = paths.root(name)
        return stat.S_ISREG(paths.conf(name).lstat().st_mode) and not root.is_symlink() and any(root.iterdir())
    return False


def look(paths: PotPaths, name: str) -> ImportedImage:
    """What an image brings as its configuration; PotFailed where pot must not read it.

    pot copies these files by their names and reads them as the host's root: a link would show it any file of the host,
    a FIFO would hold its lock.
    """
    with suppress(OSError), Tree(paths.pot(name)) as pot:
        found = tuple(pot.names("/conf"))
        for file in found:
            if not pot.is_plain(f"/conf/{file}"):
                raise _unfit(name, f"its conf/{file} is not a plain file")
            if file not in _CONF_FILES:
                raise _unfit(name, f"its configuration has a file {file!r} that pot does not know")
            if len(pot.read(f"/conf/{file}", CONF_LIMIT + 1) or b"") > CONF_LIMIT:
                raise _unfit(name, f"its conf/{file} has more than {CONF_LIMIT} bytes")
        image, mounts = conf.read(_text(pot, "/conf/pot.conf")), _text(pot, "/conf/fscomp.conf").splitlines()
        if problem := compose.unfit(image):
            raise _unfit(name, problem)
        return ImportedImage(name=name, conf=image, names=found, mounts=tuple(mounts))
    raise PotFailed(f"cannot read the configuration of image {name}")


def _text(pot: Tree, path: str) -> str:
    return (pot.read(path, CONF_LIMIT) or b"").decode(errors="surrogateescape")


def _unfit(name: str, why: str) -> PotFailed:
    return PotFailed(
        f"image {name} cannot be used: {why}; make the image anew, and remove this one with pot destroy -p {name}"
    )


def text_of(paths: PotPaths, name: str) -> str:
    """A pot's pot.conf."""
    return files.text(paths.conf(name))
