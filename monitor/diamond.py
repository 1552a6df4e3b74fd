"""What a Diamond installation may hold that has no effect here: it is named in a warning and is no error."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path


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
    "splay method stagger_collection ttl_multiplier byte_unit collectors_reload_interval hostname hostname_method"
    " percore simple normalize derivative xenfix detailed send_zero sector_size persistent_naming allowed_names greedy"
    " precision req_host_header use_sudo sudo_cmd bin ntpq_bin ntpdc_bin floatprecision req_port unit cpu_interval"
    " info_keys"
)
LOGGING = frozenset(["loggers", "formatters"])
LOGGING_PREFIXES = ("formatter_",)
HANDLER_CLASSES = _words(
    "archivehandler nullhandler graphitepicklehandler multigraphitehandler multigraphitepicklehandler"
    " hostedgraphitehandler statsdhandler statsitehandler tsdbhandler httpposthandler signalfxhandler datadoghandler"
    " libratohandler cloudwatchhandler riemannhandler sentryhandler mysqlhandler rrdhandler mqtthandler rmqhandler"
    " zmqhandler pubsubhandler gmetrichandler appenlightmetrichandler logentriesdiamondhandler queuehandler"
    " influxdbhandler graphitehandler"
)
COLLECTOR_CLASSES = frozenset(f"{word}collector" for word in _words(
    "aerospike amavis apcupsd aurora beanstalkd bind cassandrajolokia celerymon ceph cephstats chronyd conntrack"
    " cpu cpuacctcgroup darner diskspace disktemperature diskusage docker drbd dropwizard dseopscenter"
    " elasticsearch elb endecadgraph entropystat eventstoreprojections example exim files filestat fluentd flume"
    " gridengine hadoop haproxy hbase http httpd httpjson icingastats interrupt iodrivesnmp ip ipmisensor ipvs"
    " jbossapi jcollectd jolokia kafka ksm kvm libvirtkvm lmsensors loadaverage mdstat memcached memory"
    " memorycgroup memorydocker memorylxc mesos mesoscgroup mongodb monit mountstats mysql mysqlperf"
    " nagiosperfdata nagiosstats netapp netfilteraccounting netscalersnmp network nfs nfsd nginx ntp ntpd numa"
    " nvidiagpu onewire openldap openstackswift openstackswiftrecon openvpn ossec passenger pgbouncer pgq phpfpm"
    " ping portstat postfix postgresql postqueue powerdns processresources processstat puppetagent puppetdashboard"
    " puppetdb rabbitmq redis resqueweb s3bucket scribe servertechpdu sidekiqweb slabinfo slony smart snmp"
    " snmpinterface snmpraw sockstat softinterrupt solr sqs squid supervisord tcp testeventstoreprojections tokumx"
    " twemproxy udp unbound ups uptime users userscripts varnish vmsdoms vmsfs vmstat websitemonitor xen xfs"
    " zookeeper"
))  # fmt: skip
DIRECTORIES = frozenset(map(Path, [
    "/usr/share/diamond/collectors", "/usr/share/diamond/handlers", "/etc/diamond/collectors",
    "/etc/diamond/handlers", "/etc/diamond/configs",
]))  # fmt: skip
"""Where Diamond's own files lie; its example names them, and where it was never installed they are not there."""

METHOD = re.compile(r"""\s*['"]?(sequential|threaded)['"]?\s*(#.*)?""", re.IGNORECASE)
IMPORT = re.compile(
    rb"^\s*(?:from\s+diamond[.\w]*\s+import\b|import\s+diamond\b|from\s+\w+\s+import\s+.*\bas\s+parent_)", re.MULTILINE
)
OURS = re.compile(rb"^\s*(?:from|import)\s+monitor\b", re.MULTILINE)
CLASS = re.compile(rb"^class\s+(\w+)", re.MULTILINE)


def scheduling(key: str, text: str) -> bool:
    """Tell whether this is how Diamond 3 ran a collector, and no collector's own `method`."""
    return key == "method" and METHOD.fullmatch(text) is not None


def classes(paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Return the files that are written for Diamond itself, each with its classes in lower case.

    A file that imports such a one by its bare name is one too, as Diamond put all of them on Python's path.
    """
    texts: dict[Path, bytes] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            if not OURS.search(text := path.read_bytes()):
                texts[path] = text
    found = {path for path, text in texts.items() if IMPORT.search(text)}
    more = found
    while more:
        names = b"|".join(re.escape(path.stem.encode()) for path in found)
        sibling = re.compile(rb"^\s*(?:from|import)\s+(?:" + names + rb")\b", re.MULTILINE)
        more = {path for path, text in texts.items() if path not in found and sibling.search(text)}
        found |= more
    return {path: [name.decode().lower() for name in CLASS.findall(texts[path])] for path in paths if path in found}
