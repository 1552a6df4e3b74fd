"""The series that Sora's graphs draw, and the graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from collectors._sora.connections import MOVED
from monitor.collector import Area, Counter, Gauge, Graph, Item, Line, Metric, Stack

VM = "erlang_vm.statistics."
MEMORY = "erlang_vm.memory."
SPREAD = ("max", "min", "mean", "stddev", "imbalance")
QUEUES = {"active_tasks_all": "runnable processes", "run_queue_lengths_all": "waiting processes"}


class Chart(NamedTuple):
    """A graph of the host's page with a row for each series: (name, legend, help). Counters are those per second."""

    name: str
    title: str
    unit: str
    rows: tuple[tuple[str, str, str], ...]
    base: Literal[1000, 1024] = 1000

    def metrics(self) -> Iterator[Metric]:
        kind = Counter if self.unit.endswith("/s") else Gauge
        for name, _, help in self.rows:
            yield kind(self.unit, help, name=name)


CHARTS = (
    Chart("ongoing", "Ongoing connections", "connections", (
        ("total_ongoing_connections", "ongoing", "connected now"),
        ("connections", "told of", "whose statistics were told; of a channel: its own"),
        ("connections_left_out", "without own series", "that are too many to keep series of each"),
    )),
    Chart("channels", "Channels", "channels", (("channels", "channels", "that have connections"),)),
    Chart("connections", "Connections", "connections/s", (
        ("total_connection_created", "created", "connections begun"),
        ("total_connection_destroyed", "ended", "connections ended"),
        ("total_successful_connections", "successful", "connections that were set up"),
        ("total_failed_connections", "failed", "connections that could not be set up"),
    )),
    Chart("sessions", "Sessions", "sessions/s", (
        ("total_session_created", "created", "sessions of channels begun"),
        ("total_session_destroyed", "ended", "sessions of channels ended"),
    )),
    Chart("turn", "Connections by TURN", "connections/s", (
        ("total_turn_udp_connections", "UDP", "connections over TURN-UDP"),
        ("total_turn_tcp_connections", "TCP", "connections over TURN-TCP"),
    )),
    Chart("srtp_traffic", "Traffic (SRTP)", "bytes/s", (
        ("total_received_srtp_byte_size", "received", "of SRTP received"),
        ("total_sent_srtp_byte_size", "sent", "of SRTP sent"),
    )),
    Chart("srtp_packets", "Packets (SRTP)", "packets/s", (
        ("total_received_srtp", "received", "of SRTP received"),
        ("total_sent_srtp", "sent", "of SRTP sent"),
    )),
    Chart("sctp_traffic", "Traffic of data channels (SCTP)", "bytes/s", (
        ("total_received_sctp_byte_size", "received", "of SCTP received"),
        ("total_sent_sctp_byte_size", "sent", "of SCTP sent"),
    )),
    Chart("traffic", "Traffic of the connections told of", "bytes/s", (
        (MOVED[0], "received", "RTP and RTCP received; of a channel or connection: its own"),
        (MOVED[1], "sent", "RTP and RTCP sent; of a channel or connection: its own"),
    )),
    Chart("packets", "Packets of the connections told of", "packets/s", (
        (MOVED[2], "received", "RTP and RTCP received; of a channel or connection: its own"),
        (MOVED[3], "sent", "RTP and RTCP sent; of a channel or connection: its own"),
    )),
    Chart("duration", "Average duration", "seconds", (
        ("average_duration_sec", "average", "average duration of connections since the start"),
    )),
    Chart("setup_time", "Average setup time", "ms", (
        ("average_setup_time_msec", "average", "average time until a connection is set up, since the start"),
    )),
    Chart("auth_webhook", "Authentication webhook", "calls/s", (
        ("total_auth_webhook_allowed", "allowed", "calls answered with an admission"),
        ("total_auth_webhook_denied", "denied", "calls answered with a refusal"),
        ("total_successful_auth_webhook", "successful", "calls that were answered"),
        ("total_failed_auth_webhook", "failed", "calls that failed"),
    )),
    Chart("webhooks", "Webhooks", "calls/s", tuple(
        (f"total_{state}_{hook}_webhook", f"{hook} {state}", f"{state} calls of the {hook} webhook")
        for hook in ("session", "event", "stats") for state in ("successful", "failed", "ignored")
    )),
    Chart("errors", "Errors", "errors/s", (
        ("error.sdp_generation_error", "SDP", "descriptions that could not be made"),
        ("error.signaling_error", "signaling", "errors in signaling"),
    )),
    *(Chart(name, f"Erlang: {title}", "processes", tuple(
        (f"{VM}{name}_{word}", word, f"{word} of the schedulers' {title}") for word in SPREAD[:4]
    )) for name, title in QUEUES.items()),
    *(Chart(f"{name}_imbalance", f"Erlang: imbalance of {title}", "times", (
        (f"{VM}{name}_imbalance", "imbalance", f"most to least (at least 1) of the schedulers' {title}"),
    )) for name, title in QUEUES.items()),
    Chart("run_queue", "Erlang: run queues together", "processes", (
        (f"{VM}total_run_queue_lengths_all", "waiting", "processes ready to run"),
        (f"{VM}total_active_tasks_all", "active", "processes running or ready to run"),
    )),
    Chart("io", "Erlang: input and output", "bytes/s", (
        (f"{VM}io.input", "input", "received by all ports"),
        (f"{VM}io.output", "output", "sent by all ports"),
    )),
    Chart("cluster_relay", "Relayed to and from *", "bytes/s", (
        ("cluster_relay.*.total_received_byte_size", "received", "received from another node"),
        ("cluster_relay.*.total_sent_byte_size", "sent", "sent to another node"),
    )),
    Chart("nodes", "Nodes of the cluster", "nodes", (
        ("cluster_nodes", "known", "nodes known to the cluster"),
        ("cluster_nodes_connected", "connected", "nodes that are connected"),
    )),
    Chart("license", "Connections that the licence allows", "connections", (
        ("license.max_connections", "allowed", "connections allowed"),
    )),
)  # fmt: skip
TOTAL = Gauge("bytes", "memory of the Erlang VM", name=MEMORY + "total")
PARTS = tuple(
    Gauge("bytes", f"memory of the Erlang VM's {what}", name=MEMORY + name)
    for name, what in (
        ("processes", "processes"), ("binary", "binaries"), ("code", "code"), ("ets", "tables"), ("atom", "atoms"),
    )
)  # fmt: skip
RUNNING = Counter("ms/s", "processor time of the Erlang VM", name=VM + "runtime.total_run_time", max=1e9)
CLOCK = Counter("ms/s", "time on the Erlang VM's clock", name=VM + "wall_clock.total_wallclock_time")
DELAY = Counter("us/s", "time that SRTP packets spent in Sora", name="total_sent_srtp_sfu_delay_us")
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (*(one for chart in CHARTS for one in chart.metrics()), TOTAL, *PARTS, RUNNING, CLOCK, DELAY)
}

