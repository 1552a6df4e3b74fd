"""What a Diamond configuration may hold that has no effect here: it is named in one warning and is no error."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SERVER = _words(
    "user group pid_file collectors_load_delay collectors_reload_interval metric_queue_size"
    " abort_on_handlers_process_exit"
)
HANDLERS = frozenset(["keys"])
HANDLER = _words(
    "server_error_interval max_backlog_multiplier trim_backlog_multiplier keepalive keepaliveinterval flow_info"
    " scope_id reconnect_interval proto timeout batch cache_size batch_size time_precision influxdb_version ssl"
    " log_file when rollover_interval days encoding propagate enabled hostname hostname_method path_prefix"
    " path_suffix instance_prefix interval splay"
)
COLLECTOR = _words(
    "splay method stagger_collection ttl_multiplier measure_collector_time metrics_whitelist metrics_blacklist"
    " byte_unit collectors_reload_interval hostname hostname_method percore simple normalize derivative xenfix"
    " detailed send_zero sector_size persistent_naming allowed_names greedy precision req_host_header"
)
LOGGING = frozenset(["loggers", "formatters", "configs"])
LOGGING_PREFIXES = ("logger_", "handler_", "formatter_")
HANDLER_CLASSES = _words(
    "archivehandler nullhandler graphitepicklehandler multigraphitehandler multigraphitepicklehandler"
    " hostedgraphitehandler statsdhandler statsitehandler tsdbhandler httpposthandler signalfxhandler datadoghandler"
    " libratohandler cloudwatchhandler riemannhandler sentryhandler mysqlhandler rrdhandler mqtthandler rmqhandler"
    " zmqhandler pubsubhandler gmetrichandler appenlightmetrichandler logentriesdiamondhandler queuehandler"
    " influxdbhandler graphitehandler"
)
