"""The stand-in's part that takes index templates and lifecycle policies, by the rules that Elasticsearch documents.

It refuses what it does not know instead of keeping it, and gives back settings as Elasticsearch does: flat words as
texts.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Any

Json = dict[str, Any]

TYPES: dict[str, set[str]] = {
    "keyword": {"ignore_above", "fields", "doc_values", "index", "null_value"},
    "text": {"fields", "analyzer", "index", "norms"},
    "date": {"format", "ignore_malformed", "doc_values", "index"},
    "long": {"ignore_malformed", "coerce", "doc_values", "index"},
    "double": {"ignore_malformed", "coerce", "doc_values", "index"},
    "float": {"ignore_malformed", "coerce", "doc_values", "index"},
    "boolean": {"doc_values", "index"},
    "object": {"enabled", "dynamic", "properties"},
}
BODY = {"index_patterns", "template", "priority", "composed_of", "data_stream", "version", "_meta", "allow_auto_create"}
MAPPINGS = {"dynamic", "date_detection", "dynamic_date_formats", "numeric_detection", "dynamic_templates", "properties",
            "_source", "_routing", "_meta", "runtime"}  # fmt: skip
RULE = {"match", "unmatch", "path_match", "path_unmatch", "match_mapping_type", "match_pattern", "mapping", "runtime"}
DETECTED = {"boolean", "date", "double", "long", "object", "string", "*"}
SETTINGS = {
    "index.number_of_shards": r"[1-9]\d{0,3}",
    "index.number_of_replicas": r"\d{1,3}",
    "index.codec": r"default|best_compression",
    "index.refresh_interval": r"-1|\d+(ms|s|m)",
    "index.mapping.total_fields.limit": r"[1-9]\d*",
    "index.mapping.ignore_malformed": r"true|false",
    "index.lifecycle.name": r"[^_, ][^, ]*",
}
AGE = re.compile(r"\d+(d|h|m|s|ms|micros|nanos)")
SIZE = re.compile(r"\d+(b|kb|mb|gb|tb|pb)")
PHASES: dict[str, set[str]] = {
    "hot": {"rollover", "set_priority", "shrink", "forcemerge", "readonly"},
    "warm": {"allocate", "set_priority", "shrink", "forcemerge", "readonly"},
    "delete": {"delete", "wait_for_snapshot"},
}
ROLLOVER = {"max_age", "max_docs", "max_size", "max_primary_shard_size", "max_primary_shard_docs"}
STATE_ROLLOVER = {"min_index_age", "min_doc_count", "min_size", "min_primary_shard_size"}


class Wrong(Exception):  # noqa: N818 - the server makes its refusal of it
    """What a body has wrong: the type and the reason of the error."""

    def __init__(self, reason: str, kind: str = "illegal_argument_exception") -> None:
        super().__init__(reason)
        self.kind = kind


def flat(tree: Json, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def nested(settings: dict[str, str]) -> Json:
    tree: Json = {}
    for path, value in settings.items():
        *words, last = path.split(".")
        at = tree
        for word in words:
            at = at.setdefault(word, {})
        at[last] = value
    return tree


def known(found: Json, allowed: set[str], what: str) -> None:
    if not isinstance(found, dict):
        raise Wrong(f"[{what}] expected an object", "x_content_parse_exception")
    if wrong := set(found) - allowed:
        raise Wrong(f"[{what}] unknown field {sorted(wrong)}", "x_content_parse_exception")


def check_field(name: str, one: Json) -> None:
    kind = one.get("type", "object")
    if kind not in TYPES:
        raise Wrong(f"No handler for type [{kind}] declared on field [{name}]", "mapper_parsing_exception")
    if wrong := set(one) - TYPES[kind] - {"type", "properties" if kind == "object" else "type"}:
        raise Wrong(
            f"unknown parameter {sorted(wrong)} on mapper [{name}] of type [{kind}]", "mapper_parsing_exception"
        )
    for below, inner in {**one.get("properties", {}), **one.get("fields", {})}.items():
        check_field(f"{name}.{below}", inner)


def check_stream(body: Json) -> None:
    """A data stream's time may be nothing but a date that is right."""
    inner = body.get("template", {})
    lenient = flat(inner.get("settings", {})).get("index.mapping.ignore_malformed") == "true"
    time = inner.get("mappings", {}).get("properties", {}).get("@timestamp", {"type": "date"})
    if time.get("ignore_malformed", lenient) or time.get("type") != "date":
        raise Wrong("data stream timestamp field [@timestamp] has disallowed [ignore_malformed] attribute specified")


