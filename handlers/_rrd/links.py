"""Who writes RRD files for us: rrdcached over its protocol, or the program rrdtool over its standard input."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from handlers._graphite.targets import place
from monitor.handler import DeliveryError

AT_ONCE = 500
"""Commands that are sent before their answers are read; those of rrdtool have to fit into a pipe."""
PORT = 42217
PATIENCE = 0.001
INFO = re.compile(r"ds\[n\]\.(\w+) (?:= |\d+ )\"?([^\"]*)\"?")


class Link(Protocol):
    """Connects when it is needed."""

    async def run(self, commands: Sequence[str]) -> list[str]:
        """Carry out commands; return of each what went wrong, '' where nothing did."""

    async def info(self, name: str) -> Mapping[str, str]:
        """Return what a file says of its data source; {} where it cannot be read."""

    def create(self, name: str, start: int, step: int, words: str) -> str:
        """Return the command that makes a file where there is none."""

    async def make(self, directories: Sequence[str]) -> None:
        """Make directories, unless that is done with the files."""

    async def close(self) -> None: ...

    def abort(self) -> None:
        """Let go of what may be in the middle of a command."""


class Daemon:
    """rrdcached(1), at `unix:/PATH` or HOST:PORT; names are relative to its own base directory."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        path = self.address.removeprefix("unix:")
        try:
            if path.startswith("/"):
                self._reader, self._writer = await asyncio.open_unix_connection(path)
            else:
                host, port = place(path, PORT)
                self._reader, self._writer = await asyncio.open_connection(host, port)
        except OSError as error:
            raise DeliveryError(f"cannot connect to rrdcached at {self.address}: {error.strerror or error}") from error

    def create(self, name: str, start: int, step: int, words: str) -> str:
        return f"CREATE {name} -s {step} -b {start} -O {words}"

    async def make(self, directories: Sequence[str]) -> None:
        """Nothing: rrdcached makes them itself when it was started with -R."""

    async def run(self, commands: Sequence[str]) -> list[str]:
        found: list[str] = []
        for at in range(0, len(commands), AT_ONCE):
            some = commands[at : at + AT_ONCE]
            writer = await self._connected()
            writer.write("".join(("BATCH\n", *(f"{command}\n" for command in some), ".\n")).encode())
            await writer.drain()
            for expected in ("BATCH", "."):
                count, lines = await self._answer()
                if count < 0:
                    raise DeliveryError(f"rrdcached at {self.address} refuses {expected}: {lines[0][:200]}")
            failures = _failures(lines)
            found += (failures.get(number, "") for number in range(1, len(some) + 1))
        return found

    async def info(self, name: str) -> Mapping[str, str]:
        writer = await self._connected()
        writer.write(f"INFO {name}\n".encode())
        _, lines = await self._answer()
        return _source(lines)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                self.abort()
            self._writer = None

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def _connected(self) -> asyncio.StreamWriter:
        if self._reader is not None and self._reader.at_eof():
            self.abort()
        if self._writer is None:
            await self.open()
        assert self._writer is not None
        return self._writer

    async def _answer(self) -> tuple[int, list[str]]:
        """Return an answer's count, below 0 for a failure, and its lines."""
        first = await self._line()
        status, _, text = first.partition(" ")
        try:
            count = int(status)
        except ValueError:
            raise DeliveryError(f"expected an answer of rrdcached at {self.address}, got {first[:80]!r}") from None
        return count, [await self._line() for _ in range(count)] if count >= 0 else [text]

    async def _line(self) -> str:
        assert self._reader is not None
        try:
            line = await self._reader.readuntil(b"\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DeliveryError(f"rrdcached at {self.address} closed the connection") from error
        return line.decode("utf-8", "replace").rstrip()


class Tool:
    """`rrdtool -` in the base directory; started again when it ended."""

    def __init__(self, program: str, base: Path) -> None:
        self.program = program
        self.base = base
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self.base.mkdir, parents=True, exist_ok=True)
            self._process = await asyncio.create_subprocess_exec(
                self.program, "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, cwd=self.base, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            text = f"cannot start {self.program} in {self.base}: {error.strerror or error}"
            raise DeliveryError(text) from error

    def create(self, name: str, start: int, step: int, words: str) -> str:
        return f"create {name} --step {step} --start {start} --no-overwrite {words}"

    async def make(self, directories: Sequence[str]) -> None:
        try:
            await asyncio.to_thread(_make, [self.base / name for name in directories])
        except OSError as error:
            raise DeliveryError(f"cannot make {error.filename}: {error.strerror or error}") from error

    async def run(self, commands: Sequence[str]) -> list[str]:
        found: list[str] = []
        for at in range(0, len(commands), AT_ONCE):
            some = commands[at : at + AT_ONCE]
            await self._send("".join(f"{command}\n" for command in some))
            found += [failure for _, failure in await self._answers(len(some))]
        return found

    async def info(self, name: str) -> Mapping[str, str]:
        await self._send(f"info {name}\n")
        ((lines, _),) = await self._answers(1)
        return _source(lines)

    async def close(self) -> None:
        """Let it end by itself: what it was told is written then."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
            self._process = None

    def abort(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            self._process = None

    async def _send(self, lines: str) -> None:
        if self._process is None or self._process.returncode is not None:
            await self.open()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(lines.encode())
        try:
            await self._process.stdin.drain()
        except OSError as error:
            raise DeliveryError(f"{self.program} ended") from error

    async def _answers(self, count: int) -> list[tuple[list[str], str]]:
        """Return of so many answers the lines, and what went wrong."""
        assert self._process is not None and self._process.stdout is not None
        found: list[tuple[list[str], str]] = []
        lines: list[str] = []
        rest = b""
        while len(found) < count:
            piece = await self._process.stdout.read(16 << 10)
            if not piece:
                raise DeliveryError(f"{self.program} ended: {' '.join(lines)[-200:] or 'without a word'}")
            *whole, rest = (rest + piece).split(b"\n")
            for line in (one.decode("utf-8", "replace") for one in whole):
                if line.startswith(("OK ", "ERROR: ")):
                    found.append((lines, line.removeprefix("ERROR: ") if line[0] == "E" else ""))
                    lines = []
                else:
                    lines.append(line)
            if len(found) < count:
                # It answers one by one, which would wake us as often.
                await asyncio.sleep(PATIENCE)
        return found


def _failures(lines: Sequence[str]) -> dict[int, str]:
    """Read `NUMBER text`; some texts go on in the next line."""
    found: dict[int, str] = {}
    last = 0
    for line in lines:
        number, _, text = line.partition(" ")
        if number.isdecimal() and int(number) > last:
            last = int(number)
            found[last] = text
        elif last:
            found[last] += f" {line}"
    return found


def _source(lines: Sequence[str]) -> dict[str, str]:
    return {match[1]: match[2] for line in lines if (match := INFO.fullmatch(line))}


def _make(directories: Sequence[Path]) -> None:
    for one in directories:
        one.mkdir(parents=True, exist_ok=True)
