"""The sources in order, by host: sorted anew only where something changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.batch import Source


class Order:
    """The order of sources; who goes through them may wait between two while others come and go."""

    def __init__(self) -> None:
        self._by_host: dict[str, set[Source]] = {}
        self._hosts: Sequence[str] | None = ()
        self._sorted: dict[str, Sequence[Source]] = {}

    def add(self, source: Source) -> None:
        if source.host not in self._by_host:
            self._by_host[source.host] = set()
            self._hosts = None
        self._by_host[source.host].add(source)
        self._sorted.pop(source.host, None)

    def remove(self, source: Source) -> None:
        of_host = self._by_host[source.host]
        of_host.remove(source)
        self._sorted.pop(source.host, None)
        if not of_host:
            del self._by_host[source.host]
            self._hosts = None

    def of_host(self, host: str) -> Sequence[Source]:
        found = self._sorted.get(host)
        if found is None:
            found = tuple(sorted(self._by_host.get(host, ())))
            if found:
                self._sorted[host] = found
        return found

    def __iter__(self) -> Iterator[Source]:
        if self._hosts is None:
            self._hosts = tuple(sorted(self._by_host))
        for host in self._hosts:
            yield from self.of_host(host)
