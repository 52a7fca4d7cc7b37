"""The one place that starts processes on the host.

Every child has its own session, an environment of three variables, the usual umask, /dev/null or a pipe as
standard input, none of the plugin's descriptors, and a time limit that ends its whole process group.

Not here: what a command means (see `pot/`), and shells built from strings.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from pot_driver.errors import PotFailed, TimedOut, TryAgain

# FreeBSD's own: /usr/local last, where pot, potnet and ncat live. Never the plugin's inherited PATH.
HOST_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"

UMASK = 0o022  # pot start passes it on to the app, and what pot writes into a pot is for its users, too
TERM_GRACE_S = 3.0  # from SIGTERM to SIGKILL: pot's clone undoes itself on SIGTERM
EOF_GRACE_S = 1.0  # a daemon that a command left behind may hold its output open
CHUNK = 32 * 1024
# What a command wrote to its terminal last is lost in FreeBSD's kernel where nobody reads it within a second of the
# command's end, so a user who is slow for a moment must not keep us from reading.
TERMINAL_AHEAD = 1 << 20

# The slave becomes the controlling terminal of the new session. Done by a tiny interpreter of its own,
# because code between fork and exec in a process with gRPC's threads may deadlock.
_TAKE_TERMINAL = "import fcntl,os,sys,termios;fcntl.ioctl(0,termios.TIOCSCTTY,0);os.execv(sys.argv[1],sys.argv[1:])"


class CommandMissing(PotFailed):
    """A host command is not on the host path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a command ended: `status` is its exit status, or -N when signal N killed it."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes


class Child:
    """A command that someone talks to while it runs; see `Processes.open`."""

    def __init__(self, process: _Process, terminal: _Terminal | None) -> None:
        self._process = process
        self._terminal = terminal

    async def read_stdout(self) -> bytes:
        """At most 32 KiB of output (of both streams with a terminal); empty at its end."""
        return await _read(self._terminal.reader if self._terminal else self._process.stdout)

    async def read_stderr(self) -> bytes:
        """As `read_stdout`; always at its end with a terminal."""
        return await _read(self._process.stderr)

    async def write(self, data: bytes) -> None:
        """Write to standard input; a command that no longer reads is not an error."""
        await _write(self._terminal.writer if self._terminal else self._process.stdin, data)

    def close_stdin(self) -> None:
        """End of input. A terminal stays open: its user types ^D."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size."""
        if self._terminal is not None:
            self._terminal.resize(rows, columns)

    async def wait(self) -> int:
        """Exit status, or -N when signal N killed it; does not wait for its output's end."""
        return await self._process.wait()

    async def kill_group(self, grace_s: float = TERM_GRACE_S) -> None:
        """End the command and all that it started: hang-up and TERM, then KILL."""
        await self._process.end_group(hang_up=self._terminal is not None, grace_s=grace_s)

    def close(self) -> None:
        """Let go of pipes and terminal."""
        self._process.close()
        if self._terminal is not None:
            self._terminal.close()


