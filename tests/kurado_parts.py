"""Kurado's receiver with real parts around it: journal, rates, pipeline, liveness."""

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
from monitor.config import Config
from monitor.journal import Journal
from monitor.liveness import Liveness
from monitor.pipeline import Pipeline
from monitor.rates import Rates
from monitor.receivers.kurado import KuradoReceiver
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.wire.resp import command

HOSTS = "[hosts]\n[[10.0.0.1]]\n[[10.0.0.2]]\n"
HERE = "127.0.0.1"


@dataclass
class Kurado:
    config: Config
    journal: Journal
    pipeline: Pipeline
    liveness: Liveness
    intake: KuradoIntake
    receiver: KuradoReceiver
    port: int

    async def blocks(self) -> list[Block]:
        """Return what the journal has."""
        found: list[Block] = []
        after = Cursor(0, 0)
        while groups := await self.journal.read(after):
            after = groups[-1][0]
            found += (block for _, blocks, _ in groups for block in blocks)
        return found

    async def samples(self) -> dict[tuple[str, ...], list[float]]:
        """Return the rates of every series, in the order of their times."""
        found: dict[tuple[str, ...], list[float]] = {}
        samples = [sample for block in await self.blocks() for sample in block.samples()]
        for source, _, names, rates in sorted(samples, key=lambda sample: sample[:2]):
            for name, rate in zip(names, rates, strict=True):
                found.setdefault((*source, name), []).append(rate)
        return found


@contextlib.asynccontextmanager
async def receiving(
    directory: Path, settings: str = "", hosts: str = HOSTS, clock: Callable[[], float] = time.time
) -> AsyncIterator[Kurado]:
    """Listen on a free port; `settings` are lines of [[kurado]]."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    text = f"{hosts}[receivers]\n[[kurado]]\nlisten = {HERE}:{port}\n{settings}"
    if "window" not in settings:
        text += "window = 0.02\n"
    config = configured(directory, text)
    journal = Journal(directory / "journal")
    await journal.open()
    pipeline = Pipeline(Rates(), journal, clock=clock)
    liveness = Liveness(clock=clock)
    current = {"config": config}
    intake = KuradoIntake(
        pipeline.accept, liveness.report, lambda: current["config"].kurado, lambda: current["config"].inventory,
        clock=clock,
    )  # fmt: skip
    receiver = KuradoReceiver(intake, lambda: current["config"].kurado)
    listening = socket.create_server((HERE, port))
    listening.setblocking(False)
    await receiver.start(listening)
    one = Kurado(config, journal, pipeline, liveness, intake, receiver, port)
    try:
        yield one
    finally:
        await intake.close(2)
        await receiver.close()
        await journal.close()


class Agent:
    """Speaks as the agent does: bytes out, bytes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readline()

    async def ask(self, *words: bytes | str) -> bytes:
        await self.send(command(*words))
        return await self.line()

    async def push(self, payload: bytes) -> bytes:
        return await self.ask("RPUSH", "kurado-update", payload)


@contextlib.asynccontextmanager
async def agent(port: int, host: str = HERE) -> AsyncIterator[Agent]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Agent(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def payload(host: str, at: float, **values: object) -> bytes:
    """Return the payload of a minute: cpu_user is base.metrics.cpu-user, a derive where the name begins with cpu."""
    lines = []
    for name, value in values.items():
        key = name.replace("_", "-")
        kind = "derive" if key.startswith("cpu") else "gauge"
        lines.append(f"{host}\tbase.metrics.{key}.{kind}\t{value}\t{at:.0f}\n")
    return "".join(lines).encode()
