"""Kibana's objects for Sora: a data view, a picture of every number, and a dashboard with the six panels of Sorabeat's.

They are written as Kibana 7.10 wrote them, which is what OpenSearch Dashboards comes from and what later Kibanas bring
up to date when they import it. What they are called is fixed, so that an import again replaces them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from handlers._elastic.fields import COUNTERS, GAUGES

Flavour = Literal["kibana", "kibana7", "opensearch"]
"""Kibana 8.3 and later, which has controls of its own on dashboards; earlier ones; OpenSearch Dashboards."""
Json = dict[str, Any]

VERSION = "7.10.0"
MIGRATIONS = {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3"}
COLOURS = ("#68BC00", "#009CE0", "#D33115", "#FCC400", "#7B64FF", "#E27300")
HOST = "beat.hostname"
CHANNEL_CLIENT = "sora.connections.channel_client_id"
STATS = "sora.stats."
VM = "sora.stats.erlang_vm."
RTP = "sora.connections.rtp."


class Line(NamedTuple):
    """What a picture draws: the largest of a field, per second where it counts."""

    field: str
    label: str
    counts: bool = False
    by: str = ""
    """A field by whose values it is split."""
    most: int = 20
    summed: bool = False
    """Whether what it is split into is added up again."""


class Picture(NamedTuple):
    id: str
    title: str
    lines: Sequence[Line]
    formatter: str = "number"
    share: tuple[str, str] | None = None
    """Instead of lines: one counter's growth by another's."""


PANELS = (
    Picture("ongoing", "Ongoing connections", (Line(f"{STATS}total_ongoing_connections", "ongoing", by=HOST),)),
    Picture(
        "cpu", "Erlang: processor time", (), "percent",
        (f"{VM}statistics.runtime.total_run_time", f"{VM}statistics.wall_clock.total_wallclock_time"),
    ),
    Picture(
        "traffic", "Traffic by channel and client", (
            Line(f"{RTP}total_sent_rtp_byte_size", "sent", True, CHANNEL_CLIENT, 10),
            Line(f"{RTP}total_received_rtp_byte_size", "received", True, CHANNEL_CLIENT, 10),
        ), "bytes",
    ),
    Picture(
        "traffic-sum", "Traffic of all hosts together", (
            Line(f"{STATS}total_sent_srtp_byte_size", "sent", True, HOST, 1000, summed=True),
            Line(f"{STATS}total_received_srtp_byte_size", "received", True, HOST, 1000, summed=True),
        ), "bytes",
    ),
    Picture(
        "active-tasks", "Erlang: active tasks", tuple(
            Line(f"{VM}statistics.active_tasks_all_{word}", word) for word in ("max", "min", "imbalance")
        ),
    ),
    Picture(
        "memory", "Erlang: memory", (
            Line(f"{VM}memory.total", "total", by=HOST, most=100, summed=True),
            Line(f"{VM}memory.binary", "binary", by=HOST, most=100, summed=True),
        ), "bytes",
    ),
)  # fmt: skip
"""Two in a row, in Sorabeat's order. Its panel of the processor needed Metricbeat; this one is of Sora's own time."""


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


ANY: Json = {"searchSourceJSON": _text({"query": {"language": "kuery", "query": ""}, "filter": []})}


def objects(pattern: str, flavour: Flavour) -> Iterator[Json]:
    """Yield the data view of a pattern of indices, and all that shows what is in them."""
    view = {"title": pattern, "timeFieldName": "@timestamp"}
    yield saved("index-pattern", pattern, view, [])
    for field, counts in numbers():
        yield visualization(Picture(f"field-{field}", f"{field} [Sora]", [_of(field, counts)], _format(field)),
                            pattern, flavour)  # fmt: skip
    for picture in PANELS:
        yield visualization(picture, pattern, flavour)
    if flavour != "kibana":
        yield controls(pattern)
    yield dashboard(pattern, flavour)


def ndjson(found: Iterator[Json]) -> bytes:
    return b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in found)


def numbers() -> Iterator[tuple[str, bool]]:
    """Yield every numeric field of Sora's documents, and whether it counts."""
    every = [(groups, counts) for groups, counts in ((COUNTERS, True), (GAUGES, False))]
    yield from sorted(
        (f"{group}.{leaf}", counts)
        for groups, counts in every
        for group, some in groups.items()
        for leaf in some.split()
    )


