"""Everything that a handler needs, on one page: the interface and what its outlet promises.

- `open` succeeds before the first `write`; when it or `write` raises, it is tried again with growing pauses (full
  jitter, at most 60 s; `DeliveryError` may ask for longer), with the same blocks, for as long as the journal reaches
  back. Nothing is skipped meanwhile. There is no second `open` after a failed `write`: a handler connects anew itself.
- `open` and `write` are cancelled after `timeout`, which counts as raised: let go of a connection left half-written.
- `write` is never called while another call of the same handler runs, nor after `close`: a handler needs no locks.
- A `write` that returns has delivered everything but what it lists as refused; the cursor moves on behind it.
  A refused item does not hold up the rest: it is counted, and logged once per reason.
- An exception that looks like a defect and not like an outage (`ValueError`, `TypeError`, …) three times in a row for
  the same blocks makes the outlet write them in ever smaller parts: what still raises alone is refused, provided that
  something else got through.
- Delivery is at least once: after a crash the last blocks are written again. Make repeats harmless (a point of the
  same series and time overwrites itself), or keep the cursor in the same transaction (`Store`), which is exactly once.
- The rows of one layout come in the order of the journal, those of several commits in one block. A `write` without
  blocks, which only a `Store` gets, moves its cursor.
- A class that names tables in `records` gets those records behind the blocks, whole and in the order of the journal:
  its `write` takes a Sequence[Entry]. One that raises alone, three times, is refused as a whole.
- A slow handler slows no collector and no other handler; when the journal can hold no more for it, its cursor is moved
  forward and what it missed is counted as `lost`.
- A handler shares the event loop with all else: work above 5 ms goes in slices (`await asyncio.sleep(0)`) or a thread.
- At the end of the process what is there is delivered if that works at once; the journal keeps the rest.
- `close` has `close_timeout` seconds, then it is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from monitor.batch import Block, Cursor, Entry, Floats, Kind, Layout, Records, Series, Source
from monitor.consolidate import CF, Cells
from monitor.options import Bytes, Seconds, option, options_of, set_options
from monitor.retention import Retention
from monitor.setup import Setup, SetupAwayError, SetupError

__all__ = [
    "CF",
    "Block",
    "Bytes",
    "Cells",
    "Cursor",
    "DeliveryError",
    "Entry",
    "Floats",
    "Handler",
    "Heard",
    "History",
    "Kind",
    "Layout",
    "Naming",
    "Part",
    "Points",
    "Records",
    "Refused",
    "Retention",
    "Seconds",
    "Series",
    "Setup",
    "SetupAwayError",
    "SetupError",
    "Source",
    "SourceInfo",
    "Store",
    "StoreDownError",
    "StoreError",
    "StoreUnusableError",
    "option",
    "options_of",
]


class Refused(NamedTuple):
    """An item that the target will never take, in the target's own words (first 200 characters)."""

    item: str
    reason: str


class DeliveryError(Exception):
    """The target cannot take anything now; the text is what the operator reads, and holds no secret.

    `retry_after` seconds at least pass before the next try (the outlet waits 5 minutes at most).
    """

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class StoreError(Exception):
    """The store cannot be used; the text is what the operator reads, and holds no password."""


class StoreDownError(StoreError):
    """The store does not answer, or not yet."""


class StoreUnusableError(StoreError):
    """The store is not as it must be, and waiting does not help."""


class Naming(Protocol):
    """Names of sources as other systems know them, from the configuration."""

    def path(self, source: Source) -> str:
        """Return Diamond's path of the source, without the metric's name: `servers.web1.nginx`."""

    def hostname(self, host: str) -> str:
        """Return the name that people know the host by."""


class Part(NamedTuple):
    """A handler to be made: its name, under which its cursor is kept, its class and its options."""

    name: str
    cls: type[Handler]
    options: Mapping[str, Any]


class Handler:
    """Delivers blocks to one outside system. Annotated fields are options."""

    batch: int = option(5000, "deliver at most about this many values at once", min=1, max=1_000_000)
    flush_interval: Seconds = option(Seconds(1), "wait at most this long for more to deliver together", min=0, max=600)
    timeout: Seconds = option(Seconds(15), "give up a delivery after this long, and try again", min=0.1, max=600)
    replay: bool = option(False, "a new handler starts with the oldest of the journal instead of now")
    close_timeout: ClassVar[float] = 3.0
    setups: ClassVar[Mapping[str, type[Setup]]] = {}
    """What `monitor setup WORD` brings to the target beforehand, by word."""
    records: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the tables whose records it gets beside the blocks."""

    def __init__(self, name: str, naming: Naming, **options: Any) -> None:
        self.name = name
        self.naming = naming
        set_options(self, options)

    @classmethod
    def parts(cls, name: str, options: Mapping[str, Any]) -> Sequence[Part]:
        """Return what its section stands for: usually one, but of several targets each needs a cursor of its own."""
        return [Part(name, cls, options)]

    async def open(self) -> None:
        """Connect; raise to be tried again."""

    async def write(self, blocks: Sequence[Block], cursor: Cursor) -> Sequence[Refused]:
        """Deliver the blocks, which end at `cursor`; raise to have all of them delivered again."""
        raise NotImplementedError(f"{type(self).__name__} has no write()")

    async def close(self) -> None:
        """Let go of what `open` took."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the store knows of a source: times in epoch seconds, the kind of every series that it ever reported."""

    source: Source
    interval: float
    first_seen: float
    last_seen: float
    kinds: Mapping[str, Kind]
    meta: Mapping[str, str]


