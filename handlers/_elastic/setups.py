"""`monitor setup elasticsearch`: an index template, and a policy that lets old indices go."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

import orjson

from handlers._elastic import template
from handlers._elastic.client import Client, authorization, checked
from monitor.handler import Seconds, Setup, SetupError, option

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
AGE = re.compile(r"\d{1,6}[smhd]")
SIZE = re.compile(r"\d{1,6}(kb|mb|gb|tb)")
OLDEST = (7, 8)
"""The first Elasticsearch with composable index templates."""
POLICIES = (7, 16)
"""The first whose lifecycle policies say who made them."""


class Configured(Protocol):
    """What of the handler is of use here."""

    urls: list[str]
    index: str
    username: str
    password: str
    api_key: str
    token: str

    def _made_context(self) -> ssl.SSLContext: ...


class Asking(Setup):
    """What both have in common: whom to ask, and as whom. What is not given is as the handler's section says."""

    url: str = option("", "address to use instead of the handler's")
    username: str = option("", "user for basic authentication, instead of the handler's credentials")
    password: str = option("", "that user's password", secret=True)
    api_key: str = option("", "API key: ID:KEY, or both as they are encoded", secret=True)
    token: str = option("", "bearer token", secret=True)
    wait: Seconds = option(Seconds(60), "give up an answer after this long", min=1, max=600)

    @property
    def configured(self) -> Configured:
        handler: Configured = self.handler
        return handler

    async def client(self, urls: Sequence[str], port: int) -> Client:
        own = self if (self.username or self.api_key or self.token) else self.configured
        headers = authorization(
            username=own.username, password=own.password, api_key=own.api_key, token=own.token
        )  # fmt: skip
        tls = None
        if any(url.startswith("https:") for url in urls):
            try:
                tls = await asyncio.to_thread(self.configured._made_context)
            except OSError as error:  # which an ssl.SSLError is
                raise SetupError(f"expected usable TLS files: {error}") from error
        return Client(urls, port=port, headers=headers, tls=tls, timeout=float(self.wait))

    def indices(self, given: str) -> str:
        """Return the pattern of the indices."""
        try:
            return given or template.pattern_of(self.configured.index)
        except ValueError as error:
            raise SetupError(f"index: {error}") from error