def saved(kind: str, id: str, attributes: Json, references: Sequence[Json]) -> Json:
    return {
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: MIGRATIONS[kind]},
    }


def visualization(picture: Picture, pattern: str, flavour: Flavour) -> Json:
    series = [_share(picture)] if picture.share else [
        _series(line, f"{picture.id}-{number}", COLOURS[number % len(COLOURS)], picture.formatter)
        for number, line in enumerate(picture.lines)
    ]  # fmt: skip
    params: Json = {
        "id": f"sora-{picture.id}", "type": "timeseries", "series": series, "time_field": "@timestamp",
        "index_pattern": pattern, "interval": "", "axis_position": "left", "axis_formatter": "number",
        "axis_scale": "normal", "show_legend": 1, "show_grid": 1, "tooltip_mode": "show_all", "drop_last_bucket": 0,
    }  # fmt: skip
    if not any(line.field.endswith("imbalance") for line in picture.lines):
        params["axis_min"] = "0"
    references = []
    if flavour != "opensearch":
        # From 7.14 on Kibana reads the data view by reference; the text above is for those before.
        params |= {"use_kibana_indexes": True, "index_pattern_ref_name": "metrics_0_index_pattern"}
        references.append({"name": "metrics_0_index_pattern", "type": "index-pattern", "id": pattern})
    return _visual(f"sora-{picture.id}", picture.title, "metrics", params, references)


def controls(pattern: str) -> Json:
    """Return the choice of hosts of dashboards that have no controls of their own."""
    control = {
        "id": "sora-host", "fieldName": HOST, "parent": "", "label": "Host", "type": "list",
        "options": {"type": "terms", "multiselect": True, "dynamicOptions": True, "size": 20, "order": "desc"},
        "indexPatternRefName": "control_0_index_pattern",
    }  # fmt: skip
    params = {
        "controls": [control], "updateFiltersOnChange": True, "useTimeFilter": False, "pinFilters": False,
    }  # fmt: skip
    reference = {"name": "control_0_index_pattern", "type": "index-pattern", "id": pattern}
    return _visual("sora-host", "Host [Sora]", "input_control_vis", params, [reference])


