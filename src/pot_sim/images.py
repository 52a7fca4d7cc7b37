"""Image files: NAME_TAG.xz with its .meta and .skein, as `pot export` writes and `pot import` reads them.

The .xz is a compressed tar of the pot's `conf` and `m`. The .skein is one line of 1024 bits in hexadecimal over the
.xz and the .meta (`skein`). The .meta is `-`, or `POT:TAG@SNAPSHOT`: the image that must be imported before this one.

Not here: fetching, the cache and pot's words about them (`commands/import`), signatures (`signify`).
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from typing import TYPE_CHECKING

from pot_sim import attributes, privilege, skein, skeleton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pot_sim.root import Root

META, HASH, SIGNATURE = ".meta", ".skein", ".skein.sig"
NO_DEPENDENCY = "-"
_SEARCH_PATH = ("bin", "sbin", "usr/bin", "usr/sbin")
_CONF = """\
pot.level=0
pot.type=single
pot.base=14.1
pot.potbase=
pot.dns=inherit
pot.cmd={cmd}
host.hostname="{hostname}"
osrelease="14.1-RELEASE"
{attributes}
pot.stack={stack}
network_type={network}
vnet={vnet}{address}
"""


class ImageError(Exception):
    """An image could not be made or read."""


def create(
    root: Root,
    name: str,
    tag: str,
    *,
    from_dir: str | None = None,
    cmd: str | None = None,
    network: str = "inherit",
    stack: str = "ipv4",
    depends: str = NO_DEPENDENCY,
) -> str:
    """Make an image in the root's `images` and return the path of its .xz.

    Without `from_dir` it shows the host's own /usr. A directory without a shell of its own is laid over that.
    """
    _check(name, tag, from_dir, depends)
    os.makedirs(root.images, exist_ok=True)
    archive = f"{root.images}/{name}_{tag}.xz"
    with tempfile.TemporaryDirectory(dir=root.images, prefix=".making-") as work:
        os.makedirs(work + "/conf")
        pot = f"{name}_{tag}".replace(".", "_")
        skeleton.write(work + "/conf/pot.conf", _conf(pot, cmd=cmd, network=network, stack=stack))
        skeleton.write(work + "/conf/fscomp.conf", "")
        if from_dir is None:
            _make_skeleton(work)
        elif not skeleton.is_complete(from_dir):
            _check_visible(from_dir)
            _make_skeleton(work)
        _publish(archive, depends, lambda tar: _fill(tar, work, from_dir))
    return archive


def _check(name: str, tag: str, from_dir: str | None, depends: str) -> None:
    if not name or not tag or "/" in name + tag:
        raise ImageError(f"{name}_{tag}: an image has a name and a tag, without slashes")
    if from_dir is not None and not os.path.isdir(from_dir):
        raise ImageError(f"{from_dir} is not a directory")
    if depends != NO_DEPENDENCY and not re.fullmatch(r"[^:@]+:[^:@]+@[^:@]+", depends):
        raise ImageError(f"{depends} is not a dependency: POT:TAG@SNAPSHOT names the image and its snapshot")


def _conf(pot: str, *, cmd: str | None, network: str, stack: str) -> str:
    return _CONF.format(
        cmd=cmd or "sh /etc/rc",
        hostname=f"{pot}.{os.uname().nodename}",
        attributes="\n".join(attributes.of_new_pot()),
        stack=stack,
        network=network,
        address="" if network == "inherit" else "\nip=10.192.0.3",  # import gives it one of its own
        vnet="true" if network.endswith("bridge") else "false",
    )


def _make_skeleton(work: str) -> None:
    os.mkdir(work + "/m")
    skeleton.make(work + "/m")


def _check_visible(from_dir: str) -> None:
    if os.path.isdir(from_dir + "/usr"):
        raise ImageError(
            f"{from_dir} has a usr directory but no bin/sh: add its own shell and programs, "
            "or put its files elsewhere, since the host's /usr will be mounted over it"
        )


def _fill(tar: tarfile.TarFile, work: str, from_dir: str | None) -> None:
    for part in ("conf", "m"):
        if os.path.isdir(f"{work}/{part}"):
            tar.add(f"{work}/{part}", part, filter=_owned)
    if from_dir is not None:
        tar.add(from_dir, "m", filter=_owned)
        if skeleton.is_complete(from_dir):
            _add_scripts(tar, from_dir)


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """In a pot, what belongs to whoever makes the image belongs to root."""
    if member.uid == os.geteuid():
        member.uid = member.gid = 0
    return member


def _add_scripts(tar: tarfile.TarFile, from_dir: str) -> None:
    """What a start script calls and this root does not have, on each PATH."""
    for name, text in skeleton.SCRIPTS.items():
        if any(os.path.lexists(f"{from_dir}/{place}/{name}") for place in _SEARCH_PATH):
            continue
        for place in ("bin", "sbin"):
            merged = "usr/" if os.path.islink(f"{from_dir}/{place}") else ""
            member = tarfile.TarInfo(f"m/{merged}{place}/{name}")
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))


def export(directory: str, archive: str, *, depends: str = NO_DEPENDENCY) -> None:
    """Write a pot's directory (its `conf` and `m`) as an image: `archive`, its .meta and its .skein."""
    _publish(archive, depends, lambda tar: _fill(tar, directory, None))


def _publish(archive: str, depends: str, fill: Callable[[tarfile.TarFile], None]) -> None:
    temporary = f"{archive}.{os.getpid()}"
    try:
        with tarfile.open(temporary, "w:xz", preset=0) as tar:  # images are made far more often than sent
            fill(tar)
        os.rename(temporary, archive)
    except OSError as error:
        raise ImageError(f"cannot write {archive}: {error.strerror}") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    skeleton.write(archive + META, depends + "\n")
    skeleton.write(archive + HASH, digest(archive) + "\n")


def import_archive(archive: str, directory: str) -> None:
    """Unpack an image into a pot's directory: `zfs receive`."""
    try:
        with tarfile.open(archive, "r:xz") as tar:
            tar.extraction_filter = lambda member, _: member  # every mode and owner is kept
            tar.extractall(directory, _checked(tar, os.path.realpath(directory)), numeric_owner=True)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ImageError(f"cannot receive: {error}") from error


def _checked(tar: tarfile.TarFile, directory: str) -> Iterator[tarfile.TarInfo]:
    """The members, each looked at when those before it have been unpacked: none may lie outside."""
    only_root = privilege.is_own_namespace()
    for member in tar:
        places = [os.path.dirname(member.name), member.linkname] if member.islnk() else [os.path.dirname(member.name)]
        for place in places:
            if not (os.path.realpath(f"{directory}/{place}") + "/").startswith(directory + "/"):
                raise tarfile.TarError(f"{member.name} would lie outside the pot")
        if os.path.basename(member.name) in ("", "..") or member.name.startswith("/"):
            raise tarfile.TarError(f"{member.name} would lie outside the pot")
        if only_root:
            member.uid = member.gid = 0
        yield member


def digest(archive: str) -> str:
    """What the .skein must say, for an image with or without a .meta."""
    return skein.hexdigest(_hashed(archive))


def _hashed(archive: str) -> Iterator[bytes]:
    for path in (archive, archive + META):
        if os.path.exists(path):
            with open(path, "rb") as file:
                yield from skein.blocks(file)


def is_intact(archive: str) -> bool:
    """The image is the one that its .skein was made for."""
    with open(archive + HASH, encoding="ascii", errors="replace") as file:
        return file.read() == digest(archive) + "\n"
