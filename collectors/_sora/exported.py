"""The names that sora_exporter gives to what Sora tells, with their types and labels.

Types are sora_exporter's too, where a count is called a gauge or a gauge has a name that ends like a count's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from monitor.collector import Clock, Exported, Exports, Info, Up

VM = "erlang_vm.statistics."
GAUGE: Literal["gauge"] = "gauge"
COUNTER: Literal["counter"] = "counter"
CLIENTS = {
    "sora_android_sdk": "android_sdk", "sora_c_sdk": "c_sdk", "sora_cpp_sdk": "cpp_sdk",
    "sora_flutter_sdk": "flutter_sdk", "sora_ios_sdk": "ios_sdk", "sora_js_sdk": "js_sdk",
    "sora_unity_sdk": "unity_sdk", "sora_python_sdk": "python_sdk", "webrtc_load_testing_tool_zakuro": "zakuro",
    "webrtc_native_client_momo": "momo",
}  # fmt: skip
NODE = ("cluster_node.*.node_name", "cluster_node.*.cluster_node_name")
PLUMTREE = (
    "sent_gossip", "received_gossip", "received_gossip_hop", "sent_ihave", "received_ihave", "sent_graft",
    "received_graft", "sent_prune", "received_prune", "graft_miss", "skipped_send", "ihave_overflow", "ignored",
)  # fmt: skip
ERLANG = (
    ("exact_reductions.exact_reductions_since_last_call", GAUGE, "exact reductions since the last call by anyone"),
    ("exact_reductions.total_exact_reductions", COUNTER, "exact reductions"),
    ("garbage_collection.number_of_gcs", GAUGE, "garbage collections so far"),
    ("garbage_collection.words_reclaimed", GAUGE, "words that garbage collections freed so far"),
    ("io.input", COUNTER, "bytes received through ports"),
    ("io.output", COUNTER, "bytes sent through ports"),
    ("reductions.reductions_since_last_call", GAUGE, "reductions since the last call by anyone"),
    ("reductions.total_reductions", COUNTER, "reductions"),
    ("runtime.time_since_last_call", GAUGE, "processor time since the last call by anyone, in ms"),
    ("runtime.total_run_time", GAUGE, "processor time so far, in ms"),
    ("wall_clock.total_wallclock_time", GAUGE, "time so far, in ms"),
    ("wall_clock.wallclock_time_since_last_call", GAUGE, "time since the last call by anyone, in ms"),
    ("context_switches", COUNTER, "context switches"),
    ("run_queue", GAUGE, "length of all normal and dirty CPU run queues"),
    ("total_active_tasks", GAUGE, "active processes and ports, those that need no processor left out"),
    ("total_active_tasks_all", GAUGE, "active processes and ports"),
    ("total_run_queue_lengths", GAUGE, "processes and ports ready to run, those that need no processor left out"),
    ("total_run_queue_lengths_all", GAUGE, "processes and ports ready to run"),
)


def states(name: str, help: str, label: str, rows: dict[str, str]) -> Iterator[Exported]:
    """Yield a count with a label, whose values are given with the series of each."""
    for value, series in rows.items():
        yield Exported(name, COUNTER, help, series, {label: value})


def node(name: str, help: str, series: str) -> Exported:
    return Exported(name, COUNTER, help, series, label="node_name", facts={"node_name": NODE})


def _all() -> Iterator[Exported | Info | Up | Clock]:
    yield Up("sora_up", "Whether Sora's statistics and licence could be read.", ("no stats", "no license"))
    yield Up("sora_cluster_up", "Whether the cluster's nodes could be read.", ("no cluster",), "metricsets=cluster")
    yield Clock("sora_time_seconds", "System time in seconds since the epoch.")
    yield Info("sora_version_info", "Version of Sora.", {"version": "version"})
    yield from states("sora_connections_total", "Connections.", "state", {
        "created": "total_connection_created", "updated": "total_connection_updated",
        "destroyed": "total_connection_destroyed", "successful": "total_successful_connections",
        "failed": "total_failed_connections",
    })  # fmt: skip
    yield Exported("sora_ongoing_connections_total", GAUGE, "Connections now.", "total_ongoing_connections")
    yield Exported("sora_duration_seconds_total", COUNTER, "Duration of connections.", "total_duration_sec")
    yield Exported("sora_average_duration_seconds", GAUGE, "Average duration.", "average_duration_sec")
    yield Exported("sora_average_setup_time_seconds", GAUGE, "Average setup time.", "average_setup_time_msec",
                   per=1000)  # fmt: skip
    yield from states("sora_turn_connections_total", "Connections by TURN.", "proto", {
        proto: f"total_turn_{proto}_connections" for proto in ("udp", "tcp")
    })  # fmt: skip
    yield from states("sora_session_total", "Sessions.", "state", {
        state: f"total_session_{state}" for state in ("created", "destroyed")
    })  # fmt: skip
    name = "received_invalid_turn_tcp_packet"
    yield Exported(f"sora_{name}_total", COUNTER, "Invalid packets over TURN-TCP.", f"total_{name}")
    yield from states("sora_successful_auth_webhook_total", "Answers of the authentication webhook.", "state", {
        state: f"total_auth_webhook_{state}" for state in ("allowed", "denied")
    })  # fmt: skip
    for hook in ("auth", "session", "event", "stats"):
        yield from states(f"sora_{hook}_webhook_total", f"Calls of the {hook} webhook.", "state", {
            state: f"total_{state}_{hook}_webhook"
            for state in ("successful", "failed", *(() if hook == "auth" else ("ignored",)))
        })  # fmt: skip
    for proto, ways in (("srtp", ("received", "sent", "decrypted")), ("sctp", ("received", "sent"))):
        for way in ways:
            text = f"of {proto.upper()} {way}."
            yield Exported(f"sora_{proto}_{way}_packets_total", COUNTER, f"Packets {text}", f"total_{way}_{proto}")
            yield Exported(
                f"sora_{proto}_{way}_bytes_total", COUNTER, f"Bytes {text}", f"total_{way}_{proto}_byte_size"
            )
    yield Exported("sora_srtp_sent_sfu_delay_us_total", COUNTER, "Time that sent packets spent in Sora.",
                   "total_sent_srtp_sfu_delay_us")  # fmt: skip
    words = ("expired_at", "product_name", "serial_code", "type")
    yield Info("sora_license_info", "The licence.", {word: f"license.{word}" for word in words})
    for word in ("max_connections", "max_nodes", "expired_at_timestamp_seconds"):
        yield Exported(f"sora_license_{word}", GAUGE, f"{word} of the licence.", f"license.{word}")
    for state in ("failed", "successful"):
        yield Exported("sora_client_type_total", COUNTER, "Connections by the client's kind.",
                       f"sora_client.total_{state}_sora_client_type.*", {"state": state}, label="client",
                       words=CLIENTS)  # fmt: skip
    yield from states("sora_connection_error_total", "Errors of connections.", "reason", {
        "sdp": "error.sdp_generation_error", "signaling": "error.signaling_error",
    })  # fmt: skip
    for word in ("total", "processes", "processes_used", "system", "atom", "atom_used", "binary", "code", "ets"):
        yield Exported(f"sora_erlang_vm_memory_{word}", GAUGE, f"Memory of the Erlang VM: {word}.",
                       f"erlang_vm.memory.{word}")  # fmt: skip
    for series, kind, text in ERLANG:
        yield Exported(f"sora_erlang_vm_{series.replace('.', '_')}", kind, f"Erlang VM: {text}.", VM + series)
    yield Exported("sora_cluster_node", GAUGE, "Nodes known to the cluster: 1 is connected.",
                   "cluster_node.*.connected", label="node_name",
                   facts={"node_name": NODE, "mode": ("cluster_node.*.mode",)},
                   switch=("node_type", "cluster_node.*.temporary_node", "regular", "temporary"))  # fmt: skip
    yield Info("sora_cluster_raft_state", "The state of Raft.", {"state": "cluster.raft_state"})
    yield Exported("sora_cluster_raft_term", COUNTER, "The term of Raft.", "cluster.raft_term")
    yield Exported("sora_cluster_raft_commit_index", COUNTER, "The last committed entry of Raft.",
                   "cluster.raft_commit_index")  # fmt: skip
    for way in ("received", "sent"):
        relayed = f"relayed {'from' if way == 'received' else 'to'} another node."
        yield node(
            f"sora_cluster_relay_{way}_bytes_total", f"Bytes {relayed}", f"cluster_relay.*.total_{way}_byte_size"
        )
        yield node(f"sora_cluster_relay_{way}_packets_total", f"Packets {relayed}", f"cluster_relay.*.total_{way}")
    for word in PLUMTREE:
        yield node(f"sora_cluster_relay_plumtree_{word}_total", f"Plumtree: {word} of the relay.",
                   f"cluster_relay.*.plumtree.total_{word}")  # fmt: skip
    # What sora_exporter does not tell:
    yield Exported("sora_channels", GAUGE, "Channels that have connections.", "channels")
    yield Exported("sora_reported_connections", GAUGE, "Connections whose statistics were told.", "connections")
    yield Exported("sora_channel_connections", GAUGE, "Connections of a channel.", "connections", each="channel")
    for what in ("bytes", "packets"):
        for way in ("received", "sent"):
            text = f"{what.title()} of RTP and RTCP {way}"
            yield Exported(f"sora_reported_{way}_{what}_total", COUNTER, f"{text}.", f"{way}_{what}")
            yield Exported(f"sora_channel_{way}_{what}_total", COUNTER, f"{text} in a channel.", f"{way}_{what}",
                           each="channel")  # fmt: skip


EXPORTS = Exports(tuple(_all()), parts=False)
