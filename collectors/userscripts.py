"""Numbers that programs of the user print, a line `name value` each, as for Diamond's UserScriptsCollector.

Every executable file of a directory is run as it is: without a shell, arguments or input. One that takes too long,
prints too much, fails or prints something else is told as meta `failed`, and the others' numbers count. When a script
is over, so is everything that it started and left in its process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import signal
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from monitor.collector import Bytes, CollectError, Collector, Gauge, Graph, Line, Seconds, option

NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def parse(text: str, most: int) -> dict[str, float]:
    """Return the values by name; CollectError names the first line that is none."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        try:
            name, value = words[0], float(words[1])
        except (IndexError, ValueError):
            raise CollectError(f"expected lines 'name value', got {line[:80]!r}") from None
        if len(words) > 2 or not NAME.fullmatch(name) or not math.isfinite(value):
            raise CollectError(f"expected lines 'name value', got {line[:80]!r}")
        found[name] = value
        if len(found) > most:
            raise CollectError(f"expected at most {most} numbers")
    if not found:
        raise CollectError("expected lines 'name value', got nothing")
    return found


class UserScriptsCollector(Collector):
    path = "userscripts"
    metric_path = ""
    local = True
    needs_enabling = True

    scripts_path: Path = option(Path("/etc/diamond/user_scripts/"), "directory of the programs")
    script_timeout: Seconds = option(Seconds(10), "kill a program that runs longer", min=0.1, max=3600)
    max_scripts: int = option(100, "refuse a directory of more programs", min=1, max=10_000)
    max_output: Bytes = option(Bytes(64 << 10), "kill a program that prints more")
    max_values: int = option(1000, "refuse more numbers of one program", min=1, max=100_000)
    at_once: int = option(4, "how many run at the same time", min=1, max=100)

    value = Gauge("value", "as the program prints it", name="*")

    graphs = (Graph("value", "Numbers of programs", Line(value, "value", "1f78b4"), unit=""),)

    async def collect(self) -> None:
        scripts = sorted(file for file in self.scripts_path.iterdir() if file.is_file() and os.access(file, os.X_OK))
        if len(scripts) > self.max_scripts:
            raise CollectError(
                f"expected at most {self.max_scripts} programs in {self.scripts_path}, got {len(scripts)}"
            )
        if not scripts:
            raise CollectError(f"expected an executable file in {self.scripts_path}, got none")
        # Hanging programs must not take the time in which the others' numbers are published.
        end = asyncio.get_running_loop().time() + 0.9 * (self.timeout or min(20, self.interval / 2))
        slots = asyncio.Semaphore(self.at_once)
        outcomes = await asyncio.gather(*(self._outcome(script, slots, end) for script in scripts))
        failed = []
        for script, outcome in zip(scripts, outcomes, strict=True):
            if isinstance(outcome, str):
                failed.append(f"{script.name}: {outcome}")
            else:
                for name, value in outcome.items():
                    self.publish(self.value.of(name), value)
        if len(failed) == len(scripts):
            raise CollectError(f"expected numbers of a program, got none: {'; '.join(failed)[:1000]}")
        self.meta("failed", "; ".join(failed)[:500])

    async def _outcome(self, script: Path, slots: asyncio.Semaphore, end: float) -> dict[str, float] | str:
        """Return what a program printed, or why it counts for nothing."""
        async with slots:
            now = asyncio.get_running_loop().time()
            if now >= end:
                return "not run: the others took too long"
            try:
                return parse(await self._printed(script, min(self.script_timeout, end - now)), self.max_values)
            except (CollectError, OSError) as error:
                return getattr(error, "strerror", None) or str(error)

    async def _printed(self, script: Path, patience: float) -> str:
        # Not the loop's own way: uvloop's hands files and sockets of this program down to the other.
        starting = asyncio.ensure_future(asyncio.to_thread(_started, script))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _end(await starting)
            raise
        try:
            async with asyncio.timeout(patience):
                printed = await self._read(process)
                await asyncio.to_thread(process.wait)
        except TimeoutError:
            raise CollectError(f"expected its end within {patience:.3g} s; it was killed") from None
        finally:
            await _end(process)
        if process.returncode:
            raise CollectError(f"expected status 0, got {process.returncode}")
        return printed.decode("utf-8", "replace")

    async def _read(self, process: Popen[bytes]) -> bytes:
        assert process.stdout is not None
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        parts, size = [], 0
        try:
            while part := await reader.read(65536):
                parts.append(part)
                size += len(part)
                if size > self.max_output:
                    raise CollectError(f"expected at most {self.max_output} bytes of output; it was killed")
        finally:
            transport.close()
        return b"".join(parts)


def _started(script: Path) -> Popen[bytes]:
    return Popen([script], stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True, cwd="/")


async def _end(process: Popen[bytes]) -> None:
    """Kill whatever is left of the program's process group, and wait for the program."""
    # The group outlives its leader as long as a child is in it; without one, numbers are not given anew so soon.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    if process.stdout is not None:
        process.stdout.close()
