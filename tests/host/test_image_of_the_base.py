"""How an image is made of a FreeBSD host's own base, tried with stand-ins for the host's commands."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from shlex import quote

import pytest

from .hosts import MASTER_PASSWD, of_the_base

pytestmark = pytest.mark.skipif(platform.system() == "FreeBSD", reason="the lives of pots make a real one")

COMMANDS = {
    "pot": """case "$1" in
config) case "$4" in zfs_root) echo tank/pot ;; fs_root) echo "$ROOT/opt" ;; esac ;;
snapshot) [ -r "$ROOT/opt/jails/$3/conf/pot.conf" ] ;;
export) [ -z "$BROKEN" ] && cp -R "$ROOT/opt/jails/$3" "$9/exported" || { echo "###>  Export failed"; exit 1; } ;;
esac""",
    "zfs": """path="$ROOT/opt/${2#tank/pot/}"
case "$1" in
create) mkdir "$path" ;;
destroy) path="$ROOT/opt/${3#tank/pot/}"; rm -rf "$path"/*; rmdir "$path" ;;
esac""",
    "uname": "echo 13.2-RELEASE-p4",
    "cp": """case "$1" in
-R) exec /bin/cp "$@" ;;
-a) mkdir -p "$3$2" ;;
-p) : >"$3/${2##*/}" ;;
esac""",
    "ldd": "printf '%s:\\n\\tlibx.so.1 => /usr/lib/libx.so.1 (0x1)\\n\\tlibc.so.7 => /lib/libc.so.7 (0x2)\\n' \"$1\"",
    "pwd_mkdb": '[ "$2" = -d ] && : >"$3/pwd.db" && : >"$3/passwd"',
}


@pytest.fixture
def host_path(tmp_path: Path) -> str:
    """Where the commands are that an image is made with."""
    (tmp_path / "opt/jails").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    script(tmp_path, BROKEN="")
    return f"{tmp_path}/bin:/usr/bin:/bin"


def script(root: Path, **settings: str) -> None:
    variables = {"ROOT": str(root), **settings}
    head = "".join(f"{name}={quote(value)}\n" for name, value in variables.items())
    for name, body in COMMANDS.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{head}{body}\n")
        (root / "bin" / name).chmod(0o755)


def test_it_is_a_pot_with_a_system_and_accounts_of_its_own(host_path: str, tmp_path: Path) -> None:
    image = of_the_base(host_path, tmp_path)
    made = tmp_path / "exported"

    assert (image.pot, image.tag, image.url) == (f"potdrivercheck{os.getpid()}", "1.0", f"file://{tmp_path}")
    assert "pot.type=single\n" in (made / "conf/pot.conf").read_text()
    assert 'osrelease="13.2-RELEASE"\n' in (made / "conf/pot.conf").read_text()
    for place in ("bin", "lib", "libexec", "usr/bin/env", "usr/lib/libx.so.1", "etc/pwd.db", "root", "tmp"):
        assert (made / "m" / place).exists(), place
    assert (made / "m/etc/master.passwd").read_text() == MASTER_PASSWD
    assert list((tmp_path / "opt/jails").iterdir()) == []


def test_what_fails_is_told_in_the_commands_words_and_nothing_is_left(host_path: str, tmp_path: Path) -> None:
    script(tmp_path, BROKEN="yes")

    with pytest.raises(pytest.fail.Exception, match=r"no image could be made: pot export .* Export failed"):
        of_the_base(host_path, tmp_path)

    assert list((tmp_path / "opt/jails").iterdir()) == []
