"""Which settings a reload puts into effect, and which need a new start."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.config import Config
from monitor.options import options_of
from monitor.settings import Settings

LIVE = frozenset({
    "handlers", "handlers_path", "handlers_config_path", "collectors_path", "collectors_config_path", "hostname",
    "hostname_method", "timezone", "past", "ahead", "max_body", "graphs_path", "max_graph_files",
    "allow", "password", "hosts", "max_hosts", "limits", "max_payload", "max_lines", "max_line", "max_names",
    "user", "deduplicate", "keep", "max_rows", "max_columns", "max_result_rows", "timeout",
    "unknown_tables",
    "pattern", "max_paths", "derive", "connections", "commands", "max_waiting", "idle", "window", "metrics_collected",
})  # fmt: skip
"""Settings that a reload puts into effect, or that have none."""


def fixed_settings(before: Config, after: Config) -> Iterator[str]:
    """Yield the settings that changed and are read at the start only."""
    pairs: tuple[tuple[str, Settings, Settings], ...] = (
        ("[server]", before.server, after.server),
        ("[logger_root]", before.logging, after.logging),
        ("[receivers] [[push]]", before.push, after.push),
        ("[receivers] [[kurado]]", before.kurado, after.kurado),
        ("[receivers] [[graphite]]", before.graphite, after.graphite),
        ("[receivers] [[influx]]", before.influx, after.influx),
        ("[receivers] [[rels]]", before.rels, after.rels),
    )
    for title, old, new in pairs:
        for name in options_of(type(new)):
            if name not in LIVE and getattr(old, name) != getattr(new, name):
                yield f"{title} {name}"
    if (before.logs.files, before.logs.levels) != (after.logs.files, after.logs.levels):
        yield "[handler_NAME] and [logger_NAME]"
    if (before.store.cls, dict(before.store.options)) != (after.store.cls, dict(after.store.options)):
        yield f"[handlers] [[{after.store.name}]]"
