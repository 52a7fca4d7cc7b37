"""Images come whole into pot's cache, with all that belongs to them, or are there already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pot_driver.errors import PotFailed, TryAgain
from pot_driver.pot.layout import PotPaths

from .mirror import CONTENT, NAMES, WEB, Cache, Mirror, image_files, skein


async def test_an_image_is_three_files(mirror: Mirror, cache: Cache) -> None:
    """They are byte for byte what the server has, and the event names the URL."""
    await cache.ensure(mirror.url)

    assert cache.files() == NAMES
    assert all((cache.store_paths.cache / path[1:]).read_bytes() == content for path, content in WEB.items())
    assert cache.told == [f"Downloading image {mirror.url}/web_1.0.xz"]


async def test_the_url_may_end_with_a_slash(mirror: Mirror, cache: Cache) -> None:
    """Jobs have it both ways."""
    await cache.ensure(f"{mirror.url}/")

    assert cache.files() == NAMES


async def test_a_cached_image_needs_no_network(mirror: Mirror, cache: Cache) -> None:
    """Its hash is looked at, not the registry."""
    await cache.ensure(mirror.url)
    mirror.requests.clear()

    await cache.ensure(mirror.url)

    assert mirror.requests == []


async def test_an_image_imported_by_hand_is_used_and_said_to_be_of_unknown_origin(mirror: Mirror, cache: Cache) -> None:
    """Pot has replaced the dot in its name."""
    cache.imported("web_1_0")

    assert (await cache.ensure(mirror.url)).name == "web_1_0"

    assert mirror.requests == []
    assert "of unknown origin" in cache.told[0]
    assert mirror.url in cache.told[0]


async def test_a_missing_meta_is_an_empty_one(mirror: Mirror, cache: Cache) -> None:
    """As pot has it; so it does not ask the server under its lock."""
    del mirror.answers["/web_1.0.xz.meta"]
    mirror.answers["/web_1.0.xz.skein"] = skein(CONTENT, b"")

    await cache.ensure(mirror.url)

    assert (cache.store_paths.cache / "web_1.0.xz.meta").read_bytes() == b""


async def test_a_signature_is_checked_before_the_image_is_fetched(mirror: Mirror, cache: Cache, tmp_path: Path) -> None:
    """Nothing of an image without, or with another one's, comes to this host."""
    key = tmp_path / "team.pub"
    key.write_text("untrusted comment: x\nTEAM\n")
    with pytest.raises(PotFailed, match=r"image web, tag 1\.0 is not signed: no such file at .*\.skein\.sig"):
        await cache.ensure(mirror.url, key=str(key))
    mirror.answers["/web_1.0.xz.skein.sig"] = b"untrusted comment: y\nOTHER\n"
    with pytest.raises(PotFailed, match=r"the signature at .*\.skein\.sig is not one of .*team\.pub: signature verif"):
        await cache.ensure(mirror.url, key=str(key))
    assert "/web_1.0.xz" not in mirror.requests
    mirror.answers["/web_1.0.xz.skein.sig"] = b"untrusted comment: y\nTEAM\n"

    await cache.ensure(mirror.url, key=str(key))

    assert "web_1.0.xz.skein.sig" in cache.files()


async def test_layers_bring_their_parents(mirror: Mirror, cache: Cache) -> None:
    """Up to the one that stands for itself."""
    mirror.answers |= image_files("app_2", b"x", b"mid:3@snap") | image_files("mid_3", b"y", b"web:1.0@1234\n")

    await cache.ensure(mirror.url, "app", "2")

    assert {name for name in cache.files() if name.endswith(".xz")} == {"app_2.xz", "mid_3.xz", "web_1.0.xz"}


async def test_layers_in_a_circle_or_without_end_are_refused(mirror: Mirror, cache: Cache) -> None:
    """After a few small files, and nothing of them stays."""
    for number in range(100):
        mirror.answers |= image_files(f"chain_{number}", b"x", f"chain:{number + 1}@s".encode())
    mirror.answers |= image_files("a_1", b"x", b"b:1@s") | image_files("b_1", b"x", b"a:1@s")

    for pot, tag in (("a", "1"), ("chain", "0")):
        with pytest.raises(PotFailed, match=r"layers .* go in a circle or too deep"):
            await cache.ensure(mirror.url, pot, tag)

    assert len(mirror.requests) < 80
    assert cache.files() == []


