"""The host that these tests run on, with an image whose pots have a shell; what was made for it is taken away again.

FreeBSD: the pot of this host. The image is the one that POT_TEST_IMAGE names ("URL POT TAG"), or one made of the
host's own base, which has no accounts of the host in it. Elsewhere: a new root of pot-sim.

Not here: the tests, and what they see of the host.
"""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.config import decode_plugin
from pot_driver.pot.layout import image_pot

from .realhost import Image, PotHost, run

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE_VARIABLE = "POT_TEST_IMAGE"
BASE = ("bin", "lib", "libexec")
PROGRAMS = ("env", "id", "true")  # of /usr/bin
ETC = ("group", "login.conf", "login.conf.db", "nsswitch.conf")
MASTER_PASSWD = """\
root:*:0:0::0:0:root:/root:/bin/sh
nobody:*:65534:65534::0:0:nobody:/nonexistent:/usr/sbin/nologin
"""
CONF = """\
pot.level=0
pot.type=single
pot.base={release}
pot.potbase=
pot.dns=inherit
pot.cmd=sh /etc/rc
host.hostname="{name}"
osrelease="{release}"
pot.attr.no-rc-script=YES
pot.attr.persistent=NO
pot.attr.start-at-boot=NO
pot.attr.prunable=YES
pot.attr.no-tmpfs=YES
pot.stack=ipv4
network_type=inherit
vnet=false
"""


@contextmanager
def a_host(path: Path) -> Iterator[PotHost]:
    """This machine as a host of pots. `path` is an empty directory for what must be made."""
    if platform.system() == "FreeBSD":
        with freebsd(path) as host:
            yield host
    else:
        yield simulated(path)


def simulated(path: Path) -> PotHost:
    """A new root of pot-sim."""
    from pot_driver.operator import installation  # noqa: PLC0415 - not on FreeBSD

    found = installation.simulated(path)
    installation.pot_sim(path, "image", "create", "shell", "1.0")
    image = Image(url=f"file://{path}/images", pot="shell", tag="1.0")
    return PotHost(host_path=str(found.plugin_config["host_path"]), image=image, launcher=found.launcher)


@contextmanager
def freebsd(path: Path) -> Iterator[PotHost]:
    """The pot of this host. Skips where there is none; an image that was there before stays."""
    host_path = decode_plugin(b"\x80").host_path
    if os.getuid() != 0:
        pytest.skip("not run as root, which pot needs")
    if not shutil.which("pot", path=host_path):
        pytest.skip(f"pot is not installed: it is not on {host_path}")
    if named := os.environ.get(IMAGE_VARIABLE):
        url, pot, tag = named.split()
        host = PotHost(host_path=host_path, image=Image(url=url, pot=pot, tag=tag))
    else:
        host = PotHost(host_path=host_path, image=of_the_base(host_path, path))
    imported = host.paths.pot(image_pot(host.image.pot, host.image.tag))
    cached = host.paths.image_file(host.image.pot, host.image.tag)
    imported_before, cached_before = imported.exists(), cached.exists()
    try:
        yield host
    finally:
        if not imported_before and imported.exists():
            host.run("pot", "destroy", "-p", imported.name)
        if not cached_before:
            for file in cached.parent.glob(f"{cached.name}*"):
                file.unlink()


def of_the_base(host_path: str, directory: Path) -> Image:
    """An image of the host's /bin, /lib and /libexec, made by pot itself from a dataset that is destroyed again."""
    name = f"potdrivercheck{os.getpid()}"
    zfs_root, fs_root = (must(host_path, "pot", "config", "-q", "-g", f"{kind}_root") for kind in ("zfs", "fs"))
    dataset, pot = f"{zfs_root}/jails/{name}", Path(fs_root, "jails", name)
    must(host_path, "zfs", "create", dataset)
    try:
        must(host_path, "zfs", "create", f"{dataset}/m")
        (pot / "conf").mkdir()
        release = must(host_path, "uname", "-r").partition("-p")[0]
        (pot / "conf/pot.conf").write_text(CONF.format(name=name, release=release))
        (pot / "conf/fscomp.conf").touch()
        fill(host_path, pot / "m")
        must(host_path, "pot", "snapshot", "-p", name)
        must(host_path, "pot", "export", "-p", name, "-t", "1.0", "-l", "0", "-D", str(directory))
    finally:
        must(host_path, "zfs", "destroy", "-r", dataset)
        if pot.is_dir():
            pot.rmdir()
    return Image(url=f"file://{directory}", pot=name, tag="1.0")


def fill(host_path: str, root: Path) -> None:
    """A small system with accounts of its own, and none of the host's."""
    for name in ("dev", "etc", "proc", "root", "tmp", "var/run", "var/tmp", "usr/bin", "usr/lib", "usr/sbin"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in BASE:
        must(host_path, "cp", "-a", f"/{name}", str(root))
    for name in PROGRAMS:
        must(host_path, "cp", "-p", f"/usr/bin/{name}", str(root / "usr/bin"))
        for line in run(host_path, "ldd", f"/usr/bin/{name}").stdout.splitlines():
            _, arrow, place = line.partition(" => ")
            if arrow and place.startswith("/usr/lib/"):
                must(host_path, "cp", "-p", place.split()[0], str(root / "usr/lib"))
    for name in ETC:
        if Path("/etc", name).exists():
            must(host_path, "cp", "-p", f"/etc/{name}", str(root / "etc"))
    (root / "etc/master.passwd").write_text(MASTER_PASSWD)
    must(host_path, "pwd_mkdb", "-p", "-d", str(root / "etc"), str(root / "etc/master.passwd"))


def must(host_path: str, *words: str) -> str:
    """What the command prints. It must succeed: without an image there is nothing to test."""
    done = run(host_path, *words)
    if done.returncode:
        said = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
        pytest.fail(f"no image could be made: {' '.join(words)}: {said}; {IMAGE_VARIABLE}='URL POT TAG' names one")
    return done.stdout.strip()
