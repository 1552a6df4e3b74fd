"""Draws PNGs: one at a time in a thread of its own, and what was just drawn is kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.batch import Floats
from monitor.graph.data import Read, Track
from monitor.graph.glyph import warm
from monitor.graph.layout import layout
from monitor.graph.model import Graph
from monitor.graph.render import render
from monitor.web.problem import ProblemError


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that a picture is made of; `key` names the graph."""

    key: tuple[str, ...]
    graph: Graph
    series: Mapping[str, Floats]
    start: int
    end: int
    step: int
    width: int
    height: int
    title: str
    whole: bool
    tz: str
    zoom: float = 1.0
    only: bool = False
    peaks: Mapping[str, Floats] | None = None
    tracks: Mapping[Read, Track] = field(default_factory=dict)
    now: int | None = None

    def digest(self) -> bytes:
        """Return what is the same for the same picture; it stays so until its data change, whatever `now` is."""
        place = (
            self.key, self.start, self.end, self.step, self.width, self.height, self.title, self.whole, self.tz,
            self.zoom, self.only,
        )  # fmt: skip
        found = hashlib.blake2b(repr(place).encode("utf-8", "surrogateescape"), digest_size=16)
        for part in (self.series, self.peaks or {}):
            for name, values in part.items():
                found.update(f"\0{name}\0{len(values)}\0".encode("utf-8", "surrogateescape"))
                found.update(values.tobytes())
            found.update(b"\0\0")
        for read, track in self.tracks.items():
            found.update(f"\0{read}\0{track.start}\0{track.step}\0".encode("utf-8", "surrogateescape"))
            found.update(track.values.tobytes())
        return found.digest()


class Picture(NamedTuple):
    png: bytes
    etag: str


@dataclass(slots=True)
class DrawStats:
    drawn: int = 0
    kept: int = 0
    """Answered from what was drawn before."""
    refused: int = 0


class Drawer:
    """Draws exactly one picture at a time; `waiting` bounds the queue, `remembered` the bytes that are kept."""

    def __init__(self, *, waiting: int = 200, remembered: int = 16 << 20) -> None:
        self.stats = DrawStats()
        self.waiting = waiting
        self.remembered = remembered
        self._thread = ThreadPoolExecutor(1, "draw")
        self._running: dict[bytes, asyncio.Future[Picture]] = {}
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()
        self._bytes = 0
        self._thread.submit(warm)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        """Forget what is kept and what is being drawn: the graphs may be others."""
        self._running.clear()
        self._kept.clear()
        self._bytes = 0

    async def draw(self, drawing: Drawing) -> Picture:
        """Return the picture; who waits for the same one shares it."""
        digest = drawing.digest()
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
            self.stats.kept += 1
            return found
        running = self._running.get(digest)
        if running is None:
            if len(self._running) >= self.waiting:
                self.stats.refused += 1
                raise ProblemError(503, "too many graphs wait to be drawn", headers={"Retry-After": "2"})
            running = asyncio.get_running_loop().run_in_executor(self._thread, picture, drawing)
            self._running[digest] = running
            running.add_done_callback(lambda done: self._keep(digest, done))
        # Whoever hangs up, the picture is finished and kept for the next.
        return await asyncio.shield(running)

    def _keep(self, digest: bytes, done: asyncio.Future[Picture]) -> None:
        if self._running.get(digest) is not done:
            return
        del self._running[digest]
        if done.cancelled() or done.exception() is not None:
            return
        found = done.result()
        self.stats.drawn += 1
        self._kept[digest] = found
        self._bytes += len(found.png)
        while self._bytes > self.remembered and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.png)


def picture(drawing: Drawing) -> Picture:
    """Lay out and render; runs in the thread."""
    png = render(
        layout(
            drawing.graph, drawing.series, start=drawing.start, end=drawing.end, step=drawing.step,
            width=drawing.width, height=drawing.height, title=drawing.title, whole=drawing.whole, tz=drawing.tz,
            zoom=drawing.zoom, only=drawing.only, peaks=drawing.peaks, tracks=drawing.tracks, now=drawing.now,
        )
    )  # fmt: skip
    return Picture(png, hashlib.blake2b(png, digest_size=12).hexdigest())


def height_of(graph: Graph, width: int, height: int) -> int:
    """Return how high a whole picture of this graph becomes: a long legend makes it higher."""
    return layout(graph, {}, start=0, end=3600, step=3600, width=width, height=height).height
