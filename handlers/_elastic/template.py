"""The index template of the documents, and the policies that let indices go: made here, sent elsewhere.

Numbers become doubles, for a mean or a rate that happens to be whole in the first document must not make all others
whole; counts, which are called total_…, stay whole. Texts are keywords.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson

FRACTIONS = ("mean", "stddev", "imbalance")
IDS = ("channel_id", "client_id", "connection_id", "session_id", "bundle_id", "group_id", "channel_client_id")
DATES = ("timestamp", "created_time", "created_timestamp")
LONGEST = 1024
VARIABLE = re.compile(r"%[-_0^#]?[A-Za-z]|\{\w+\}")
OWNER = "monitor setup"
"""What `_meta.made_by` says of what was made here."""

Json = dict[str, Any]


def pattern_of(index: str) -> str:
    """Return the pattern of all indices that a handler's `index` names: what stands before its first variable."""
    found = VARIABLE.search(index)
    if found is None:
        return index.lower()
    fixed = index[: found.start()].replace("%%", "%").lower()
    if len(fixed.strip("-_.")) < 2:
        raise ValueError(f"expected an index that begins with a fixed word, or --pattern, got {index[:80]!r}")
    return fixed + "*"


def is_fixed(index: str) -> bool:
    """Tell whether all documents go to one index, alias or data stream."""
    return VARIABLE.search(index) is None


def template(
    patterns: Sequence[str], *, shards: int, replicas: int | None, priority: int, fields_limit: int, data_stream: bool,
    policy: str,
) -> Json:  # fmt: skip
    """Return a composable index template."""
    index: Json = {
        "number_of_shards": shards,
        "codec": "best_compression",
        "refresh_interval": "5s",
        "mapping": {"total_fields": {"limit": fields_limit}, "ignore_malformed": True},
    }
    if replicas is not None:
        index["number_of_replicas"] = replicas
    if policy:
        index["lifecycle"] = {"name": policy}
    body: Json = {
        "index_patterns": list(patterns),
        "priority": priority,
        "template": {"settings": {"index": index}, "mappings": mappings()},
    }
    if data_stream:
        body["data_stream"] = {}
    return body | {"_meta": mark(body)}


def mappings() -> Json:
    keyword = {"type": "keyword", "ignore_above": LONGEST}
    date = {"type": "date", "ignore_malformed": True}
    text = {"type": "text", "fields": {"keyword": keyword}}

    def fields(*names: str) -> Json:
        return {"properties": dict.fromkeys(names, keyword)}

    connections = fields(*IDS)
    connections["properties"] |= dict.fromkeys(DATES, date)
    return {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic_templates": dynamic(),
        "properties": {
            "@timestamp": {"type": "date", "ignore_malformed": False},
            "metricset": {
                "properties": {**fields("module", "name", "host", "instance")["properties"], "rtt": {"type": "long"}}
            },
            "beat": fields("name", "hostname", "version"),
            "error": {"properties": {"message": text}},
            "tags": keyword,
            "sora": {"properties": {"stats": fields("version"), "connections": connections}},
        },
    }


def dynamic() -> list[Json]:
    """Return the rules for fields that nobody named; the first one that fits counts."""
    double = {"mapping": {"type": "double"}}
    found: list[Json] = [
        {f"{word}_{kind}": {"match": f"*_{word}", "match_mapping_type": kind, **double}}
        for word in FRACTIONS
        for kind in ("long", "double")
    ]
    # Sora's documents have its counts as they stand; what others call a total may be a rate.
    counts = {"path_match": "sora.*.total_*", "match_mapping_type": "long", "mapping": {"type": "long"}}
    found.append({"sora_counts": counts})
    found += [{f"numbers_{kind}": {"match_mapping_type": kind, **double}} for kind in ("long", "double")]
    texts = {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": LONGEST}}
    return [*found, {"texts": texts}]


def policy(keep: str, rollover: str, rollover_size: str, *, data_stream: bool) -> Json:
    """Return Elasticsearch's lifecycle policy: indices go after a while; a data stream begins a new one before."""
    hot: Json = {}
    if data_stream:
        hot["rollover"] = {"max_age": rollover, "max_primary_shard_size": rollover_size}
    body: Json = {
        "phases": {
            "hot": {"min_age": "0ms", "actions": hot},
            "delete": {"min_age": keep, "actions": {"delete": {}}},
        }
    }
    return {"policy": body | {"_meta": mark(body)}}


def state_policy(
    patterns: Sequence[str], keep: str, rollover: str, rollover_size: str, *, priority: int, data_stream: bool
) -> Json:
    """Return OpenSearch's policy, which says itself which new indices it is for."""
    actions: list[Json] = []
    if data_stream:
        actions.append({"rollover": {"min_index_age": rollover, "min_primary_shard_size": rollover_size}})
    body: Json = {
        "default_state": "hot",
        "states": [
            {
                "name": "hot",
                "actions": actions,
                "transitions": [{"state_name": "delete", "conditions": {"min_index_age": keep}}],
            },
            {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
        ],
        "ism_template": [{"index_patterns": list(patterns), "priority": priority}],
    }
    return {"policy": {"description": f"{OWNER} {mark(body)['state']}", **body}}


def mark(body: Json) -> Json:
    """Return what tells ours from others', and one state of it from another."""
    state = blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    return {"made_by": OWNER, "state": state}
