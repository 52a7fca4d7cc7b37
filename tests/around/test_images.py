"""Images come whole into pot's cache, with all that belongs to them, or are there already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pot_driver.errors import PotFailed, TryAgain
from pot_driver.images.download import PART
from pot_driver.pot.layout import PotPaths

from .mirror import NAMES, WEB, Cache, Mirror


async def test_an_image_is_three_files(mirror: Mirror, cache: Cache) -> None:
    """They are byte for byte what the server has, and the event names the URL."""
    await cache.ensure(mirror.url)

    assert cache.files() == NAMES
    assert all((cache.paths.cache / path[1:]).read_bytes() == content for path, content in WEB.items())
    assert cache.told == [f"Downloading image {mirror.url}/web_1.0.xz"]


async def test_the_url_may_end_with_a_slash(mirror: Mirror, cache: Cache) -> None:
    """Jobs have it both ways."""
    await cache.ensure(f"{mirror.url}/")

    assert cache.files() == NAMES


async def test_a_cached_image_needs_no_network(mirror: Mirror, cache: Cache) -> None:
    """Also when it has no .meta."""
    await cache.ensure(mirror.url)
    (cache.paths.cache / "web_1.0.xz.meta").unlink()
    mirror.requests.clear()

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert len(cache.told) == 1


async def test_an_imported_image_needs_no_network(mirror: Mirror, cache: Cache) -> None:
    """Pot has replaced the dot in its name."""
    cache.imported("web_1_0")

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert cache.files() == []
    assert cache.told == []


async def test_a_missing_meta_is_tolerated(mirror: Mirror, cache: Cache) -> None:
    """As pot does."""
    del mirror.answers["/web_1.0.xz.meta"]

    await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz", "web_1.0.xz.skein"]


async def test_what_is_there_is_not_fetched_again(mirror: Mirror, cache: Cache) -> None:
    """A plugin that died half way has the rest left to do."""
    (cache.paths.cache / "web_1.0.xz.skein").write_bytes(b"hash")

    await cache.ensure(mirror.url)

    assert mirror.requests == ["/web_1.0.xz.meta", "/web_1.0.xz"]


async def test_a_signature_is_fetched_when_it_will_be_checked(mirror: Mirror, cache: Cache) -> None:
    """And must be there then."""
    with pytest.raises(PotFailed, match=r"web_1\.0\.xz\.skein\.sig: HTTP 404"):
        await cache.ensure(mirror.url, key="/etc/key.pub")
    mirror.answers["/web_1.0.xz.skein.sig"] = b"signature"

    await cache.ensure(mirror.url, key="/etc/key.pub")

    assert "web_1.0.xz.skein.sig" in cache.files()


async def test_layers_bring_their_parents(mirror: Mirror, cache: Cache) -> None:
    """Up to the one that pot has, or to the end; a circle is not followed."""
    for name, parent in (("app_2", b"mid:3@snap"), ("mid_3", b"web:1.0@1234\n"), ("a_1", b"b:1@s"), ("b_1", b"a:1@s")):
        mirror.answers |= {f"/{name}.xz": b"x", f"/{name}.xz.skein": b"h", f"/{name}.xz.meta": parent}

    await cache.ensure(mirror.url, "app", "2")
    await cache.ensure(mirror.url, "a", "1")

    stored = {name for name in cache.files() if name.endswith(".xz")}
    assert stored == {"app_2.xz", "mid_3.xz", "web_1.0.xz", "a_1.xz", "b_1.xz"}


async def test_a_cached_layer_brings_missing_parents(mirror: Mirror, cache: Cache) -> None:
    """The parents that pot has imported are not asked for."""
    cache.imported("base_1")
    for name, content in (("app_2.xz", b"x"), ("app_2.xz.skein", b"h"), ("app_2.xz.meta", b"web:1.0@s")):
        (cache.paths.cache / name).write_bytes(content)
    mirror.answers["/web_1.0.xz.meta"] = b"base:1@s"

    await cache.ensure(mirror.url, "app", "2")

    assert sorted(mirror.requests) == sorted(WEB)


async def test_strange_meta_is_left_to_pot(mirror: Mirror, cache: Cache) -> None:
    """In particular it names no file outside the cache."""
    mirror.answers["/web_1.0.xz.meta"] = b"../../evil:1@s"

    await cache.ensure(mirror.url)

    assert sorted(mirror.requests) == sorted(WEB)


async def test_images_can_be_files(cache: Cache, tmp_path: Path) -> None:
    """With the same errors."""
    source = tmp_path / "my images"
    source.mkdir()
    for path, content in WEB.items():
        (source / path[1:]).write_bytes(content)
    url = source.as_uri()

    await cache.ensure(url)

    assert cache.files() == NAMES
    with pytest.raises(PotFailed, match=r"cannot download file:///.*/nope_1\.0\.xz\.skein: there is no such file"):
        await cache.ensure(url, "nope")


async def test_other_schemes_are_pots_affair(cache: Cache) -> None:
    """Its fetch knows ftp."""
    await cache.ensure("ftp://mirror.invalid/images")

    assert cache.told == []


async def test_without_a_cache_pot_fetches_by_itself(mirror: Mirror, cache: Cache) -> None:
    """Pot makes the directory; we do not."""
    cache.paths.cache.rmdir()

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert not cache.paths.cache.exists()


async def test_leftovers_of_a_killed_plugin_are_removed(mirror: Mirror, cache: Cache, clock: Any) -> None:
    """Those that nobody writes any more; another's living download stays."""
    dead = cache.paths.cache / f".web_1.0.xz.dead{PART}"
    living = cache.paths.cache / f".db_1.xz.living{PART}"
    for path, age_s in ((dead, 60), (living, 1)):
        path.touch()
        os.utime(path, (clock.now - age_s, clock.now - age_s))

    await cache.ensure(mirror.url)

    assert cache.files() == sorted([living.name, *NAMES])


@pytest.mark.namespaces
async def test_a_full_disk_is_told_by_its_directory(mirror: Mirror, cache: Cache, full_disk: Path) -> None:
    """It may be emptied: try again."""
    cache.paths = PotPaths(fs_root=cache.paths.fs_root, cache=full_disk)

    with pytest.raises(TryAgain, match=f"cannot write the image to {full_disk}: No space left on device"):
        await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz.meta", "web_1.0.xz.skein"]


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
