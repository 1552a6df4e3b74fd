"""`monitor setup kibana`: objects to look at the documents with, through the API that imports saved ones."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import aiohttp

from handlers._elastic import kibana
from handlers._elastic.client import Client, Reply, checked
from handlers._elastic.setups import Asking, number_of
from monitor.handler import SetupError, option

SPACE = re.compile(r"[a-z0-9_-]{1,100}")
CONTROLS = (8, 3)
"""The first Kibana whose dashboards have controls of their own."""
LARGEST = 500
"""Objects in one import."""


class KibanaSetup(Asking):
    """Import a data view, a picture of every number of Sora's and a dashboard into Kibana or OpenSearch Dashboards."""

    pattern: str = option("", "indices of the data view; by default those of the handler's index")
    space: str = option("", "Kibana's space; empty is the default one")
    product: Literal["auto", "kibana", "kibana7", "opensearch"] = option(
        "auto", "what it is for: kibana is 8.3 and later; auto: what answers, for --print kibana"
    )

    def printed(self) -> str:
        flavour: kibana.Flavour = "kibana" if self.product == "auto" else self.product
        return kibana.ndjson(kibana.objects(self.indices(self.pattern), flavour)).decode()

    async def run(self, *, dry: bool) -> AsyncIterator[str]:
        if self.space and SPACE.fullmatch(self.space) is None:
            raise SetupError(f"--space: expected a space's identifier such as sora, got {self.space[:40]!r}")
        pattern = self.indices(self.pattern)
        async with await self.client([self.url or "http://localhost:5601"], 5601) as client:
            base = f"/s/{self.space}" if self.space else ""
            flavour, shown = await self._flavour(client, base)
            yield f"{client.url}: {shown}"
            found = list(kibana.objects(pattern, flavour))
            header = "osd-xsrf" if flavour == "opensearch" else "kbn-xsrf"
            for first in range(0, len(found), LARGEST) if not dry else ():
                # The data view goes with every part: what refers to it is refused without it.
                part = [*(found[:1] if first else ()), *found[first : first + LARGEST]]
                await self._import(client, base, header, part)
            counts = [sum(one["type"] == kind for one in found) for kind in ("visualization", "dashboard")]
            yield (
                f"{'would import' if dry else 'imported'} the data view {pattern}, {counts[0]} visualizations and"
                f" {counts[1]} dashboard, in the place of those of the same identifiers"
            )

    async def _flavour(self, client: Client, base: str) -> tuple[kibana.Flavour, str]:
        reply = checked(await client.ask("GET", f"{base}/api/status"), "its status", 200, 503)
        told = reply.json if isinstance(reply.json, dict) else {}
        number = str((told.get("version") or {}).get("number", ""))
        opensearch = "osd-name" in reply.headers or "osd-version" in reply.headers
        if not number and "kbn-name" not in reply.headers and not opensearch:
            raise SetupError(f"{client.url} is no Kibana: it gave {reply.text[:80]!r} for its status")
        if reply.status == 503:
            raise SetupError(f"{client.url}: Kibana is not ready yet; try again")
        flavour: kibana.Flavour = "kibana7"
        if opensearch:
            flavour = "opensearch"
        elif number_of(number) >= CONTROLS:
            flavour = "kibana"
        name = "OpenSearch Dashboards" if opensearch else "Kibana"
        return (flavour if self.product == "auto" else self.product), f"{name} {number}".strip()

    async def _import(self, client: Client, base: str, header: str, part: Sequence[kibana.Json]) -> None:
        with aiohttp.MultipartWriter("form-data") as form:
            file = form.append(kibana.ndjson(iter(part)), {"Content-Type": "application/ndjson"})
            file.set_content_disposition("form-data", name="file", filename="sora.ndjson")
            reply = await client.ask(
                "POST", f"{base}/api/saved_objects/_import", form, query={"overwrite": "true"}, headers={header: "true"}
            )
        checked(reply, "the import")
        told = reply.json if isinstance(reply.json, dict) else {}
        if told.get("success") is not True:
            raise SetupError(_refused(reply, told))


def _refused(reply: Reply, told: dict[str, Any]) -> str:
    errors = told.get("errors")
    if not isinstance(errors, list) or not errors:
        return f"the import: expected success, got {reply.text[:200]!r}"
    first = errors[0] if isinstance(errors[0], dict) else {}
    error = first.get("error") if isinstance(first.get("error"), dict) else {}
    words = ", ".join(f"{key} {error[key]}" for key in ("type", "message", "statusCode") if error and error.get(key))
    what = f"{first.get('type')} {first.get('id')}"
    return f"{len(errors)} of the objects were refused, the first: {what}: {words or 'without a reason'}"
