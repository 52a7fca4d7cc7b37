"""Image files: made, hashed, unpacked; what a pot of one finds inside.

Not here: importing and exporting by pot (`test_commands`, `test_checklist`).
"""

# ruff: noqa: PTH115, PTH123, PTH208  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import io
import os
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import images
from pot_sim.root import Root

if TYPE_CHECKING:
    from conftest import Jails


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(str(tmp_path / "root"))


def test_an_image_is_three_small_files(root: Root) -> None:
    archive = images.create(root, "web", "1.0", cmd="/bin/sh -c 'exec sleep 9'")
    assert archive == f"{root.images}/web_1.0.xz"
    assert sorted(os.listdir(root.images)) == ["web_1.0.xz", "web_1.0.xz.meta", "web_1.0.xz.skein"]
    assert Path(archive).stat().st_size < 200_000
    assert Path(archive + ".meta").read_text() == "-\n"
    assert re.fullmatch(r"[0-9a-f]{256}\n", Path(archive + ".skein").read_text())


def test_the_hash_is_over_archive_and_meta(root: Root) -> None:
    archive = images.create(root, "web", "1.0", depends="base:1.0@123")
    good = images.digest(archive) + "\n"
    assert good == Path(archive + ".skein").read_text()
    Path(archive + ".meta").write_text("-\n")
    assert images.digest(archive) + "\n" != good
    Path(archive + ".meta").write_text("base:1.0@123\n")
    assert images.digest(archive) + "\n" == good
    with open(archive, "ab") as file:
        file.write(b"x")
    assert images.digest(archive) + "\n" != good


def test_the_configuration_is_an_image_s(root: Root, tmp_path: Path) -> None:
    images.import_archive(images.create(root, "web", "1.0", cmd="nginx -g 'daemon off;'"), str(tmp_path / "web"))
    lines = (tmp_path / "web" / "conf" / "pot.conf").read_text().splitlines()
    assert f'host.hostname="web_1_0.{os.uname().nodename}"' in lines
    assert {"pot.cmd=nginx -g 'daemon off;'", "network_type=inherit", "vnet=false", "pot.type=single"} <= set(lines)
    images.import_archive(images.create(root, "net", "1.0", network="public-bridge"), str(tmp_path / "net"))
    assert {"network_type=public-bridge", "vnet=true"} <= set(
        (tmp_path / "net" / "conf" / "pot.conf").read_text().splitlines()
    )


def test_export_and_import_are_a_round_trip(root: Root, tmp_path: Path) -> None:
    first = tmp_path / "first"
    images.import_archive(images.create(root, "web", "1.0"), str(first))
    (first / "m" / "app").mkdir(mode=0o700)
    (first / "m" / "app" / "run").write_text("x")
    (first / "m" / "app" / "run").chmod(0o4755)
    os.link(first / "m" / "app" / "run", first / "m" / "app" / "again")
    (first / "m" / "app" / "out").symlink_to("/etc/passwd")
    os.mkfifo(first / "m" / "app" / "fifo")
    archive = str(tmp_path / "copy_2.xz")
    images.export(str(first), archive)
    images.import_archive(archive, str(tmp_path / "second"))
    assert _tree(tmp_path / "second") == _tree(first)
    assert (tmp_path / "second" / "m" / "app" / "again").stat().st_nlink == 2
    assert images.digest(archive) + "\n" == Path(archive + ".skein").read_text()


def _tree(place: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(place):
        for name in (*names, *files):
            path = Path(directory, name)
            state = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(place))] = (state.st_mode, state.st_uid, state.st_gid, content)
    return found


@pytest.mark.namespaces
def test_a_pot_of_the_host_s_usr_has_a_shell_python_and_names(jails: Jails) -> None:
    jails.create("a")
    script = (
        "id -un; python3 -c 'print(6 * 7)'; for name in ifconfig route; do command -v $name; done; "
        "ls /home 2>&1; getent hosts localhost | wc -l"
    )
    lines = jails.sh("a", script, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}).lines
    assert lines[:2] == ["root", "42"]
    assert [Path(line).name for line in lines[2:4]] == ["ifconfig", "route"]
    assert "No such file" in lines[4]
    assert int(lines[5]) >= 1


@pytest.mark.namespaces
def test_files_without_a_shell_are_laid_over_the_host_s_usr(jails: Jails, tmp_path: Path) -> None:
    source = tmp_path / "files"
    (source / "app").mkdir(parents=True)
    (source / "app" / "main.py").write_text("print('from the app')")
    (source / "etc").mkdir()
    (source / "etc" / "motd").write_text("hello\n")
    images.import_archive(images.create(jails.root, "app", "1", from_dir=str(source)), jails.root.jail("a"))
    jails.create("a")
    assert jails.sh("a", "cat /etc/motd; python3 /app/main.py; id -un").lines == ["hello", "from the app", "root"]


def test_files_that_the_host_s_usr_would_hide_are_refused(root: Root, tmp_path: Path) -> None:
    (tmp_path / "files" / "usr" / "share").mkdir(parents=True)
    with pytest.raises(images.ImageError, match="usr directory but no bin/sh"):
        images.create(root, "app", "1", from_dir=str(tmp_path / "files"))
    assert os.listdir(root.images) == []


def test_a_root_of_its_own_is_taken_as_it_is(root: Root, tmp_path: Path) -> None:
    source = tmp_path / "files"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "sh").write_text("#!")
    (source / "bin" / "route").write_text("mine")
    images.import_archive(images.create(root, "own", "1", from_dir=str(source)), str(tmp_path / "own"))
    m = tmp_path / "own" / "m"
    assert sorted(os.listdir(m)) == ["bin", "sbin"]
    assert (m / "bin" / "route").read_text() == "mine"
    assert os.access(m / "bin" / "ifconfig", os.X_OK)  # which every bridge pot calls


def test_a_missing_directory_is_no_image(root: Root, tmp_path: Path) -> None:
    with pytest.raises(images.ImageError, match="none is not a directory"):
        images.create(root, "app", "1", from_dir=str(tmp_path / "none"))
    assert not Path(root.images).exists()


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_image_cannot_be_received(root: Root, tmp_path: Path, damage: str) -> None:
    archive = Path(images.create(root, "web", "1.0"))
    whole = archive.read_bytes()
    archive.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"no image", "empty": b""}[damage])
    with pytest.raises(images.ImageError, match=r"^cannot receive: "):
        images.import_archive(str(archive), str(tmp_path / "pot"))


def _member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, 0 if kind != tarfile.REGTYPE else 1
    return member


@pytest.mark.parametrize(
    "members",
    [
        [_member("../evil")],
        [_member("/evil")],
        [_member("m/.."), _member("m/../../evil")],
        [_member("m/out", kind=tarfile.SYMTYPE, link="../.."), _member("m/out/evil")],
        [_member("m/evil", kind=tarfile.LNKTYPE, link="../../outside")],
    ],
)
def test_nothing_is_unpacked_outside_of_the_pot(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "outside").write_text("secret")
    archive = tmp_path / "evil_1.xz"
    with tarfile.open(archive, "w:xz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(images.ImageError, match="cannot receive"):
        images.import_archive(str(archive), str(tmp_path / "jails" / "pot"))
    assert not list(tmp_path.rglob("evil"))
