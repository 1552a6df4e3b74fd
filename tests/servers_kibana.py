"""A strict stand-in for Kibana and OpenSearch Dashboards: the import of saved objects, and its status.

No such server can be installed here. It refuses what they document to refuse: a request without the header that keeps
forms of other sites out, a file that is not called .ndjson, unknown attributes, JSON in texts that is none, and
references to what is not there.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

Json = dict[str, Any]
ATTRIBUTES = {
    "index-pattern": {"title", "timeFieldName", "fields", "fieldFormatMap", "sourceFilters", "typeMeta"},
    "visualization": {"title", "description", "version", "uiStateJSON", "visState", "kibanaSavedObjectMeta",
                      "savedSearchRefName"},
    "dashboard": {"title", "description", "hits", "version", "panelsJSON", "optionsJSON", "timeRestore", "timeFrom",
                  "timeTo", "refreshInterval", "kibanaSavedObjectMeta"},
}  # fmt: skip
TEXTS = ("visState", "uiStateJSON", "panelsJSON", "optionsJSON")
NEWEST = {"index-pattern": (7, 6, 0), "visualization": (7, 10, 0), "dashboard": (7, 9, 3)}
"""The migrations of 7.10, which is as new as an object may be for all of them to take it."""
AGGREGATIONS = {"max", "min", "avg", "sum", "derivative", "positive_only", "series_agg", "math"}


class Kibana:
    def __init__(self, version: str = "8.19.0", *, opensearch: bool = False, authorization: str = "") -> None:
        self.version = version
        self.opensearch = opensearch
        self.authorization = authorization
        self.objects: dict[tuple[str, str, str], Json] = {}
        """By space, type and identifier."""
        self.imports = 0
        self.ready = True
        self.answers: list[tuple[int, Any]] = []
        """Answers to give to imports, instead of looking at them."""
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Kibana:
        app = web.Application(client_max_size=26 << 20, middlewares=[self._border])
        for base in ("", "/s/{space}"):
            app.router.add_get(f"{base}/api/status", self._status)
            app.router.add_post(f"{base}/api/saved_objects/_import", self._import)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @web.middleware
    async def _border(self, request: web.Request, handler: Any) -> web.StreamResponse:
        word = "osd" if self.opensearch else "kbn"
        answer: web.StreamResponse
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            answer = _error(401, "Unauthorized", "Unauthorized")
        elif request.method == "POST" and f"{word}-xsrf" not in request.headers:
            answer = _error(400, "Bad Request", f"Request must contain a {word}-xsrf header.")
        else:
            answer = await handler(request)
        answer.headers[f"{word}-name"] = "test"
        return answer

    async def _status(self, request: web.Request) -> web.Response:
        if not self.ready:
            return web.Response(status=503, text="Kibana server is not ready yet")
        level = "overall"
        return web.json_response({"name": "test", "version": {"number": self.version}, "status": {level: {}}})

    async def _import(self, request: web.Request) -> web.Response:
        self.imports += 1
        if self.answers:
            status, told = self.answers.pop(0)
            return web.json_response(told, status=status)
        if wrong := set(request.query) - {"overwrite", "createNewCopies", "compatibilityMode"}:
            return _error(400, "Bad Request", f"[request query.{min(wrong)}]: definition for this key is missing")
        form = await request.post()
        file = form.get("file")
        if set(form) != {"file"} or not isinstance(file, web.FileField):
            return _error(400, "Bad Request", "[request body.file]: expected value of type [Stream]")
        if not file.filename.endswith(".ndjson"):
            return _error(400, "Bad Request", f"Invalid file extension {file.filename}")
        lines = [json.loads(line) for line in file.file.read().splitlines() if line]
        space = request.match_info.get("space", "default")
        errors = []
        for one in lines:
            if error := self._wrong(one, space, lines, overwrite=request.query.get("overwrite") == "true"):
                errors.append({"id": one.get("id"), "type": one.get("type"), "error": error})
            else:
                self.objects[space, one["type"], one["id"]] = one
        told = {"success": not errors, "successCount": len(lines) - len(errors)}
        return web.json_response(told | ({"errors": errors} if errors else {}))

    def _wrong(self, one: Json, space: str, others: list[Json], *, overwrite: bool) -> Json | None:
        kind, id = one["type"], one["id"]
        if kind not in ATTRIBUTES:
            return {"type": "unsupported_type"}
        allowed = ATTRIBUTES[kind] | ({"controlGroupInput"} if self._controls and kind == "dashboard" else set())
        if wrong := set(one["attributes"]) - allowed:
            text = f"mapping set to strict, dynamic introduction of {sorted(wrong)} within [{kind}] is not allowed"
            return {"type": "unknown", "message": text, "statusCode": 400}
        migration = tuple(map(int, one["migrationVersion"][kind].split(".")))
        if migration > NEWEST[kind]:
            text = f"it belongs to a more recent version of Kibana [{one['migrationVersion'][kind]}]"
            return {"type": "unknown", "message": text, "statusCode": 422}
        if not overwrite and (space, kind, id) in self.objects:
            return {"type": "conflict"}
        there = {(other["type"], other["id"]) for other in others} | {
            key[1:] for key in self.objects if key[0] == space
        }
        missing = [one for one in one["references"] if (one["type"], one["id"]) not in there]
        if missing:
            return {"type": "missing_references", "references": missing}
        try:
            self._check(kind, one["attributes"], {reference["name"] for reference in one["references"]})
        except (ValueError, KeyError, AssertionError, TypeError) as error:
            return {"type": "unknown", "message": f"{type(error).__name__}: {error}", "statusCode": 400}
        return None

    @property
    def _controls(self) -> bool:
        return not self.opensearch and tuple(map(int, self.version.split(".")[:2])) >= (8, 3)

    def _check(self, kind: str, attributes: Json, names: set[str]) -> None:
        """Look at what a page would stumble over later; AssertionError says at what."""
        parsed = {key: json.loads(attributes[key]) for key in TEXTS if key in attributes}
        if kind != "index-pattern":
            json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        if kind == "dashboard":
            used = {panel["panelRefName"] for panel in parsed["panelsJSON"]}
            assert used <= names, f"no reference for {sorted(used - names)}"
            taken: set[tuple[int, int]] = set()
            for panel in parsed["panelsJSON"]:
                at = panel["gridData"]
                assert at["x"] + at["w"] <= 48, "a panel beyond the right border"
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                assert not cells & taken, "panels over each other"
                taken |= cells
            if "controlGroupInput" in attributes:
                for id, panel in json.loads(attributes["controlGroupInput"]["panelsJSON"]).items():
                    assert f"controlGroup_{id}:optionsListDataView" in names, f"control {id} without a data view"
                    assert panel["explicitInput"]["id"] == id, "a control of another name"
        elif kind == "visualization":
            state = parsed["visState"]
            assert state["title"] == attributes["title"], "two titles"
            if state["type"] == "input_control_vis":
                assert all(one["indexPatternRefName"] in names for one in state["params"]["controls"])
                return
            assert state["type"] == "metrics", state["type"]
            params = state["params"]
            assert params["index_pattern"] and params["time_field"] == "@timestamp"
            if "index_pattern_ref_name" in params:
                assert params["index_pattern_ref_name"] in names, "no reference for the data view"
            for series in params["series"]:
                seen: set[str] = set()
                for metric in series["metrics"]:
                    assert metric["type"] in AGGREGATIONS, metric["type"]
                    if metric["type"] in ("derivative", "positive_only"):
                        assert metric["field"] in seen, f"{metric['id']} of a metric that is not before it"
                    if metric["type"] == "math":
                        assert all(one["field"] in seen for one in metric["variables"])
                    assert metric["id"] not in seen, "two metrics of one name"
                    seen.add(metric["id"])
                if series["split_mode"] == "terms":
                    assert series["terms_order_by"] in seen | {"_count", "_key"}, "ordered by nothing"


def _error(status: int, word: str, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "error": word, "message": message}, status=status)