def dashboard(pattern: str, flavour: Flavour) -> Json:
    ids = [f"sora-{picture.id}" for picture in PANELS]
    places = [(24 * (number % 2), 15 * (number // 2), 24, 15) for number in range(len(ids))]
    if flavour != "kibana":
        ids.insert(0, "sora-host")
        places = [(0, 0, 48, 5), *((x, y + 5, w, h) for x, y, w, h in places)]
    panels = [
        {
            "version": VERSION, "gridData": {"x": x, "y": y, "w": w, "h": h, "i": str(number)},
            "panelIndex": str(number), "embeddableConfig": {}, "panelRefName": f"panel_{number}",
        }
        for number, (x, y, w, h) in enumerate(places)
    ]  # fmt: skip
    references: list[Json] = [
        {"name": f"panel_{number}", "type": "visualization", "id": id} for number, id in enumerate(ids)
    ]
    attributes: Json = {
        "title": "Sora", "description": "Connections, traffic and the Erlang VM of Sora", "hits": 0, "version": 1,
        "panelsJSON": _text(panels), "optionsJSON": _text({"hidePanelTitles": False, "useMargins": True}),
        "timeRestore": True, "timeFrom": "now-1h", "timeTo": "now",
        "refreshInterval": {"display": "30 seconds", "pause": False, "value": 30000},
        "kibanaSavedObjectMeta": ANY,
    }  # fmt: skip
    if flavour == "kibana":
        attributes["controlGroupInput"] = _control_group()
        name = "controlGroup_sora-host:optionsListDataView"
        references.append({"name": name, "type": "index-pattern", "id": pattern})
    return saved("dashboard", "sora", attributes, references)


def _control_group() -> Json:
    chosen = {"id": "sora-host", "fieldName": HOST, "title": "Host", "enhancements": {}}
    panel = {"order": 0, "width": "medium", "grow": True, "type": "optionsListControl", "explicitInput": chosen}
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    return {
        "chainingSystem": "HIERARCHICAL", "controlStyle": "oneLine", "ignoreParentSettingsJSON": _text(ignored),
        "panelsJSON": _text({"sora-host": panel}),
    }  # fmt: skip


def _visual(id: str, title: str, kind: str, params: Mapping[str, Any], references: Sequence[Json]) -> Json:
    attributes = {
        "title": title, "description": "", "version": 1, "uiStateJSON": "{}",
        "visState": _text({"title": title, "type": kind, "aggs": [], "params": params}),
        "kibanaSavedObjectMeta": ANY,
    }  # fmt: skip
    return saved("visualization", id, attributes, references)


def _of(field: str, counts: bool) -> Line:
    by = CHANNEL_CLIENT if field.startswith("sora.connections.") else HOST
    return Line(field, field.rpartition(".")[2], counts, by)


def _format(field: str) -> str:
    leaf = field.rpartition(".")[2]
    sized = "byte" in leaf or field.startswith((f"{VM}memory.", f"{VM}statistics.io."))
    return "bytes" if sized else "number"


def _series(line: Line, id: str, colour: str, formatter: str) -> Json:
    metrics: list[Json] = [{"id": f"{id}-max", "type": "max", "field": line.field}]
    if line.counts:
        # Of a counter that began anew the growth is negative, which is nothing to draw.
        metrics.append({"id": f"{id}-rate", "type": "derivative", "field": f"{id}-max", "unit": "1s"})
        metrics.append({"id": f"{id}-grown", "type": "positive_only", "field": f"{id}-rate", "unit": ""})
    if line.summed:
        metrics.append({"id": f"{id}-sum", "type": "series_agg", "function": "sum"})
    split = {"split_mode": "everything"}
    if line.by:
        split = {"split_mode": "terms", "terms_field": line.by, "terms_size": str(line.most),
                 "terms_order_by": f"{id}-max"}  # fmt: skip
    return _drawn(id, line.label, colour, formatter, metrics) | split | (
        {"value_template": "{{value}}/s"} if line.counts else {}
    )  # fmt: skip


def _share(picture: Picture) -> Json:
    assert picture.share is not None
    metrics: list[Json] = []
    for name, field in zip("ab", picture.share, strict=True):
        metrics.append({"id": f"{name}-max", "type": "max", "field": field})
        metrics.append({"id": f"{name}-rate", "type": "derivative", "field": f"{name}-max", "unit": "1s"})
        metrics.append({"id": f"{name}-grown", "type": "positive_only", "field": f"{name}-rate", "unit": ""})
    variables = [{"id": f"{name}-var", "name": name, "field": f"{name}-grown"} for name in "ab"]
    metrics.append({"id": "share", "type": "math", "script": "params.a / params.b", "variables": variables})
    split = {"split_mode": "terms", "terms_field": HOST, "terms_size": "20", "terms_order_by": "a-max"}
    return _drawn(picture.id, "used", COLOURS[0], picture.formatter, metrics) | split


def _drawn(id: str, label: str, colour: str, formatter: str, metrics: Sequence[Json]) -> Json:
    return {
        "id": id, "label": label, "color": colour, "formatter": formatter, "metrics": list(metrics),
        "chart_type": "line", "line_width": 1, "point_size": 1, "fill": 0, "stacked": "none",
        "separate_axis": 0, "axis_position": "right",
    }  # fmt: skip