def check_template(body: Json, others: dict[str, Json]) -> Json:
    """Return a template as it is kept; `others` are the templates that there are under other names."""
    known(body, BODY, "index_template")
    patterns = body.get("index_patterns")
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) and one for one in patterns):
        raise Wrong("Validation Failed: 1: index patterns are missing;", "action_request_validation_exception")
    priority = body.get("priority", 0)
    if not isinstance(priority, int) or priority < 0:
        raise Wrong(
            "Validation Failed: 1: index template priority must be >= 0;", "action_request_validation_exception"
        )
    if body.get("data_stream", {}) != {} and set(body["data_stream"]) - {"hidden", "allow_custom_routing"}:
        raise Wrong("[data_stream_template] unknown field", "x_content_parse_exception")
    inner = body.get("template", {})
    known(inner, {"settings", "mappings", "aliases", "lifecycle"}, "template")
    settings = flat(inner.get("settings", {}))
    settings = {name if name.startswith("index.") else f"index.{name}": value for name, value in settings.items()}
    for name, value in settings.items():
        if name not in SETTINGS:
            raise Wrong(f"unknown setting [{name}] please check that any required plugins are installed")
        if re.fullmatch(SETTINGS[name], value) is None:
            raise Wrong(f"Failed to parse value [{value}] for setting [{name}]")
    mappings = inner.get("mappings", {})
    known(mappings, MAPPINGS, "mappings")
    for name, one in mappings.get("properties", {}).items():
        check_field(name, one)
    for rule in mappings.get("dynamic_templates", []):
        if not isinstance(rule, dict) or len(rule) != 1:
            raise Wrong("A dynamic template must be defined with a name", "mapper_parsing_exception")
        ((name, told),) = rule.items()
        known(told, RULE, f"dynamic template {name}")
        if told.get("match_mapping_type", "*") not in DETECTED:
            raise Wrong(f"No field type matched on [{told['match_mapping_type']}]", "mapper_parsing_exception")
        if not {"match", "path_match", "match_mapping_type"} & set(told):
            raise Wrong(
                f"template [{name}] must have match, path_match or match_mapping_type", "mapper_parsing_exception"
            )
        check_field(name, told["mapping"])
    if "data_stream" in body:
        check_stream(body)
    for name, other in others.items():
        if other.get("priority", 0) == priority and _overlap(patterns, other["index_patterns"]):
            raise Wrong(
                f"index template has index patterns {patterns} matching patterns from existing templates [{name}] with"
                f" the same priority [{priority}], multiple index templates may not match during index creation"
            )
    return {**body, "template": {**inner, "settings": nested(settings)}}


def _overlap(some: list[str], others: list[str]) -> bool:
    def beginning(pattern: str) -> str:
        return pattern.partition("*")[0]

    return any(
        beginning(one).startswith(beginning(other)) or beginning(other).startswith(beginning(one))
        for one in some
        for other in others
    )


def check_policy(body: Json) -> Json:
    """Return a policy of Elasticsearch's as it is kept."""
    known(body, {"policy"}, "put_lifecycle_request")
    policy = body.get("policy", {})
    known(policy, {"phases", "_meta"}, "lifecycle_policy")
    for name, phase in policy.get("phases", {}).items():
        if name not in PHASES:
            raise Wrong(f"Timeseries lifecycle does not support phase [{name}]")
        known(phase, {"min_age", "actions"}, name)
        if AGE.fullmatch(phase.get("min_age", "0ms")) is None:
            raise Wrong(f"failed to parse setting [min_age] with value [{phase['min_age']}] as a time value")
        for action, told in phase.get("actions", {}).items():
            if action not in PHASES[name]:
                raise Wrong(f"invalid action [{action}] defined in phase [{name}]")
            if action == "rollover":
                known(told, ROLLOVER, "rollover")
                if not told:
                    raise Wrong("At least one rollover condition must be set.")
                _spans(told)
    return policy


def check_states(body: Json) -> Json:
    """Return a policy of OpenSearch's as it is kept."""
    known(body, {"policy"}, "policy")
    policy = body.get("policy", {})
    known(policy, {"description", "default_state", "states", "ism_template", "error_notification"}, "policy")
    names = [state.get("name") for state in policy.get("states", [])]
    if policy.get("default_state") not in names:
        raise Wrong(f"Policy must have a valid default state, got {policy.get('default_state')}")
    for state in policy["states"]:
        known(state, {"name", "actions", "transitions"}, "state")
        for action in state["actions"]:
            if len(action) != 1 or next(iter(action)) not in ("rollover", "delete", "read_only", "force_merge"):
                raise Wrong(f"Invalid field: {sorted(action)} found in Action.")
            if "rollover" in action:
                known(action["rollover"], STATE_ROLLOVER, "rollover")
                _spans(action["rollover"])
        for transition in state["transitions"]:
            if transition.get("state_name") not in names:
                raise Wrong(f"Policy contains a transition in state={state['name']} pointing to a nonexistent state")
    return policy


def _spans(told: Json) -> None:
    for key, value in told.items():
        form = AGE if key.endswith("age") else SIZE if key.endswith("size") else re.compile(r"\d+")
        if form.fullmatch(str(value)) is None:
            raise Wrong(f"failed to parse setting [{key}] with value [{value}]")


class Rules:
    """Says of which type a field is that nobody named."""

    def __init__(self, template: Json) -> None:
        inner = template.get("template", {})
        mappings = inner.get("mappings", {})
        settings = flat(inner.get("settings", {}))
        self.dates = mappings.get("date_detection", True)
        self.limit = int(settings.get("index.mapping.total_fields.limit", 1000))
        self.lenient = settings.get("index.mapping.ignore_malformed") == "true"
        self.rules = [told for rule in mappings.get("dynamic_templates", []) for told in rule.values()]

    def guess(self, path: str, value: Any, *, date: bool) -> str:
        kind = {bool: "boolean", int: "long", float: "double", str: "string"}[type(value)]
        kind = "date" if date and self.dates else kind
        for told in self.rules:
            fits = (
                told.get("match_mapping_type", "*") in (kind, "*")
                and fnmatch.fnmatchcase(path.rpartition(".")[2], told.get("match", "*"))
                and fnmatch.fnmatchcase(path, told.get("path_match", "*"))
            )
            if fits:
                return str(told["mapping"]["type"])
        return {"string": "text", "double": "float"}.get(kind, kind)
