"""The status of NGINX Plus, JSON: what is kept of it by Diamond's names, and how it is drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from monitor.collector import CollectError, Counter, Gauge, Graph, Line, Metric

CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "total")
COLOURS = ("999999", "33a02c", "1f78b4", "ff7f00", "e31a1c", "000000")


def responses(prefix: str) -> tuple[Counter, ...]:
    """Return the metrics of responses by status below a prefix."""
    return tuple(
        Counter("responses/s", f"with status {code}" if code != "total" else "all", name=f"{prefix}.responses.{code}")
        for code in CODES
    )


def codes(name: str, title: str, metrics: tuple[Counter, ...]) -> Graph:
    lines = (Line(metric, code, colour) for metric, code, colour in zip(metrics, CODES, COLOURS, strict=True))
    return Graph(name, title, *lines, unit="responses/s")


class Plus:
    """The metrics of NGINX Plus, for a collector."""

    plus_active = Gauge("connections", "open client connections that are busy", name="conn.active")
    plus_idle = Gauge("connections", "idle client connections", name="conn.idle")
    plus_accepted = Counter("connections/s", "accepted client connections", name="conn.accepted")
    plus_dropped = Counter("connections/s", "dropped client connections", name="conn.dropped")
    plus_current = Gauge("requests", "being answered", name="req.current")
    plus_total = Counter("requests/s", "client requests", name="req.total")
    handshakes = Counter("handshakes/s", "TLS handshakes that went well", name="ssl.handshakes")
    failed = Counter("handshakes/s", "TLS handshakes that failed", name="ssl.handshakes_failed")
    reuses = Counter("handshakes/s", "TLS handshakes that took up a session", name="ssl.session_reuses")

    processing = Gauge("requests", "of a zone, being answered", name="servers.*.processing")
    zone_requests = Counter("requests/s", "of a zone", name="servers.*.requests")
    discarded = Counter("requests/s", "of a zone, ended without a response", name="servers.*.discarded")
    received = Counter("bytes/s", "of a zone, from clients", name="servers.*.received")
    sent = Counter("bytes/s", "of a zone, to clients", name="servers.*.sent")
    zone_1xx, zone_2xx, zone_3xx, zone_4xx, zone_5xx, zone_total = zone = responses("servers.*")

    keepalive = Gauge("connections", "idle connections that are kept to an upstream", name="upstreams.*.keepalive")
    peer_active = Gauge("connections", "to a server of an upstream", name="upstreams.*.active")
    peer_most = Gauge("connections", "how many a server may have", name="upstreams.*.max_conns")
    peer_requests = Counter("requests/s", "to a server", name="upstreams.*.requests")
    peer_received = Counter("bytes/s", "from a server", name="upstreams.*.received")
    peer_sent = Counter("bytes/s", "to a server", name="upstreams.*.sent")
    peer_fails = Counter("failures/s", "attempts that a server failed", name="upstreams.*.fails")
    peer_unavailable = Counter("failures/s", "times that a server was given up", name="upstreams.*.unavail")
    peer_down = Counter("ms/s", "time that a server was given up", name="upstreams.*.downtime")
    peer_1xx, peer_2xx, peer_3xx, peer_4xx, peer_5xx, peer_total = peer = responses("upstreams.*")

    plus_graphs = (
        Graph(
            "plus_connections",
            "Connections (NGINX Plus)",
            *(Line(plus_active, "active", "1f78b4"), Line(plus_idle, "idle", "a6cee3")),
            unit="connections",
        ),
        Graph(
            "plus_accepted",
            "Accepted and dropped connections (NGINX Plus)",
            *(Line(plus_accepted, "accepted", "1f78b4"), Line(plus_dropped, "dropped", "e31a1c")),
            unit="connections/s",
        ),
        Graph("plus_requests", "Requests (NGINX Plus)", Line(plus_total, "requests", "1f78b4"), unit="requests/s"),
        Graph("plus_current", "Requests now (NGINX Plus)", Line(plus_current, "requests", "1f78b4"), unit="requests"),
        Graph(
            "tls",
            "TLS handshakes",
            *(Line(handshakes, "well", "33a02c"), Line(reuses, "taken up", "1f78b4"), Line(failed, "failed", "e31a1c")),
            unit="handshakes/s",
        ),
        Graph(
            "zone_requests",
            "Requests of zone",
            *(Line(zone_requests, "requests", "1f78b4"), Line(discarded, "discarded", "e31a1c")),
            unit="requests/s",
        ),
        Graph("zone_processing", "Requests now of zone", Line(processing, "requests", "1f78b4"), unit="requests"),
        Graph(
            "zone_traffic",
            "Traffic of zone",
            *(Line(received, "received", "33a02c"), Line(sent, "sent", "1f78b4")),
            unit="bytes/s",
        ),
        codes("zone_responses", "Responses of zone", zone),
        Graph("keepalive", "Kept connections to upstream", Line(keepalive, "idle", "a6cee3"), unit="connections"),
        Graph(
            "peer_connections",
            "Connections to server",
            *(Line(peer_active, "active", "1f78b4"), Line(peer_most, "limit", "e31a1c")),
            unit="connections",
        ),
        Graph("peer_requests", "Requests to server", Line(peer_requests, "requests", "1f78b4"), unit="requests/s"),
        Graph(
            "peer_traffic",
            "Traffic of server",
            *(Line(peer_received, "received", "33a02c"), Line(peer_sent, "sent", "1f78b4")),
            unit="bytes/s",
        ),
        Graph(
            "peer_failures",
            "Failures of server",
            *(Line(peer_fails, "failed", "ff7f00"), Line(peer_unavailable, "given up", "e31a1c")),
            unit="failures/s",
        ),
        Graph("peer_down", "Time that server was given up", Line(peer_down, "down", "e31a1c"), unit="ms/s"),
        codes("peer_responses", "Responses of server", peer),
    )


def word(name: str) -> str:
    """Return Diamond's word for a zone, an upstream or a server."""
    return name.replace(".", "_").replace(":", "-")


