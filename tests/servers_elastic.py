"""A strict stand-in for Elasticsearch, for no server of it can be installed: `_bulk` with its documented rules.

Checked with the official client in test_elasticsearch.py. It keeps documents and mappings in memory, which outlive
`stop`, and has faults: what is put into `answers` is given instead of looking at a request, `busy` items in a row are
answered 429, and after `cut` more items the connection ends without an answer.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import ssl
from typing import Any

from aiohttp import web
from appliance import free_port
from elastic_templates import Rules, Wrong, check_policy, check_states, check_template

TYPES = re.compile(r"application/(x-ndjson|json|vnd\.elasticsearch\+(x-nd)?json; ?compatible-with=[789])")
OPERATIONS = ("create", "index", "update", "delete")
METADATA = {"_index", "_id", "routing", "pipeline", "require_alias", "dynamic_templates", "if_seq_no", "version"}
ILLEGAL = re.compile(r'[\\/*?"<>| ,#:A-Z]')
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class Refusal(Exception):  # noqa: N818 - as Elasticsearch names them
    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.error = status, {"type": kind, "reason": reason}


class Elastic:
    """Starts on the same port again after `stop`."""

    def __init__(
        self, *, longest: int = 100 << 20, authorization: str = "", tls: ssl.SSLContext | None = None,
        version: str = "8.19.0", opensearch: bool = False,
    ) -> None:  # fmt: skip
        self.longest = longest
        self.version = version
        self.opensearch = opensearch
        self.authorization = authorization
        self.tls = tls
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.documents: dict[str, dict[str, dict[str, Any]]] = {}
        self.mappings: dict[str, dict[str, str]] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, tuple[int, dict[str, Any]]] = {}
        """Policies, and how often each was written."""
        self.writes: list[str] = []
        """The paths of what was written of templates and policies."""
        self.requests: list[tuple[int, int, dict[str, str]]] = []
        """Of every bulk request its bytes, uncompressed, its items and its headers."""
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.busy = 0
        self.cut: int | None = None
        self.blocked = False
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Elastic:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 30, middlewares=[self._product])
        app.router.add_get("/", self._info)
        for method in ("POST", "PUT"):
            app.router.add_route(method, "/_bulk", self._bulk)
            app.router.add_route(method, "/{index}/_bulk", self._bulk)
        if self.opensearch or tuple(map(int, self.version.split(".")[:2])) >= (7, 8):
            app.router.add_put("/_index_template/{name}", self._put_template)
            app.router.add_get("/_index_template/{name}", self._get_template)
        policies = "/_plugins/_ism/policies/{name}" if self.opensearch else "/_ilm/policy/{name}"
        app.router.add_put(policies, self._put_states if self.opensearch else self._put_policy)
        app.router.add_get(policies, self._get_states if self.opensearch else self._get_policy)
        app.router.add_get("/{index}/_doc/{id}", self._get)
        app.router.add_get("/{index}/_count", self._count)
        app.router.add_post("/{index}/_count", self._count)
        app.router.add_get("/{index}/_mapping", self._mapping)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def all(self, pattern: str = "*") -> list[dict[str, Any]]:
        """Return the documents of the indices that match."""
        return [one for name, kept in self.documents.items() if fnmatch.fnmatch(name, pattern) for one in kept.values()]

    @web.middleware
    async def _product(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            if self.authorization and request.headers.get("Authorization") != self.authorization:
                raise Refusal(401, "security_exception", "unable to authenticate")
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            answer = _json({"error": refusal.error, "status": refusal.status}, refusal.status)
        except Wrong as wrong:
            answer = _json({"error": {"type": wrong.kind, "reason": str(wrong)}, "status": 400}, 400)
        if answer.content_type == "application/json" and "compatible-with" in request.headers.get("Accept", ""):
            answer.headers["Content-Type"] = "application/vnd.elasticsearch+json;compatible-with=8"
        if not self.opensearch:
            answer.headers["X-Elastic-Product"] = "Elasticsearch"
        return answer

    async def _info(self, request: web.Request) -> web.Response:
        told = {"distribution": "opensearch"} if self.opensearch else {"build_flavor": "default"}
        return _json({"version": {"number": self.version, **told}, "tagline": "You Know, for Search"})

    async def _bulk(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.answers:
            status, headers, told = self.answers.pop(0)
            return _json(told, status, headers)
        if TYPES.fullmatch(request.headers.get("Content-Type", "")) is None:
            raise Refusal(406, "media_type_header_exception", "Invalid media-type value on headers [Content-Type]")
        if len(body) > self.longest:
            return web.Response(status=413, text="Request Entity Too Large")
        items = self._items(body, request.match_info.get("index"))
        self.requests.append((len(body), len(items), dict(request.headers)))
        results = []
        for operation, metadata, source in items:
            if self.cut is not None:
                if not self.cut:
                    self.cut = None
                    assert request.transport is not None
                    request.transport.abort()
                    await asyncio.sleep(0)
                    return web.Response()
                self.cut -= 1
            results.append({operation: self._result(operation, metadata, source)})
        errors = any("error" in one for result in results for one in result.values())
        whole = {"errors": errors, "took": 1, "items": results}
        return _json(_filtered(whole, request.query.get("filter_path", "")))

    def _items(self, body: bytes, default: str | None) -> list[tuple[str, dict[str, Any], bytes]]:
        if not body.endswith(b"\n"):
            raise Refusal(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        lines = body.split(b"\n")[:-1]
        found, at = [], 0
        while at < len(lines):
            try:
                action = _strict(lines[at])
            except ValueError:
                action = None
            if not isinstance(action, dict) or len(action) != 1 or next(iter(action)) not in OPERATIONS:
                text = f"Malformed action/metadata line [{at + 1}], expected one of [create, delete, index, update]"
                raise Refusal(400, "illegal_argument_exception", text)
            ((operation, metadata),) = action.items()
            if wrong := set(metadata) - METADATA:
                text = f"Action/metadata line [{at + 1}] contains an unknown parameter {sorted(wrong)}"
                raise Refusal(400, "illegal_argument_exception", text)
            if default is not None:
                metadata.setdefault("_index", default)
            if "_index" not in metadata:
                raise Refusal(400, "action_request_validation_exception", "Validation Failed: 1: index is missing;")
            if operation != "delete":
                at += 1
                if at >= len(lines):
                    raise Refusal(400, "illegal_argument_exception", "The bulk request must end with a source")
            found.append((operation, metadata, lines[at]))
            at += 1
        if not found:
            raise Refusal(400, "parse_exception", "request body is required")
        return found

    def _result(self, operation: str, metadata: dict[str, Any], line: bytes) -> dict[str, Any]:
        index = metadata["_index"]
        identity = metadata.get("_id") or f"auto{sum(map(len, self.documents.values()))}"
        told: dict[str, Any] = {"_index": index, "_id": identity}
        try:
            if self.busy:
                self.busy -= 1
                raise Refusal(429, "es_rejected_execution_exception", "rejected execution of primary operation")
            if self.blocked:
                text = f"index [{index}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]"
                raise Refusal(403, "cluster_block_exception", text)
            return told | self._write(operation, index, identity, line)
        except Refusal as refusal:
            return told | {"status": refusal.status, "error": refusal.error}

    def _write(self, operation: str, index: str, identity: str, line: bytes) -> dict[str, Any]:
        if not index or ILLEGAL.search(index) or index[0] in "-_+" or len(index.encode()) > 255:
            raise Refusal(400, "invalid_index_name_exception", f"Invalid index name [{index}]")
        if len(identity.encode()) > 512:
            raise Refusal(400, "illegal_argument_exception", "id is too long, must be no longer than 512 bytes")
        template = self._template_of(index)
        if "data_stream" in template and operation != "create":
            text = "only write ops with an op_type of create are allowed in data streams"
            raise Refusal(400, "illegal_argument_exception", text)
        kept = self.documents.setdefault(index, {})
        if operation == "create" and identity in kept:
            text = f"[{identity}]: version conflict, document already exists (current version [1])"
            raise Refusal(409, "version_conflict_engine_exception", text)
        try:
            document = _strict(line)
        except ValueError as error:
            raise Refusal(400, "document_parsing_exception", f"failed to parse: {error}") from None
        if not isinstance(document, dict):
            raise Refusal(400, "document_parsing_exception", "failed to parse: not an object")
        if "data_stream" in template and "@timestamp" not in document:
            text = "data stream timestamp field [@timestamp] is missing"
            raise Refusal(400, "document_parsing_exception", text)
        mapping = self.mappings.setdefault(index, _properties(template.get("template", {}).get("mappings", {})))
        seen = dict(mapping)
        rules = Rules(template)
        _map(document, seen, "", 1, rules)
        if len(seen) > rules.limit:
            text = f"Limit of total fields [{rules.limit}] has been exceeded"
            raise Refusal(400, "illegal_argument_exception", text)
        mapping.update(seen)
        kept[identity] = document
        return {"status": 201, "result": "created", "_version": 1, "_shards": {"total": 2, "successful": 1}}

    def _template_of(self, index: str) -> dict[str, Any]:
        found = [
            template
            for template in self.templates.values()
            if any(fnmatch.fnmatchcase(index, pattern) for pattern in template["index_patterns"])
        ]
        return max(found, key=lambda template: int(template.get("priority", 0)), default={})

    async def _put_template(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        others = {other: one for other, one in self.templates.items() if other != name}
        self.templates[name] = check_template(_strict(await request.read()), others)
        self.writes.append(request.path)
        return _json({"acknowledged": True})

    async def _get_template(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.templates:
            raise Refusal(404, "resource_not_found_exception", f"index template matching [{name}] not found")
        return _json({"index_templates": [{"name": name, "index_template": self.templates[name]}]})

    async def _put_policy(self, request: web.Request) -> web.Response:
        self._keep_policy(request, check_policy(_strict(await request.read())))
        return _json({"acknowledged": True})

    def _keep_policy(self, request: web.Request, policy: dict[str, Any]) -> int:
        name = request.match_info["name"]
        written = self.policies.get(name, (0, {}))[0] + 1
        self.policies[name] = written, policy
        self.writes.append(request.path)
        return written

    async def _get_policy(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.policies:
            raise Refusal(404, "resource_not_found_exception", f"Lifecycle policy not found: {name}")
        written, policy = self.policies[name]
        return _json({name: {"version": written, "modified_date": "2026-11-21T12:00:00.000Z", "policy": policy}})

    async def _put_states(self, request: web.Request) -> web.Response:
        policy = check_states(_strict(await request.read()))
        written = self.policies.get(request.match_info["name"], (0, {}))[0]
        wanted = (request.query.get("if_seq_no"), request.query.get("if_primary_term"))
        if wanted != ((str(written), "1") if written else (None, None)):
            raise Refusal(409, "version_conflict_engine_exception", "version conflict, document already exists")
        self._keep_policy(request, policy)
        return _json({"_id": request.match_info["name"], "policy": {"policy": policy}}, 201)

    async def _get_states(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.policies:
            raise Refusal(404, "status_exception", "Policy not found")
        written, policy = self.policies[name]
        return _json({"_id": name, "_version": 1, "_seq_no": written, "_primary_term": 1, "policy": policy})

    async def _get(self, request: web.Request) -> web.Response:
        index, identity = request.match_info["index"], request.match_info["id"]
        found = self.documents.get(index, {}).get(identity)
        told = {"_index": index, "_id": identity, "found": found is not None}
        return _json(told | ({"_source": found} if found else {}), 200 if found else 404)

    async def _count(self, request: web.Request) -> web.Response:
        return _json({"count": len(self.all(request.match_info["index"])), "_shards": {"total": 1}})

    async def _mapping(self, request: web.Request) -> web.Response:
        return _json({name: {"mappings": self.mappings[name]} for name in self.mappings})


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = told if isinstance(told, str) else json.dumps(told)
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


def _refuse(word: str) -> None:
    raise ValueError(f"Non-standard token '{word}'")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"Duplicate field in {[name for name, _ in pairs]}")
    return dict(pairs)


def _strict(text: bytes) -> Any:
    return json.loads(text.decode(), parse_constant=_refuse, object_pairs_hook=_pairs)


def _filtered(whole: Any, paths: str) -> Any:
    """Keep what `filter_path` names; within a list, every element."""
    if not paths:
        return whole

    def kept(value: Any, wanted: list[list[str]]) -> Any:
        if any(not path for path in wanted):
            return value
        if isinstance(value, list):
            return [kept(one, wanted) for one in value]
        if not isinstance(value, dict):
            return None
        found = {}
        for name, below in value.items():
            if inner := [path[1:] for path in wanted if path[0] in ("*", name)]:
                got = kept(below, inner)
                if got is not None and got != {}:
                    found[name] = got
        return found

    return kept(whole, [path.split(".") for path in paths.split(",")])


def _properties(mappings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found = {}
    for name, one in mappings.get("properties", {}).items():
        found[prefix + name] = one.get("type", "object")
        found |= _properties(one, f"{prefix}{name}.")
    return found


def _map(document: dict[str, Any], mapping: dict[str, str], prefix: str, depth: int, rules: Rules) -> None:
    """Add the fields of a document to a mapping, or refuse it where they do not fit."""
    if depth > 20:
        raise Refusal(400, "illegal_argument_exception", "Limit of mapping depth [20] has been exceeded")
    for name, value in document.items():
        if not name.strip() or any(not part.strip() for part in name.split(".")):
            raise Refusal(400, "document_parsing_exception", f"field name cannot be an empty string: [{prefix}{name}]")
        path = prefix + name
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                if mapping.setdefault(path, "object") != "object":
                    text = f"object mapping for [{path}] tried to parse [{name}] as object, but found a value"
                    raise Refusal(400, "document_parsing_exception", text)
                _map(one, mapping, f"{path}.", depth + 1, rules)
            elif one is not None:
                _field(path, one, mapping, rules)


def _field(path: str, value: Any, mapping: dict[str, str], rules: Rules) -> None:
    date = isinstance(value, str) and DATE.fullmatch(value) is not None
    kind = mapping[path] if path in mapping else mapping.setdefault(path, rules.guess(path, value, date=date))
    numeric = not isinstance(value, bool | str)
    if kind == "object":
        raise Refusal(400, "document_parsing_exception", f"object mapping for [{path}] found a concrete value")
    if rules.lenient and path != "@timestamp":
        return  # the field alone is left out of the index
    if kind == "long" and (not numeric or not -(1 << 63) <= value < 1 << 63):
        raise Refusal(400, "document_parsing_exception", f"failed to parse field [{path}] of type [long]")
    if kind in ("float", "double") and not numeric:
        raise Refusal(400, "document_parsing_exception", f"failed to parse field [{path}] of type [{kind}]")
    if kind == "date" and not (isinstance(value, str) and DATE.fullmatch(value)):
        raise Refusal(400, "document_parsing_exception", f"failed to parse field [{path}] of type [date]")