LISTED = (METRICS["connections"], *(METRICS[name] for name in MOVED))
"""What lists of channels and connections show."""


def drawn(chart: Chart) -> Graph:
    lines = (Line(METRICS[name], legend) for name, legend, _ in chart.rows)
    return Graph(chart.name, chart.title, *lines, unit=chart.unit, base=chart.base)


def of_host() -> tuple[Graph, ...]:
    memory: list[Item] = [Stack(part, part.name.removeprefix(MEMORY)) for part in PARTS]
    return (
        *map(drawn, CHARTS),
        Graph("memory", "Erlang: memory", *memory, Line(TOTAL, "total", "000000"), unit="bytes", base=1024),
        Graph("cpu", "Erlang: processor time", Area(100 * RUNNING / CLOCK, "used"), unit="percent"),
        Graph("sfu_delay", "Average delay in Sora", Line(DELAY / METRICS["total_sent_srtp"], "delay"), unit="us"),
    )


def of_instances() -> dict[str, dict[str, Graph]]:
    """Return what the pages of channels and connections draw."""
    received, sent, received_packets, sent_packets = (METRICS[name] for name in MOVED)
    found = (
        Graph("sora_traffic", "Traffic", Area(8 * received, "received", "00cc00b4"),
              Line(8 * sent, "sent", "0000ffb4"), unit="bits/s"),
        Graph("sora_packets", "Packets", Area(received_packets, "received", "00cc00b4"),
              Line(sent_packets, "sent", "0000ffb4"), unit="packets/s"),
        Graph("sora_connections", "Connections", Area(METRICS["connections"], "connections", "00cc00b4"),
              unit="connections"),
    )  # fmt: skip
    return {graph.name: {"all": graph} for graph in found}