def parse(page: str) -> Iterator[tuple[Metric, Any]]:
    """Yield what the status page tells; parts that it does not have are left out, what is no number is unknown."""
    try:
        status = json.loads(page)
    except (ValueError, RecursionError):
        raise CollectError(f"expected the JSON of NGINX Plus, got {page[:80]!r}") from None
    if not isinstance(status, dict) or not isinstance(status.get("connections"), dict):
        raise CollectError(f"expected 'connections' in the JSON of NGINX Plus, got {page[:80]!r}")
    for part, prefix in (("connections", "conn"), ("requests", "req"), ("ssl", "ssl")):
        yield from _found(_part(status, part), f"{prefix}.", "")
    for name, zone in _part(status, "server_zones").items():
        yield from _found(zone, "servers.*.", word(name))
    for name, upstream in _part(status, "upstreams").items():
        yield from _found(upstream, "upstreams.*.", word(name))
        peers = upstream.get("peers") if isinstance(upstream, dict) else None
        for peer in peers if isinstance(peers, list) else ():
            if isinstance(peer, dict) and isinstance(peer.get("server"), str):
                yield from _found(peer, "upstreams.*.", f"{word(name)}.peers.{word(peer['server'])}")


def _part(status: dict[str, Any], name: str) -> dict[str, Any]:
    part = status.get(name)
    return part if isinstance(part, dict) else {}


METRICS = {metric.name: metric for metric in vars(Plus).values() if isinstance(metric, Metric)}


def _found(part: Any, prefix: str, device: str) -> Iterator[tuple[Metric, Any]]:
    """Yield the numbers of one part that are kept, those of its responses too."""
    if not isinstance(part, dict):
        return
    for name, value in [*part.items(), *((f"responses.{code}", n) for code, n in _part(part, "responses").items())]:
        metric = METRICS.get(prefix + name)
        if metric is not None:
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            yield (metric.of(device) if device else metric), number