async def test_a_layer_that_another_registry_has_the_name_of_is_refused(mirror: Mirror, cache: Cache) -> None:
    """Pot finds layers by their names alone."""
    mirror.answers |= {f"/other{path}": content for path, content in image_files("web_1.0", b"another").items()}
    mirror.answers |= {f"/other{path}": content for path, content in image_files("app_2", b"x", b"web:1.0@s").items()}
    await cache.ensure(mirror.url)

    with pytest.raises(PotFailed, match=r"web, tag 1\.0, .* is needed as a layer, and this host has another image"):
        await cache.ensure(f"{mirror.url}/other", "app", "2")


@pytest.mark.parametrize("meta", [b"../../evil:1@s", b"x" * 5000])
async def test_strange_meta_is_refused(mirror: Mirror, cache: Cache, meta: bytes) -> None:
    """In particular it names no file outside the cache, and is not read for ever."""
    mirror.answers |= image_files("web_1.0", CONTENT, meta)

    with pytest.raises(PotFailed, match=r"web_1\.0\.xz\.meta (does not say which image|has more than 4096 bytes)"):
        await cache.ensure(mirror.url)

    assert "/web_1.0.xz" not in mirror.requests
    assert cache.files() == []


async def test_images_can_be_files(cache: Cache, tmp_path: Path) -> None:
    """With the same errors."""
    source = tmp_path / "my images"
    source.mkdir()
    for path, content in WEB.items():
        (source / path[1:]).write_bytes(content)
    url = source.as_uri()

    await cache.ensure(url)

    assert cache.files() == NAMES
    with pytest.raises(PotFailed, match=r"image nope, tag 1\.0: no such file at file:.*\.skein; is the tag right\?"):
        await cache.ensure(url, "nope")


async def test_a_missing_cache_is_made(mirror: Mirror, cache: Cache) -> None:
    """As pot makes it."""
    await cache.ensure(mirror.url)

    assert cache.files() == NAMES


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
async def test_only_plain_files_of_the_directory_are_images(cache: Cache, tmp_path: Path, kind: str) -> None:
    """A FIFO is not waited for, a link out of the directory is not followed."""
    source = tmp_path / "source"
    source.mkdir()
    for path, content in WEB.items():
        (source / path[1:]).write_bytes(content)
    image = source / "web_1.0.xz"
    image.rename(tmp_path / "elsewhere")
    if kind == "fifo":
        os.mkfifo(image)
    elif kind == "link":
        image.symlink_to(tmp_path / "elsewhere")
    else:
        image.mkdir()

    with pytest.raises(PotFailed, match=r"web_1\.0\.xz is (not a plain file|a link that leads out of its directory)"):
        await cache.ensure(source.as_uri())

    assert cache.files() == []


async def test_a_directory_is_not_reached_through_a_link(cache: Cache, tmp_path: Path) -> None:
    """It may have been put there after the job was checked."""
    (tmp_path / "source").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "source")

    with pytest.raises(PotFailed, match="leads through the symbolic link link"):
        await cache.ensure((tmp_path / "link").as_uri())


async def test_leftovers_of_a_killed_plugin_are_removed_after_a_day(mirror: Mirror, cache: Cache, clock: Any) -> None:
    """Until then a download can go on with them."""
    for age_s, name in ((100_000, "old"), (1000, "young")):
        place = cache.store_paths.cache / f".fetch-{name}"
        place.mkdir(parents=True)
        (place / "image").touch()
        for path in (place / "image", place):
            os.utime(path, (clock.now - age_s, clock.now - age_s))

    await cache.ensure(mirror.url)

    assert [path.name for path in cache.store_paths.cache.glob(".fetch-*")] == [".fetch-young"]


@pytest.mark.namespaces
async def test_a_full_disk_is_told_by_its_directory(mirror: Mirror, cache: Cache, full_disk: Path) -> None:
    """It may be emptied: try again."""
    cache.store_paths = PotPaths(fs_root=cache.store_paths.fs_root, cache=full_disk)

    with pytest.raises(TryAgain, match=f"cannot write the image to {full_disk}: No space left on device"):
        await cache.ensure(mirror.url)

    assert cache.files() == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or os.spawnvp(
        os.P_WAIT, "mount", ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    ):
        pytest.skip("cannot mount a small file system: needs root")
    yield disk
    os.spawnvp(os.P_WAIT, "umount", ["umount", str(disk)])
