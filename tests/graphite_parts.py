"""The receiver of Graphite's lines with real parts around it: journal, rates, pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from appliance import free_port
from web_parts import configured

from monitor.batch import Block, Cursor
from monitor.journal import Journal
from monitor.pipeline import Pipeline
from monitor.rates import Rates
from monitor.receivers.graphite import GraphiteReceiver
from monitor.receivers.graphite_intake import GraphiteIntake, GraphiteStats

HERE = "127.0.0.1"


@dataclass
class Graphite:
    journal: Journal
    pipeline: Pipeline
    intake: GraphiteIntake
    receiver: GraphiteReceiver
    port: int
    udp: int
    pickle: int

    @property
    def stats(self) -> GraphiteStats:
        return self.intake.stats

    async def samples(self) -> dict[tuple[str, ...], list[tuple[float, float]]]:
        """Return the times and values that the journal has of every series."""
        found: dict[tuple[str, ...], list[tuple[float, float]]] = {}
        after = Cursor(0, 0)
        blocks: list[Block] = []
        while groups := await self.journal.read(after):
            after = groups[-1][0]
            blocks += (block for _, entries, _ in groups for block in entries)
        for block in blocks:
            for source, at, names, rates in block.samples():
                for name, rate in zip(names, rates, strict=True):
                    found.setdefault((*source, name), []).append((at, rate))
        return {series: sorted(points) for series, points in found.items()}

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                await asyncio.sleep(0.005)

    async def idle(self) -> None:
        """Return when nothing waits."""
        await self.until(lambda: not self.intake.held)

    async def send(self, data: bytes) -> None:
        """Send lines on a connection of their own, and return when all is dealt with."""
        opened = self.stats.opened
        async with connected(self.port) as writer:
            writer.write(data)
            await writer.drain()
        await self.until(lambda: self.stats.opened > opened and not self.stats.connections)
        await self.idle()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection that is closed at the end."""
    _, writer = await asyncio.open_connection(HERE, port)
    try:
        yield writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def receiving(
    directory: Path, settings: str = "", clock: Callable[[], float] = time.time, **more: int
) -> AsyncIterator[Graphite]:
    """Listen on free ports; `settings` are lines of [[graphite]]."""
    directory.mkdir(parents=True, exist_ok=True)
    text = f"[receivers]\n[[graphite]]\n{settings}" + ("" if "window" in settings else "window = 0.02\n")
    config = configured(directory, text)
    journal = Journal(directory / "journal")
    await journal.open()
    pipeline = Pipeline(Rates(), journal, clock=clock, **more)
    intake = GraphiteIntake(pipeline.accept, lambda: config.graphite, clock=clock)
    receiver = GraphiteReceiver(intake, lambda: config.graphite)
    ports = [free_port() for _ in range(3)]
    lines, pickles = (socket.create_server((HERE, port)) for port in (ports[0], ports[2]))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((HERE, ports[1]))
    for one in (lines, pickles, datagrams):
        one.setblocking(False)
    await receiver.start(lines, datagrams, pickles)
    try:
        yield Graphite(journal, pipeline, intake, receiver, *ports)
    finally:
        await receiver.close()
        await intake.close(2)
        await journal.close()