class ElasticsearchSetup(Asking):
    """Put the index template, and a lifecycle policy where one is wished, into Elasticsearch or OpenSearch."""

    name: str = option("sorabeat", "what the template, and the policy, is called")
    pattern: str = option("", "indices that it is for; by default those of the handler's index")
    priority: int = option(200, "the template with the greatest counts", min=0, max=1_000_000)
    shards: int = option(1, "shards of an index", min=1, max=1024)
    replicas: int | None = option(None, "replicas of an index; none: as the cluster says", min=0, max=100)
    fields_limit: int = option(5000, "fields that an index may have", min=1000, max=100_000)
    data_stream: bool = option(False, "make data streams; the handler's index then needs to be one name")
    keep: str = option("", "lifecycle policy: delete indices after this long, such as 30d; empty: no policy")
    rollover: str = option("1d", "with a policy and data streams: begin a new index after this long")
    rollover_size: str = option("50gb", "or when a shard is larger than this")
    product: Literal["elasticsearch", "opensearch"] = option("elasticsearch", "what --print is for")
    overwrite: bool = option(False, "replace a template or policy of the same name that was not made here")

    def checked(self) -> list[str]:
        """Return the patterns; SetupError says which option is wrong."""
        for key, value, form, example in (
            ("--name", self.name, NAME, "sorabeat"),
            ("--keep", self.keep or "1d", AGE, "30d"),
            ("--rollover", self.rollover, AGE, "1d"),
            ("--rollover-size", self.rollover_size, SIZE, "50gb"),
        ):
            if form.fullmatch(value) is None:
                raise SetupError(f"{key}: expected something like {example}, got {value[:40]!r}")
        pattern = self.indices(self.pattern)
        if self.data_stream and not self.pattern and not template.is_fixed(self.configured.index):
            raise SetupError(
                "--data-stream: expected the handler's index to be one name, or {module} and {metricset} in it and"
                f" --pattern; a data stream has no day in its name: {self.configured.index!r}"
            )
        return [part.strip() for part in pattern.split(",")]

    def bodies(self, *, opensearch: bool) -> tuple[template.Json, template.Json | None]:
        """Return the template and the policy."""
        patterns = self.checked()
        kept = None
        if self.keep and opensearch:
            kept = template.state_policy(
                patterns, self.keep, self.rollover, self.rollover_size,
                priority=self.priority, data_stream=self.data_stream,
            )  # fmt: skip
        elif self.keep:
            kept = template.policy(self.keep, self.rollover, self.rollover_size, data_stream=self.data_stream)
        made = template.template(
            patterns, shards=self.shards, replicas=self.replicas, priority=self.priority,
            fields_limit=self.fields_limit,
            data_stream=self.data_stream, policy=self.name if self.keep and not opensearch else "",
        )  # fmt: skip
        return made, kept

    def printed(self) -> str:
        opensearch = self.product == "opensearch"
        made, kept = self.bodies(opensearch=opensearch)
        parts = [(f"PUT {self._policy_path(opensearch)}", kept)] if kept else []
        parts.append((f"PUT /_index_template/{self.name}", made))
        pretty = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return "\n".join(f"{call}\n{orjson.dumps(body, option=pretty).decode()}" for call, body in parts)

    def _policy_path(self, opensearch: bool) -> str:
        return f"/_plugins/_ism/policies/{self.name}" if opensearch else f"/_ilm/policy/{self.name}"

    async def run(self, *, dry: bool) -> AsyncIterator[str]:
        self.checked()
        urls = [self.url] if self.url else self.configured.urls
        async with await self.client(urls, 9200) as client:
            opensearch, version = await product(client)
            yield f"{client.url}: {'OpenSearch' if opensearch else 'Elasticsearch'} {version}"
            if self.keep and not opensearch and number_of(version) < POLICIES:
                raise SetupError(f"--keep: expected Elasticsearch 7.16 or later, got {version}")
            made, kept = self.bodies(opensearch=opensearch)
            if kept is not None:
                put = self._state_policy if opensearch else self._policy
                yield f"policy {self.name}: {await put(client, kept, dry)}"
            yield f"template {self.name}: {await self._template(client, made, dry)}"

    async def _template(self, client: Client, made: template.Json, dry: bool) -> str:
        path = f"/_index_template/{self.name}"
        reply = checked(await client.ask("GET", path), "the template", 200, 404)
        found: Any = None
        if reply.status == 200 and isinstance(reply.json, dict):
            every = reply.json.get("index_templates") or [{}]
            found = every[0].get("index_template", {}).get("_meta") or {}
        word = self._compared("template", found, made["_meta"])
        if word and not dry:
            checked(await client.ask("PUT", path, made), "the template")
        return _told(word, dry)

    async def _policy(self, client: Client, made: template.Json, dry: bool) -> str:
        path = self._policy_path(opensearch=False)
        reply = checked(await client.ask("GET", path), "the policy", 200, 404)
        found: Any = None
        if reply.status == 200 and isinstance(reply.json, dict):
            found = reply.json.get(self.name, {}).get("policy", {}).get("_meta") or {}
        word = self._compared("policy", found, made["policy"]["_meta"])
        if word and not dry:
            checked(await client.ask("PUT", path, made), "the policy")
        return _told(word, dry)

    async def _state_policy(self, client: Client, made: template.Json, dry: bool) -> str:
        path = self._policy_path(opensearch=True)
        reply = checked(await client.ask("GET", path), "the policy", 200, 404)
        found: Any = None
        query: dict[str, str] = {}
        if reply.status == 200 and isinstance(reply.json, dict):
            told = str(reply.json.get("policy", {}).get("description", ""))
            ours = told.startswith(f"{template.OWNER} ")
            found = {"made_by": template.OWNER, "state": told.rpartition(" ")[2]} if ours else {}
            query = {
                "if_seq_no": str(reply.json.get("_seq_no", 0)),
                "if_primary_term": str(reply.json.get("_primary_term", 1)),
            }
        state = made["policy"]["description"].rpartition(" ")[2]
        word = self._compared("policy", found, {"made_by": template.OWNER, "state": state})
        if word and not dry:
            checked(await client.ask("PUT", path, made, query=query), "the policy", 200, 201)
        return _told(word, dry)

    def _compared(self, what: str, found: Any, made: template.Json) -> str:
        """Return what is to be done; '' where what is there is the same. `found` is None where there is nothing."""
        if found is None:
            return "created"
        if found == made:
            return ""
        if found.get("made_by") != template.OWNER and not self.overwrite:
            raise SetupError(f"there is a {what} {self.name} that was not made here: --overwrite replaces it")
        return "replaced"


async def product(client: Client) -> tuple[bool, str]:
    """Return whether it is OpenSearch, and its version; SetupError where it is too old, or something else."""
    reply = checked(await client.ask("GET", "/"), "its version")
    told = reply.json.get("version") if isinstance(reply.json, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("number"), str):
        raise SetupError(f"{client.url} is no Elasticsearch: it gave {reply.text[:80]!r} for its version")
    opensearch = told.get("distribution") == "opensearch"
    number = told["number"]
    if not opensearch and number_of(number) < OLDEST:
        raise SetupError(f"expected Elasticsearch 7.8 or later, which has composable templates, got {number[:20]}")
    return opensearch, number[:20]


def number_of(text: str) -> tuple[int, ...]:
    """Return major and minor of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", text[:20])[:2])


def _told(word: str, dry: bool) -> str:
    if not word:
        return "is as it should be"
    return f"would be {word}" if dry else word
