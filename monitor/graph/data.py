"""What expressions are evaluated over: the values of series between a graph's two ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.batch import Floats, Source

ANY = "*"
"""In a name it stands for the graph's device."""


class Read(NamedTuple):
    """A series as an expression wants it read.

    `source` is the graph's own where None. A name written with a kind (`key.derive`) means the series NAME.KIND where
    the source has one of that name, else NAME. `step` is the least step wanted, `reduce` the function that makes it
    from finer values where it is not `cf`. `start` and `end` are time expressions around the graph's own ends, which
    they are where empty.
    """

    name: str
    cf: str = "AVERAGE"
    kind: str = ""
    source: Source | None = None
    step: int = 0
    start: str = ""
    end: str = ""
    reduce: str = ""

    @property
    def plain(self) -> bool:
        """Whether this is the graph's own series, averaged, at the graph's step."""
        return self == Read(self.name)


@dataclass(frozen=True, slots=True)
class Track:
    """Values in even steps: values[i] is the bucket that ends at start + (i + 1) * step; NaN is unknown."""

    start: int
    step: int
    values: Floats

    @property
    def end(self) -> int:
        return self.start + self.step * len(self.values)


class Data(Mapping[str, Floats]):
    """The values of a graph's series by name, all of its own start, end and step; `tracks` holds those read otherwise.

    With a device, `*` in a name means it.
    """

    def __init__(
        self,
        series: Mapping[str, Floats],
        *,
        start: int,
        end: int,
        step: int,
        now: int | None = None,
        tz: str = "UTC",
        tracks: Mapping[Read, Track] | None = None,
        device: str = "",
        made: dict[tuple[Hashable, str], Track] | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.step = step
        self.now = end if now is None else now
        self.tz = tz
        self.device = device
        self._series = series
        self._tracks = {} if tracks is None else tracks
        self._made: dict[tuple[Hashable, str], Track] = {} if made is None else made

    @property
    def count(self) -> int:
        """How many buckets there are."""
        return -(-(self.end - self.start) // self.step)

    def of_device(self, device: str) -> Data:
        """Return the same data, in which `*` in a name means the device."""
        return Data(
            self._series, start=self.start, end=self.end, step=self.step, now=self.now, tz=self.tz,
            tracks=self._tracks, device=device, made=self._made,
        )  # fmt: skip

    def __getitem__(self, name: str) -> Floats:
        return self._series[self._named(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def track(self, read: Read) -> Track:
        """Return the values of a read; all unknown where there are none."""
        read = read._replace(name=self._named(read.name))
        found = self._tracks.get(read)
        if found is not None:
            return found
        if read.plain and read.name in self._series:
            return Track(self.start, self.step, self._series[read.name])
        return Track(self.start, self.step, np.full(self.count, np.nan))

    def once(self, key: Hashable, make: Callable[[Data], Track]) -> Track:
        """Return what is made of this data and device under the key; it is made the first time."""
        place = (key, self.device)
        if place not in self._made:
            self._made[place] = make(self)
        return self._made[place]

    def _named(self, name: str) -> str:
        return name.replace(ANY, self.device) if self.device else name
