"""The appliance's own numbers as OpenMetrics, read from the parts' `stats` when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from platform import python_version
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from monitor import __version__, received
from monitor.handler import Store
from monitor.journal import JournalStats
from monitor.lag import Lag
from monitor.liveness import Liveness
from monitor.outlet import Outlet
from monitor.pause import Pause
from monitor.pipeline import PipelineStats
from monitor.query import Stats as QueryStats
from monitor.rates import RateStats
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.receivers.rels_intake import RelsIntake
from monitor.redis_meta import RedisMeta
from monitor.runner import Job, JobKey

Labels = tuple[str, ...]


class Has(Protocol):
    """A part that has numbers."""

    @property
    def stats(self) -> Any: ...


class HasJobs(Protocol):
    @property
    def jobs(self) -> Mapping[JobKey, Job]: ...


class Parts(Protocol):
    """What the numbers are read from."""

    @property
    def runner(self) -> HasJobs: ...
    @property
    def pipeline(self) -> Any: ...
    @property
    def journal(self) -> Has: ...
    @property
    def query(self) -> Has: ...
    @property
    def outlets(self) -> Sequence[Outlet]: ...
    @property
    def store(self) -> Store: ...
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


class PushCounts(Protocol):
    requests: int
    accepted: int
    rejected: int


class DrawCounts(Protocol):
    drawn: int
    kept: int
    refused: int


@dataclass(frozen=True, slots=True)
class Web:
    """What the web counts itself."""

    push: PushCounts
    influx: received.InfluxCounts
    draw: DrawCounts
    answers: Mapping[tuple[str, int], int]


class Metrics:
    """A registry whose numbers are read at the time of the scrape, which may be in a thread."""

    def __init__(self, parts: Parts, web: Web) -> None:
        self.parts = parts
        self.web = web
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def describe(self) -> Iterable[Metric]:
        """Describe nothing beforehand: the registry would collect for it."""
        return ()

    def collect(self) -> Iterator[Metric]:
        build = InfoMetricFamily("monitor_build", "Version of this program and of Python.")
        build.add_metric([], {"version": __version__, "python": python_version()})
        yield build
        yield from self._jobs()
        yield from self._outlets()
        yield from self._way()
        yield from self._history()
        yield from self._heard()
        yield from self._kurado()
        yield from received.graphite(self.parts.graphite)
        yield from received.rels(self.parts.rels.stats)
        if self.parts.rels.series is not None:
            yield from received.rels_series(self.parts.rels.series.stats)
        yield from received.influx(self.web.influx)
        yield from self._web()

    def _jobs(self) -> Iterator[Metric]:
        names = ("host", "collector", "section")
        up = GaugeMetricFamily("monitor_collector_up", "Whether the last collection succeeded.", labels=names)
        families = {
            "runs": counter("monitor_collector_runs", "Collections that were started.", names),
            "failures": counter("monitor_collector_failures", "Collections that failed.", names),
            "skipped": counter("monitor_collector_skipped", "Ticks skipped because the one before still ran.", names),
            "refused": counter("monitor_collector_refused", "Batches of a collection that were refused.", names),
        }
        duration = gauge("monitor_collector_duration_seconds", "How long the last collection took.", names)
        for job in list(self.parts.runner.jobs.values()):
            labels = tuple(job.key)
            if job.up is not None:
                up.add_metric(labels, float(job.up))
            for field, family in families.items():
                family.add_metric(labels, getattr(job, field))
            duration.add_metric(labels, job.duration)
        yield from (up, *families.values(), duration)

    def _outlets(self) -> Iterator[Metric]:
        names = ("handler",)
        families = {
            "batches": counter("monitor_outlet_delivered_batches", "Batches that the target has taken.", names),
            "values": counter("monitor_outlet_delivered_values", "Values that the target has taken.", names),
            "writes": counter("monitor_outlet_writes", "Deliveries that were tried.", names),
            "refused": counter("monitor_outlet_refused", "Items that the target will never take.", names),
            "retries": counter("monitor_outlet_retries", "Deliveries that failed and were tried again.", names),
            "lost": counter("monitor_outlet_lost_batches", "Batches given up because the journal was full.", names),
        }
        seconds = gauge("monitor_outlet_lag_seconds", "Age of the oldest batch that is not delivered.", names)
        batches = gauge("monitor_outlet_lag_batches", "Batches that are not delivered yet.", names)
        failing = gauge("monitor_outlet_failing", "Whether deliveries fail now.", names)
        for outlet in list(self.parts.outlets):
            labels = (outlet.name,)
            for field, family in families.items():
                family.add_metric(labels, getattr(outlet.stats, field))
            seconds.add_metric(labels, outlet.lag_seconds)
            batches.add_metric(labels, outlet.lag_batches)
            failing.add_metric(labels, float(outlet.stats.failing_since is not None))
        yield from (*families.values(), seconds, batches, failing)

    def _way(self) -> Iterator[Metric]:
        pipeline: PipelineStats = self.parts.pipeline.stats
        rates: RateStats = self.parts.pipeline.rates.stats
        journal: JournalStats = self.parts.journal.stats
        query: QueryStats = self.parts.query.stats
        yield counter("monitor_pipeline_batches", "Batches accepted.", value=pipeline.batches)
        yield counter("monitor_pipeline_values", "Values accepted.", value=pipeline.values)
        yield counter("monitor_pipeline_busy", "Times that batches had to wait for the journal.", value=pipeline.busy)
        refused = counter("monitor_pipeline_refused_batches", "Batches refused, by the reason.", ("reason",))
        for reason, count in list(pipeline.refused.items()):
            refused.add_metric((reason,), count)
        yield refused
        yield counter("monitor_rates_late_values", "Values refused as older than the newest.", value=rates.late)
        yield counter("monitor_rates_repeated_batches", "Batches that were known already.", value=rates.repeat)
        yield counter("monitor_rates_conflicts", "Values that differ from the first report.", value=rates.conflict)
        yield gauge("monitor_rates_series", "Series whose last report is remembered.", value=rates.series)
        yield counter("monitor_journal_batches", "Batches committed.", value=journal.batches)
        yield counter("monitor_journal_values", "Values committed.", value=journal.values)
        yield counter("monitor_journal_commits", "Commits.", value=journal.commits)
        yield counter("monitor_journal_commit_seconds", "Time spent in commits.", value=journal.commit_seconds)
        yield counter("monitor_journal_failed_commits", "Commits that failed.", value=journal.failed)
        yield counter("monitor_journal_damaged", "Parts that could not be read.", value=journal.damaged)
        yield counter("monitor_journal_dropped_segments", "Segments given up at the bound.", value=journal.dropped)
        yield gauge("monitor_journal_bytes", "Size on the disk.", value=journal.bytes)
        yield counter("monitor_query_requests", "Queries answered.", value=query.queries)
        yield counter("monitor_query_refused", "Queries refused.", value=query.refused)
        yield counter("monitor_query_series", "Series in answers.", value=query.series)
        yield counter("monitor_query_seconds", "Time spent in queries.", value=query.seconds)
        lag = gauge("monitor_loop_lag_seconds", "How late the event loop ran in the last minute.", ("percentile",))
        for quantile in (0.5, 0.99, 1.0):
            lag.add_metric((f"{100 * quantile:g}",), self.parts.lag.quantile(quantile))
        yield lag
        yield gauge("monitor_loop_lag_max_seconds", "The worst lag since the start.", value=self.parts.lag.worst)

    def _history(self) -> Iterator[Metric]:
        store = self.parts.store
        sizes = gauge("monitor_store_bytes", "Disk space of rows, packed rows and tiers.", ("retention_class", "tier"))
        for labels, size in list(store.sizes.items()):
            sizes.add_metric(labels, size)
        yield sizes
        done = store.history
        yield counter("monitor_history_packed_chunks", "Days of sources packed.", value=done.packed_chunks)
        yield counter("monitor_history_packed_bytes", "Bytes that they were packed to.", value=done.packed_bytes)
        yield counter("monitor_history_cells_chunks", "Chunks of tiers' cells made.", value=done.cells_chunks)
        yield counter("monitor_history_cells_bytes", "Bytes of these.", value=done.cells_bytes)
        yield counter("monitor_history_rebuilt", "Days of sources made again for late rows.", value=done.rebuilt)
        yield counter("monitor_history_seconds", "Time spent on it.", value=done.seconds)

    def _heard(self) -> Iterator[Metric]:
        live, pause = self.parts.liveness, self.parts.pause
        facts = live.facts
        yield counter("monitor_liveness_reports", "Reports of plugins that agents pushed.", value=live.stats.reports)
        yield counter("monitor_liveness_refused", "Reports and texts without room or fit name.", value=facts.refused)
        yield counter("monitor_liveness_cut", "Texts that were shortened.", value=facts.cut)
        yield counter("monitor_liveness_written", "Plugins of hosts written to the store.", value=live.stats.written)
        yield counter("monitor_liveness_failed_writes", "Writes that failed.", value=live.stats.failed)
        yield gauge("monitor_liveness_waiting", "Plugins of hosts that are not written yet.", value=live.waiting)
        yield gauge("monitor_liveness_hosts", "Hosts that agents pushed for.", value=len(facts.hosts))
        yield gauge("monitor_liveness_characters", "Size of what is remembered of them.", value=facts.characters)
        if (copy := self.parts.redis_meta) is not None:
            yield counter("monitor_redis_meta_written", "Reports copied into Redis.", value=copy.stats.written)
            yield counter("monitor_redis_meta_failed", "Writes to Redis that failed.", value=copy.stats.failed)
            yield counter("monitor_redis_meta_refused", "Reports not copied whole.", value=copy.stats.refused)
            yield counter("monitor_redis_meta_dropped", "Reports given up: too many waited.", value=copy.stats.dropped)
            yield gauge("monitor_redis_meta_waiting", "Reports that wait.", value=copy.waiting)
        yield gauge("monitor_pause_seconds_left", "How long storing still waits for maintenance.", value=pause.left())
        yield counter("monitor_pauses", "Maintenance pauses.", value=pause.count)

    def _kurado(self) -> Iterator[Metric]:
        stats = self.parts.kurado.stats
        yield counter("monitor_kurado_pushes", "Payloads of Kurado's agents taken.", value=stats.pushes)
        yield counter("monitor_kurado_bytes", "Bytes of these.", value=stats.bytes)
        yield counter("monitor_kurado_lines", "Lines of these.", value=stats.lines)
        yield counter("monitor_kurado_batches", "Batches made of them.", value=stats.batches)
        yield counter("monitor_kurado_busy", "Payloads refused: the journal cannot take more.", value=stats.busy)
        yield gauge("monitor_kurado_connections", "Connections of agents.", value=stats.connections)
        yield counter("monitor_kurado_opened_connections", "Connections opened so far.", value=stats.opened)
        for name, text, counts in (
            ("monitor_kurado_bad_lines", "Lines refused, by the reason.", stats.bad),
            ("monitor_kurado_refused_batches", "Batches refused, by the reason.", stats.refused),
            ("monitor_kurado_turned_away", "Connections refused or ended by us.", stats.turned_away),
        ):
            family = counter(name, text, ("reason",))
            for reason, count in list(counts.items()):
                family.add_metric((reason,), count)
            yield family
        if stats.redis_up is not None:
            yield gauge("monitor_kurado_redis_up", "Whether the Redis that is drained answers.", value=stats.redis_up)
            yield gauge("monitor_kurado_redis_waiting", "Payloads in its list.", value=stats.redis_waiting)
            yield counter("monitor_kurado_redis_failures", "Times it did not answer.", value=stats.redis_failures)

    def _web(self) -> Iterator[Metric]:
        push, draw = self.web.push, self.web.draw
        yield counter("monitor_push_requests", "Pushes received.", value=push.requests)
        yield counter("monitor_push_accepted_batches", "Pushed batches accepted.", value=push.accepted)
        yield counter("monitor_push_rejected_batches", "Pushed batches rejected.", value=push.rejected)
        yield counter("monitor_graphs_drawn", "Pictures drawn.", value=draw.drawn)
        yield counter("monitor_graphs_kept", "Pictures answered from what was drawn before.", value=draw.kept)
        yield counter("monitor_graphs_refused", "Pictures refused because too many waited.", value=draw.refused)
        answers = counter("monitor_http_answers", "HTTP answers by route and status.", ("route", "status"))
        for (route, status), count in list(self.web.answers.items()):
            answers.add_metric((route, str(status)), count)
        yield answers


def counter(name: str, text: str, labels: Labels | None = None, value: float | None = None) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value, labels=labels)


def gauge(name: str, text: str, labels: Labels | None = None, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value, labels=labels)
