"""The numbers of the receivers of Graphite's and InfluxDB's lines and of WCS's events as OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.rels_intake import RelsStats
from monitor.receivers.rels_series import SeriesStats


class InfluxCounts(Protocol):
    requests: int
    lines: int
    batches: int

    @property
    def bad(self) -> Mapping[str, int]: ...
    @property
    def refused(self) -> Mapping[str, int]: ...


def graphite(intake: GraphiteIntake) -> Iterator[Metric]:
    """Yield what was sent as to a carbon-cache."""
    stats = intake.stats
    yield CounterMetricFamily("monitor_graphite_lines", "Lines and points, bad ones included.", value=stats.lines)
    yield CounterMetricFamily("monitor_graphite_bytes", "Bytes of these.", value=stats.bytes)
    yield CounterMetricFamily("monitor_graphite_batches", "Batches made of them.", value=stats.batches)
    yield CounterMetricFamily("monitor_graphite_busy", "Times that the journal could not take them.", value=stats.busy)
    yield GaugeMetricFamily("monitor_graphite_waiting_bytes", "What waits for the journal.", value=intake.held)
    yield GaugeMetricFamily("monitor_graphite_connections", "Connections of clients.", value=stats.connections)
    yield CounterMetricFamily("monitor_graphite_opened_connections", "Connections so far.", value=stats.opened)
    yield by_reason("monitor_graphite_bad_lines", "Lines and points refused.", stats.bad)
    yield by_reason("monitor_graphite_refused_batches", "Batches refused.", stats.refused)
    yield by_reason(
        "monitor_graphite_lost_bytes", "Bytes dropped: what came over UDP when too much waited.", stats.lost
    )
    yield by_reason("monitor_graphite_turned_away", "Connections refused or ended by us.", stats.turned_away)


def influx(stats: InfluxCounts) -> Iterator[Metric]:
    """Yield what was written as to InfluxDB."""
    yield CounterMetricFamily("monitor_influx_requests", "Writes received.", value=stats.requests)
    yield CounterMetricFamily("monitor_influx_lines", "Lines of these.", value=stats.lines)
    yield CounterMetricFamily("monitor_influx_batches", "Batches made of them.", value=stats.batches)
    yield by_reason("monitor_influx_bad_lines", "Lines refused.", stats.bad)
    yield by_reason("monitor_influx_refused_batches", "Batches refused.", stats.refused)


def rels(stats: RelsStats) -> Iterator[Metric]:
    """Yield what was written as to ClickHouse."""
    batches = CounterMetricFamily("monitor_rels_batches", "INSERTs that the journal has.", labels=("table",))
    rows = CounterMetricFamily("monitor_rels_rows", "Rows of these.", labels=("table",))
    for family, counts in ((batches, stats.batches), (rows, stats.rows)):
        for table, count in list(counts.items()):
            family.add_metric((table,), count)
        yield family
    yield CounterMetricFamily("monitor_rels_requests", "Requests received.", value=stats.requests)
    yield CounterMetricFamily("monitor_rels_bytes", "Bytes of rows, as they are kept.", value=stats.bytes)
    yield CounterMetricFamily("monitor_rels_repeats", "Batches sent again, and kept once.", value=stats.repeats)
    yield CounterMetricFamily("monitor_rels_reads", "Readings answered.", value=stats.reads)
    yield CounterMetricFamily("monitor_rels_busy", "Requests refused: no more could be taken.", value=stats.busy)
    yield GaugeMetricFamily("monitor_rels_servers", "Servers that sent events.", value=len(stats.heard))
    yield GaugeMetricFamily("monitor_rels_connections", "Connections of clients.", value=stats.connections)
    yield CounterMetricFamily("monitor_rels_opened_connections", "Connections so far.", value=stats.opened)
    yield by_reason("monitor_rels_refused", "Requests refused.", stats.refused)
    yield by_reason("monitor_rels_turned_away", "Connections refused by us.", stats.turned_away)


def rels_series(stats: SeriesStats) -> Iterator[Metric]:
    """Yield what was made of these events."""
    yield CounterMetricFamily("monitor_rels_counted_rows", "Rows counted for series.", value=stats.rows)
    yield CounterMetricFamily("monitor_rels_series_batches", "Batches of these series.", value=stats.batches)
    yield by_reason("monitor_rels_uncounted_rows", "Rows that are stored, but in no series.", stats.uncounted)
    yield by_reason("monitor_rels_refused_series", "Batches of series refused.", stats.refused)


def by_reason(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, f"{text.removesuffix('.')}, by the reason.", labels=("reason",))
    for reason, count in list(counts.items()):
        family.add_metric((reason,), count)
    return family