class Heard(NamedTuple):
    """What an agent last said of a plugin of a host beside numbers; `meta` and `warnings` are JSON objects."""

    host: str
    plugin: str
    last: float
    meta: str
    warnings: str


class Points(NamedTuple):
    """The collected rows of one series, sorted by time: values[i] covers the seconds since[i]..time[i]."""

    time: Floats
    since: Floats
    value: Floats


@dataclass(slots=True)
class History:
    """What was made of closed periods since the start of the process."""

    packed_chunks: int = 0
    packed_bytes: int = 0
    cells_chunks: int = 0
    cells_bytes: int = 0
    rebuilt: int = 0
    """Days of sources made again because rows came late."""
    seconds: float = 0.0
    """Time spent, rests not counted."""


NO_SIZES: Mapping[tuple[str, str], int] = MappingProxyType({})


class Store(Handler):
    """The handler that can be read back. There is one, and it keeps its cursor in its own transactions."""

    retention = Retention()
    """What it keeps of which sources for how long."""
    history = History()
    sizes = NO_SIZES
    """Bytes on the disk, by class and by tier: `rows`, `packed` or a step such as `5m`."""

    def __init__(self, name: str, naming: Naming, **options: Any) -> None:
        super().__init__(name, naming, **options)
        self.paused: Callable[[], bool] = lambda: False
        """Tells whether what it does by itself (packing, consolidating, dropping) has to wait."""

    def keep(self, retention: Retention) -> None:
        """Keep this from now on; before `open` or at any time after it."""
        self.retention = retention

    def keep_events(self, keep: Mapping[str, float], window: float) -> None:
        """Keep events this many seconds from now on, by table and under '' all others; know a batch for `window`."""

    async def cursor(self) -> Cursor | None:
        """Return the cursor of the last block that is stored; None when nothing ever was."""
        raise NotImplementedError

    async def sources(
        self, *, host: str | None = None, collector: str | None = None, instance: str | None = None
    ) -> list[SourceInfo]:
        """Return the known sources in order, narrowed by what is given."""
        raise NotImplementedError

    def seen(self, source: Source) -> Mapping[str, float]:
        """Return when each series of a source was last reported; {} where that is not known."""
        return {}

    async def read(self, source: Source, names: Sequence[str], start: float, end: float) -> dict[str, Points]:
        """Return the rows that touch start..end: those with time > start and since < end. A name unknown is absent."""
        raise NotImplementedError

    def built(self, source: Source, step: int) -> float:
        """Return the time up to which the cells of a tier are stored, as far as they are kept; what is newer lies in
        finer tiers or in the rows. 0 where there are none."""
        return 0.0

    def begun(self, source: Source, step: int) -> float:
        """Return since when there is anything of a tier, of step 0 of the rows; infinity where there is nothing."""
        return 0.0

    async def read_cells(
        self, source: Source, names: Sequence[str], step: int, start: float, end: float, cf: CF
    ) -> dict[str, Cells]:
        """Return the cells of a tier with a part in start..end, good for one function. A name unknown is absent."""
        return {}

    async def latest(self, sources: Sequence[Source]) -> dict[Series, tuple[float, float]]:
        """Return (time, value) of the newest row of every series of these sources."""
        raise NotImplementedError

    async def keep_heard(self, rows: Sequence[Heard]) -> None:
        """Write down what agents said; a row takes the place of the last one of its host and plugin."""

    async def heard(self, after: tuple[str, str], limit: int) -> list[Heard]:
        """Return what was written down, so many rows with (host, plugin) after this one."""
        return []

    async def forget_heard(self, before: float) -> None:
        """Let go of what was last heard of before a time."""

    async def healthy(self) -> str | None:
        """Return None when rows can be stored and read, otherwise what is wrong."""
        raise NotImplementedError

    async def check_schema(self) -> str:
        """Migrate to the newest schema; return what was done in one line."""
        raise NotImplementedError
