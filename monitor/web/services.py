"""What the pages and the API need of the other parts."""

from __future__ import annotations

import os
import time
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from monitor.batch import Batch, Row, Source
from monitor.config import Config
from monitor.handler import Store
from monitor.inventory import Inventory
from monitor.journal import Journal
from monitor.lag import Lag
from monitor.liveness import Liveness
from monitor.outlet import Outlet
from monitor.pause import Pause
from monitor.pipeline import PipelineStats
from monitor.query import Query
from monitor.rates import Rates
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.receivers.rels_intake import RelsIntake
from monitor.redis_meta import RedisMeta
from monitor.runner import Job, JobKey
from monitor.web.units import Units

LOCAL_TIME = Path("/etc/localtime")


class Accepts(Protocol):
    """What takes batches: the pipeline."""

    @property
    def stats(self) -> PipelineStats: ...
    @property
    def rates(self) -> Rates: ...
    async def accept(self, batches: Sequence[Batch | Row]) -> list[str | None]: ...


class Runs(Protocol):
    """What knows the state of the jobs: the runner."""

    @property
    def jobs(self) -> Mapping[JobKey, Job]: ...


class Schedules(Protocol):
    @property
    def placed(self) -> bool: ...


class Parts(Protocol):
    """The appliance, which may put another part or configuration in a part's place at any time."""

    @property
    def config(self) -> Config: ...
    @property
    def runner(self) -> Runs: ...
    @property
    def scheduler(self) -> Schedules: ...
    @property
    def pipeline(self) -> Accepts: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def outlets(self) -> Sequence[Outlet]: ...
    @property
    def store(self) -> Store: ...
    @property
    def query(self) -> Query: ...
    @property
    def lag(self) -> Lag: ...
    @property
    def liveness(self) -> Liveness: ...
    @property
    def pause(self) -> Pause: ...
    @property
    def redis_meta(self) -> RedisMeta | None: ...
    @property
    def kurado(self) -> KuradoIntake: ...
    @property
    def graphite(self) -> GraphiteIntake: ...
    @property
    def rels(self) -> RelsIntake: ...


@dataclass
class Services:
    """The parts as they are now, and what the web itself measures and remembers."""

    parts: Parts
    clock: Callable[[], float] = time.time
    patience: float = 20.0
    """Seconds that a request waits for the store."""

    def __post_init__(self) -> None:
        self._units: Units | None = None

    @classmethod
    def of(cls, parts: Parts) -> Services:
        return cls(parts)

    @property
    def config(self) -> Config:
        return self.parts.config

    @property
    def inventory(self) -> Inventory:
        return self.parts.config.inventory

    @property
    def store(self) -> Store:
        return self.parts.store

    @property
    def timezone(self) -> str:
        return self.config.server.timezone or own_timezone()

    def unit(self, source: Source, name: str) -> str:
        """Return the unit that the source's collector declares for a name; '' when it declares none."""
        if self._units is None or self._units.registry is not self.config.registry:
            self._units = Units(self.config.registry)
        return self._units.unit(source.collector, name)


def own_timezone() -> str:
    """Return the name of this machine's time zone; UTC where it has none that is known."""
    names = [os.environ.get("TZ", "").lstrip(":")]
    with suppress(OSError):
        names.append(str(LOCAL_TIME.readlink()).rpartition("zoneinfo/")[2])
    for name in filter(None, names):
        with suppress(LookupError, ValueError, OSError):
            return zoneinfo.ZoneInfo(name).key
    return "UTC"
