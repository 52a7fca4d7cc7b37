"""Stand-ins for the host's commands, which pass everything on to the real ones until one of them is to go wrong.

    before      it is held before it does anything, until the test says go
    after       it is held when it has done everything, and has told nobody
    fail        it does nothing and says so
    lie         it does nothing and says that it went well
    hang        it does nothing and never ends
    late hang   it does everything and never ends

Not here: what is expected of the driver then.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from shlex import quote

COMMANDS = ("pot", "jls", "rctl", "sh")

_SCRIPT = """\
#!/bin/sh
wire={wire} real={real}
name=${{0##*/}}
case $name in
pot) word="pot $1" ;;
sh) word="keeper" real=/bin ;;
*) word=$name ;;
esac
echo "$word" >>"$wire/calls"
how=
for rule in "$wire/rules/$word" "$wire/rules/$word $(grep -cx "$word" "$wire/calls")"; do
    [ -e "$rule" ] && how=$(cat "$rule")
done
for rule in "$wire/rules/$word for "*; do
    case "$*" in
    *"${{rule#*" for "}}"*) how=$(cat "$rule") ;;
    esac
done
hold() {{
    echo $$ >"$wire/held"
    read -r _ <"$wire/go"
}}
case $how in
before)
    hold
    ;;
after)
    if [ "$name" = sh ]; then
        setsid -w "$real/$name" "$@"
        status=$?
        hold
    else
        "$real/$name" "$@" >"$wire/out" 2>"$wire/err"
        status=$?
        hold
        cat "$wire/out"
        cat "$wire/err" >&2
    fi
    exit $status
    ;;
fail)
    echo "###>  no such luck"
    exit 1
    ;;
lie)
    exit 0
    ;;
hang)
    exec sleep 600
    ;;
"late hang")
    "$real/$name" "$@" >/dev/null 2>&1
    exec sleep 600
    ;;
esac
exec "$real/$name" "$@"
"""


_NOISE = frozenset({"pot version", "pot config"})  # of the fingerprint, at any time


class Tripwire:
    """`path/bin` is to come first on the host path."""

    def __init__(self, path: Path, root: Path) -> None:
        """In front of the commands of a simulator's root."""
        self.path = path
        (path / "bin").mkdir(parents=True)
        (path / "rules").mkdir()
        (path / "calls").touch()
        (path / "etc").symlink_to(root / "etc")  # pot's configuration lies beside its executable
        # Both ends are ours as well, so that nobody waits in open().
        self._held, self._go = (_fifo(path / name) for name in ("held", "go"))
        for name in COMMANDS:
            script = path / "bin" / name
            script.write_text(_SCRIPT.format(wire=quote(str(path)), real=quote(f"{root}/bin")))
            script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What was called, in order: `pot VERB`, `jls`, `rctl`, `keeper`."""
        return [word for word in (self.path / "calls").read_text().splitlines() if word not in _NOISE]

    def forget(self) -> None:
        """Count the calls anew, with no rule."""
        (self.path / "calls").write_text("")
        for rule in (self.path / "rules").iterdir():
            rule.unlink()

    def set(self, word: str, how: str, *, nth: int | None = 1, whose: str = "") -> None:
        """The nth call of this command since the last `forget` (None: every one), or each with `whose` in it."""
        rule = f"{word} for {whose}" if whose else word if nth is None else f"{word} {nth}"
        (self.path / "rules" / rule).write_text(how)

    async def held(self) -> int:
        """Wait until a command is held; its pid."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._held, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._held)
        return int(os.read(self._held, 64))

    def go(self) -> None:
        """Let the held command go on."""
        os.write(self._go, b"go\n")

    def close(self) -> None:
        """The test is over: who is held goes on."""
        os.close(self._held)
        os.close(self._go)


def _fifo(path: Path) -> int:
    os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
