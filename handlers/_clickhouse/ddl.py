"""The statements that make the tables and dictionaries of WCS, and a table of numbers, in a ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handlers._clickhouse.target import literal, quoted
from monitor.wire.clickhouse import metric_rows
from monitor.wire.clickhouse.tables import EVENTS, EXTRA, WORDS, Dictionary, Table

LOCAL = "_local"
WINDOW = 10_000
"""So many inserts are known to a table, to notice one that comes again."""
WEEK = 604_800
LATEST = 3_600_000_000
"""Stamps after this (2084) count as this: ClickHouse's DateTime ends in 2106, and what is kept is added to it."""
MOST_KEPT = 7_300
MOST_DAYS = 90
"""With more days kept than these a part is a month: ClickHouse wants few parts."""
SEARCHED = {
    "ConnectionEvent": ("sessionId",),
    "StreamEvent": ("streamName", "mediaSessionId"),
    "CDNEvent": ("nodeId",),
    "MediaSessionEvents": ("streamName", "mediaSessionId"),
    "HlsStreamEvents": ("streamId",),
    "HlsSegmenterEvents": ("streamId",),
    "HlsClientEvents": ("streamId",),
    "MixerEvent": ("mixerStreamName", "mediaSessionId"),
}
"""What events are looked for by, before their time."""
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A table or a dictionary as it is to be."""

    name: str
    create: str
    columns: Columns = ()
    order: tuple[str, ...] = ()
    ttl: str = ""
    window: bool = False
    """Whether it is to know inserts that come again, and does not do so by itself."""
    fill: str = ""
    """What puts its rows into it, where they are not there."""


@dataclass(frozen=True, slots=True)
class Form:
    """How it is wished: `days` 0 keeps for ever, a `cluster` has a replicated table on each shard and one over all."""

    database: str = "wcs"
    order: str = "wcs"
    days: int = 0
    extra: bool = False
    cluster: str = ""
    path: str = "/clickhouse/tables"
    user: str = "default"
    password: str = ""
    port: int = 9000
    metrics: str = ""
    """The table of numbers; empty where there is to be none."""
    metrics_days: int = 0

    @property
    def on(self) -> str:
        return f" ON CLUSTER {quoted(self.cluster)}" if self.cluster else ""

    def place(self, name: str) -> str:
        return f"{quoted(self.database)}.{quoted(name)}"

    def engine(self, name: str, kind: str = "", *, everywhere: bool = False) -> str:
        """Return the engine of a table: on a cluster a replicated one, `everywhere` the same or apart in each shard."""
        if not self.cluster:
            return f"{kind}MergeTree"
        shard, replica = ("", "{shard}_{replica}") if everywhere else ("/{shard}", "{replica}")
        return f"Replicated{kind}MergeTree({literal(f'{self.path}{shard}/{self.database}/{name}')}, '{replica}')"


def database(form: Form) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted(form.database)}{form.on}"


def everything(form: Form) -> list[Made]:
    """Return all that is to be there, in the order in which it is made."""
    found = [one for table in EVENTS for one in events(table, form)]
    for words in WORDS:
        found += [word_table(words, form), dictionary(words, form)]
    return found + (numbers(form) if form.metrics else [])


def events(table: Table, form: Form) -> list[Made]:
    """Return a table of events; on a cluster also the one over all shards."""
    columns = table.columns + (((EXTRA, "String"),) if form.extra else ())
    searched = SEARCHED[table.name]
    order = table.order if form.order == "wcs" else (*searched, table.time)
    stamp = f"toDateTime(least(intDiv({quoted(table.time)}, 1000), {LATEST}))"
    return _made(form, table.name, columns, order, stamp, form.days, f"cityHash64({quoted(searched[0])})")


def numbers(form: Form) -> list[Made]:
    """Return the table of numbers: what comes again for the same time takes the place of what was there."""
    codecs = {"time": " CODEC(Delta, ZSTD(1))", "value": " CODEC(ZSTD(1))"}
    stamp = f"toDateTime({quoted('time')})"
    return _made(
        form, form.metrics, metric_rows.COLUMNS, metric_rows.ORDER, stamp, form.metrics_days,
        "cityHash64(`host`, `collector`, `instance`)", kind="Replacing", codecs=codecs,
    )  # fmt: skip


def _made(
    form: Form, name: str, columns: Columns, order: tuple[str, ...], stamp: str, days: int, spread: str, *,
    kind: str = "", codecs: Mapping[str, str] | None = None,
) -> list[Made]:  # fmt: skip
    own = name + LOCAL if form.cluster else name
    by = ", ".join(map(quoted, order))
    by = f"({by})" if len(order) > 1 else by
    lines = ",\n".join(f"    {quoted(column)} {type}{(codecs or {}).get(column, '')}" for column, type in columns)
    parts = ttl = ""
    settings = ["index_granularity = 8192"]
    if days:
        part = "toYYYYMMDD" if days <= MOST_DAYS else "toYYYYMM"
        ttl = f"{stamp} + toIntervalDay({days})"
        parts = f"PARTITION BY {part}({stamp})\n"
        settings.append("ttl_only_drop_parts = 1")
    if form.cluster:
        settings.append(f"replicated_deduplication_window_seconds = {WEEK}")
    else:
        settings.append(f"non_replicated_deduplication_window = {WINDOW}")
    create = (
        f"CREATE TABLE IF NOT EXISTS {form.place(own)}{form.on}\n(\n{lines}\n)\nENGINE = {form.engine(name, kind)}\n"
        f"{parts}ORDER BY {by}\n" + (f"TTL {ttl}\n" if ttl else "")
        + f"SETTINGS {', '.join(settings)}"
    )  # fmt: skip
    found = [Made(own, create, columns, order, ttl, window=not form.cluster)]
    if form.cluster:
        over = (
            f"CREATE TABLE IF NOT EXISTS {form.place(name)}{form.on} AS {form.place(own)}\n"
            f"ENGINE = Distributed({literal(form.cluster)}, {literal(form.database)}, {literal(own)}, {spread})"
        )
        found.append(Made(name, over, columns))
    return found


def word_table(words: Dictionary, form: Form) -> Made:
    columns = words.columns
    lines = ",\n".join(f"    {quoted(column)} {type}" for column, type in columns)
    create = (
        f"CREATE TABLE IF NOT EXISTS {form.place(words.table)}{form.on}\n(\n{lines}\n)\n"
        f"ENGINE = {form.engine(words.table, everywhere=True)}\nORDER BY `id`\nSETTINGS index_granularity = 8192"
    )
    rows = ", ".join(f"({id}, {literal(word)})" for id, word in words.words.items())
    fill = (
        f"INSERT INTO {form.place(words.table)} SELECT `id`, `type` FROM values('id {words.id}, type String', {rows})\n"  # noqa: S608 - names are checked
        f"WHERE `id` NOT IN (SELECT `id` FROM {form.place(words.table)})"
    )
    return Made(words.table, create, columns, ("id",), fill=fill)


def dictionary(words: Dictionary, form: Form) -> Made:
    source = (
        f"host 'localhost' port {form.port} user {literal(form.user)} password {literal(form.password)}"
        f" db {literal(form.database)} table {literal(words.table)}"
    )
    create = (
        f"CREATE DICTIONARY IF NOT EXISTS {form.place(words.name)}{form.on}\n"
        f"(\n    `id` {words.key},\n    `type` String DEFAULT ''\n)\n"
        f"PRIMARY KEY `id`\nSOURCE(CLICKHOUSE({source}))\nLAYOUT(FLAT())\nLIFETIME(300)"
    )
    return Made(words.name, create)