class Processes:
    """Starts host commands, which are looked up on `host_path` and nowhere else."""

    def __init__(self, host_path: str = HOST_PATH) -> None:
        self.host_path = host_path
        # pot calls tools of the system, and its pots inherit the PATH: what host_path leaves out comes after it.
        path = dict.fromkeys([*host_path.split(":"), *HOST_PATH.split(":")])
        self._env = {"PATH": ":".join(path), "HOME": "/root", "LANG": "C.UTF-8"}

    def find(self, name: str) -> str:
        """The absolute path of a host command; CommandMissing when there is none."""
        path = shutil.which(name, path=self.host_path)
        if path is None:
            raise CommandMissing(f"{name}: no such command on the host path {self.host_path}")
        return path

    async def run(
        self, argv: Sequence[str], *, timeout_s: float, limit_bytes: int = 1 << 20, grace_s: float = TERM_GRACE_S
    ) -> Completed:
        """Run a command to its end and keep at most `limit_bytes` of each stream.

        TimedOut after `timeout_s`; then, and when cancelled, its whole process group is ended first.
        """
        process = await self._spawn(argv, stdin=subprocess.DEVNULL)
        out, err = bytearray(), bytearray()
        try:
            async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as pumps:
                drains = (
                    pumps.create_task(_drain(process.stdout, out, limit_bytes)),
                    pumps.create_task(_drain(process.stderr, err, limit_bytes)),
                )
                status = await process.wait()
                await asyncio.wait(drains, timeout=EOF_GRACE_S)
                for drain in drains:
                    drain.cancel()
        except TimeoutError:
            await process.end_group(grace_s=grace_s)
            said = (bytes(err) or bytes(out)).decode(errors="replace").strip()[-400:]
            raise TimedOut(
                f"{' '.join(argv[:2])} took longer than {timeout_s:g} s and was ended"
                + (f"; it last said: {said}" if said else "")
            ) from None
        except asyncio.CancelledError:
            await process.end_group(grace_s=grace_s)
            raise
        finally:
            process.close()
        return Completed(argv=tuple(argv), status=status, stdout=bytes(out), stderr=bytes(err))

    async def open(self, argv: Sequence[str], *, tty: tuple[int, int] | None = None) -> Child:
        """Start a command to talk to, with pipes or, given rows and columns, with a terminal."""
        if tty is None:
            return Child(await self._spawn(argv, stdin=subprocess.PIPE), None)
        terminal = await _Terminal.open(*tty)
        take = (sys.executable, "-I", "-S", "-c", _TAKE_TERMINAL, self.find(argv[0]), *argv[1:])
        try:
            process = await self._spawn(take, stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave)
        except BaseException:
            terminal.close()
            raise
        finally:
            os.close(terminal.slave)
        return Child(process, terminal)

    async def detach(self, argv: Sequence[str], *, stdin: int, stdout: int, stderr: int, timeout_s: float) -> int:
        """Run a launcher that puts its work in the background and ends; its exit status.

        What it leaves behind outlives the plugin and is nobody's child. The three descriptors are all
        that it gets.
        """
        process = await self._spawn(argv, stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            async with asyncio.timeout(timeout_s):
                return await process.wait()
        except TimeoutError:
            await process.end_group()
            raise TimedOut(f"{' '.join(argv[:2])} took longer than {timeout_s:g} s and was ended") from None
        except asyncio.CancelledError:
            await process.end_group()
            raise

    async def _spawn(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> _Process:
        path = self.find(argv[0])
        try:
            popen = subprocess.Popen(
                (path, *argv[1:]),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=self._env,
                cwd="/",
                umask=UMASK,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:  # too many processes or open files, no memory, arguments too long
            raise TryAgain(f"cannot run {path}: {error.strerror}") from error
        process = _Process(popen)
        try:
            await process.watch()
        except BaseException:  # the caller was cancelled before it has got what to end
            await process.end_group()
            process.close()
            for pipe in filter(None, (popen.stdin, popen.stdout, popen.stderr)):
                pipe.close()
            raise
        return process


class _Process:
    """A started process: pipes as streams, its end as an event.

    asyncio's own wait() does not return before the pipes are closed, which a daemon that a command leaves
    behind can delay for ever; so a thread waits for each process.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._popen = popen
        self._ended = asyncio.Event()
        self._transports: list[asyncio.BaseTransport] = []

    async def watch(self) -> None:
        """Begin to wait for its end, then open its pipes."""
        popen = self._popen
        loop = asyncio.get_running_loop()

        def reap() -> None:
            popen.wait()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._ended.set)

        try:
            threading.Thread(target=reap, name=f"reap-{popen.pid}", daemon=True).start()
        except RuntimeError as error:  # too many threads: nobody would ever see its end
            self._signal_group(signal.SIGKILL)
            reap()
            raise TryAgain(f"cannot run a command: {error}") from error
        if popen.stdout is not None:
            self.stdout, transport = await _reader(popen.stdout)
            self._transports.append(transport)
        if popen.stderr is not None:
            self.stderr, transport = await _reader(popen.stderr)
            self._transports.append(transport)
        if popen.stdin is not None:
            self.stdin = await _writer(popen.stdin)
            self._transports.append(self.stdin.transport)

    async def wait(self) -> int:
        await self._ended.wait()
        return self._popen.returncode

    async def end_group(self, *, hang_up: bool = False, grace_s: float = TERM_GRACE_S) -> None:
        """TERM, grace, KILL, reap: also for those of the group who outlive its leader."""
        if hang_up:
            self._signal_group(signal.SIGHUP)
        self._signal_group(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            self._signal_group(signal.SIGKILL)
        await self.wait()

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def _signal_group(self, signum: int) -> None:
        # The group's id stays taken for as long as the group has a member.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)


class _Terminal:
    """A pseudo terminal: the master side as streams."""

    def __init__(self, master: int, slave: int) -> None:
        self.slave = slave
        self._master = master
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self._transports: list[asyncio.BaseTransport] = []

    @classmethod
    async def open(cls, rows: int, columns: int) -> _Terminal:
        master, slave = os.openpty()
        terminal = cls(master, slave)
        terminal.resize(rows, columns)
        terminal.reader, reading = await _reader(os.fdopen(os.dup(master), "rb", 0), ahead=TERMINAL_AHEAD)
        terminal.writer = await _writer(os.fdopen(os.dup(master), "wb", 0))
        terminal._transports = [reading, terminal.writer.transport]
        return terminal

    def resize(self, rows: int, columns: int) -> None:
        if rows > 0 and columns > 0:
            with suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


async def _reader(pipe: IO[bytes], *, ahead: int = CHUNK) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    """The pipe as a stream that holds up to twice `ahead` bytes before it lets the writer wait."""
    reader = asyncio.StreamReader(limit=ahead)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _read(reader: asyncio.StreamReader | None) -> bytes:
    if reader is None:
        return b""
    try:
        return await reader.read(CHUNK)
    except OSError:  # Linux answers EIO where the last slave of a terminal is closed
        return b""


async def _write(writer: asyncio.StreamWriter | None, data: bytes) -> None:
    if writer is None or writer.is_closing():
        return
    with suppress(OSError):
        writer.write(data)
        await writer.drain()


async def _drain(reader: asyncio.StreamReader | None, kept: bytearray, limit: int) -> None:
    while data := await _read(reader):
        kept += data[: max(0, limit - len(kept))]
