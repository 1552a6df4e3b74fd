"""`monitor setup clickhouse`: the database, the tables and dictionaries of WCS, and a table of numbers."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

from handlers._clickhouse import ddl
from handlers._clickhouse.target import addresses, literal
from handlers._elastic.client import Client
from monitor.handler import DeliveryError, Seconds, Setup, SetupError, option
from monitor.wire.clickhouse.tables import EXTRA

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
PATH = re.compile(r"(/[A-Za-z0-9_.{}-]{1,99}){1,20}")
PLAIN = re.compile(r"(Replacing)?MergeTree\b")
OLDEST = (21, 12)
"""The first ClickHouse with the type Bool."""


class Configured(Protocol):
    """What of the handler is of use here."""

    urls: list[str]
    username: str
    password: str
    database: str
    metrics: bool
    metrics_table: str

    def _made_context(self) -> ssl.SSLContext: ...


class ClickHouseSetup(Setup):
    """Make the tables and dictionaries of WCS in a ClickHouse, and one for numbers."""

    url: str = option("", "address to use instead of the handler's")
    username: str = option("", "user who may make tables, instead of the handler's")
    password: str = option("", "that user's password", secret=True)
    order: Literal["wcs", "search"] = option(
        "wcs", "what the tables are sorted by: as WCS's own document says, or what one searches by and then the time"
    )
    keep: int = option(0, "delete events after so many days; 0 keeps them", min=0, max=ddl.MOST_KEPT)
    extra: bool = option(False, "a column more, for what newer WCS servers send beside the known columns")
    metrics: bool = option(False, "make the table of numbers, too; also made where the handler sends them")
    metrics_keep: int = option(0, "delete numbers after so many days; 0 keeps them", min=0, max=ddl.MOST_KEPT)
    cluster: str = option("", "make replicated tables, and Distributed ones over them, on this cluster")
    path: str = option("/clickhouse/tables", "where the replicated tables meet in Keeper")
    dictionary_user: str = option("default", "user as whom the dictionaries read their tables")
    dictionary_password: str = option("", "that user's password", secret=True)
    dictionary_port: int = option(9000, "native port of the server, on which they do", min=1, max=65535)
    wait: Seconds = option(Seconds(300), "give up an answer after this long", min=1, max=3600)

    @property
    def configured(self) -> Configured:
        handler: Configured = self.handler
        return handler

    def form(self) -> ddl.Form:
        """Return what is wished; SetupError says which option is wrong."""
        own = self.configured
        for key, value in (
            ("--cluster", self.cluster or "c"),
            ("database", own.database),
            ("metrics_table", own.metrics_table),
        ):
            if NAME.fullmatch(value) is None:
                raise SetupError(f"{key}: expected a name of letters, digits and _, got {value[:40]!r}")
        if PATH.fullmatch(self.path) is None:
            raise SetupError(f"--path: expected something like /clickhouse/tables, got {self.path[:40]!r}")
        return ddl.Form(
            database=own.database, order=self.order, days=self.keep, extra=self.extra, cluster=self.cluster,
            path=self.path, user=self.dictionary_user, password=self.dictionary_password, port=self.dictionary_port,
            metrics=own.metrics_table if self.metrics or own.metrics else "", metrics_days=self.metrics_keep,
        )  # fmt: skip

    def printed(self) -> str:
        """Return the statements; a password stands in them as it was given."""
        form = self.form()
        made = ddl.everything(form)
        every = [ddl.database(form), *(text for one in made for text in (one.create, one.fill) if text)]
        return "".join(f"{text};\n\n" for text in every)

    async def run(self, *, dry: bool) -> AsyncIterator[str]:
        form = self.form()
        own = self.configured
        given = (self.username, self.password) if self.username else (own.username, own.password)
        try:
            urls, headers = addresses([self.url] if self.url else own.urls, *given)
        except DeliveryError as error:
            raise SetupError(str(error)) from error
        tls = None
        if any(url.startswith("https:") for url in urls):
            try:
                tls = await asyncio.to_thread(own._made_context)
            except OSError as error:  # which an ssl.SSLError is
                raise SetupError(f"expected usable TLS files: {error}") from error
        async with Client(urls, port=8123, headers=headers, tls=tls, timeout=float(self.wait)) as client:
            server = Server(client)
            version = await server.version()
            yield f"{client.url}: ClickHouse {version}"
            if form.cluster and not await server.has_cluster(form.cluster):
                raise SetupError(f"--cluster: {client.url} knows no cluster {form.cluster}")
            if not await server.has_database(form.database):
                if not dry:
                    await server.run("the database", ddl.database(form))
                yield f"database {form.database}: {_told('created', dry)}"
            there = await server.there(form.database)
            wrong = ""
            for one in ddl.everything(form):
                words, bad = await self._set_up(server, form, one, there.get(one.name), dry)
                wrong = wrong or bad
                yield f"{one.name}: {words}"
        if wrong:
            raise SetupError(wrong)

    async def _set_up(
        self, server: Server, form: ddl.Form, one: ddl.Made, found: Found | None, dry: bool
    ) -> tuple[str, str]:
        """Return what was done, and what is wrong with what is there; '' where nothing is."""
        if found is None:
            for text in (one.create, one.fill):
                if text and not dry:
                    await server.run(one.name, text)
            return _told("created", dry), ""
        place = f"{form.place(one.name)}{form.on}"
        done = []
        missing = [(name, type) for name, type in one.columns if name not in found.columns]
        if [name for name, _ in missing] == [EXTRA]:
            await server.run(one.name, f"ALTER TABLE {place} ADD COLUMN IF NOT EXISTS `extra` String", dry)
            done.append("column extra added")
            missing = []
        others = [
            f"has {name} as {there}, not as {type}"
            for name, type in one.columns
            if (there := found.columns.get(name, type)) != type
        ]
        if missing or others:
            text = f"has no column {missing[0][0]}" if missing else others[0]
            return text, f"{form.database}.{one.name} {text}; it is left as it is"
        if one.window and PLAIN.match(found.engine) and "_deduplication_window" not in found.engine:
            change = f"MODIFY SETTING non_replicated_deduplication_window = {ddl.WINDOW}"
            await server.run(one.name, f"ALTER TABLE {place} {change}", dry)
            done.append("inserts that come again are known from now on")
        if one.ttl and f" TTL {one.ttl.replace('`', '')}" not in found.engine:
            await server.run(one.name, f"ALTER TABLE {place} MODIFY TTL {one.ttl}", dry)
            done.append("TTL changed")
        if one.fill and await server.lacks(form, one):
            await server.run(one.name, one.fill, dry)
            done.append("rows added")
        told = ("would change: " if dry else "") + ", ".join(done) if done else "is as it should be"
        if one.order and found.order and found.order.strip("()") != ", ".join(one.order):
            told += f"; stays sorted by {found.order}, which cannot be changed"
        return told, ""


class Found:
    """A table as it is there."""

    def __init__(self, engine: str, order: str) -> None:
        self.engine = engine
        self.order = order
        self.columns: dict[str, str] = {}


class Server:
    """Asks and tells a ClickHouse."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self, what: str, sql: str, dry: bool = False) -> None:
        """Run a statement; SetupError says why it was refused."""
        if dry:
            return
        reply = await self._client.ask("POST", "/", query={"query": sql})
        if reply.status != 200 or reply.text.startswith("Code: "):
            hint = "; check the credentials" if reply.status in (401, 403) else ""
            raise SetupError(f"{what}: status {reply.status}: {reply.why}{hint}")

    async def rows(self, what: str, select: str) -> list[list[Any]]:
        sql = f"{select} FORMAT JSONCompact"
        reply = await self._client.ask("POST", "/", query={"query": sql})
        found = reply.json.get("data") if isinstance(reply.json, dict) else None
        if reply.status != 200 or not isinstance(found, list):
            hint = "; check the credentials" if reply.status in (401, 403) else ""
            raise SetupError(f"{what}: status {reply.status}: {reply.why}{hint}")
        return found

    async def version(self) -> str:
        rows = await self.rows("its version", "SELECT version()")
        version = str(rows[0][0])[:40] if rows and rows[0] else ""
        number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if number < OLDEST:
            raise SetupError(f"expected ClickHouse 21.12 or later, which has the type Bool, got {version!r}")
        return version

    async def has_cluster(self, name: str) -> bool:
        select = f"SELECT 1 FROM system.clusters WHERE cluster = {literal(name)} LIMIT 1"  # noqa: S608 - texts in it are quoted
        return bool(await self.rows("its clusters", select))

    async def has_database(self, name: str) -> bool:
        return bool(await self.rows("its databases", f"SELECT 1 FROM system.databases WHERE name = {literal(name)}"))  # noqa: S608 - texts in it are quoted

    async def there(self, database: str) -> dict[str, Found]:
        """Return the tables that there are."""
        where = f"WHERE database = {literal(database)}"
        tables = await self.rows("its tables", f"SELECT name, engine_full, sorting_key FROM system.tables {where}")  # noqa: S608 - texts in it are quoted
        found = {str(name): Found(str(engine), str(order)) for name, engine, order in tables}
        for table, name, type in await self.rows(
            "its columns", f"SELECT table, name, type FROM system.columns {where}"  # noqa: S608 - texts in it are quoted
        ):  # fmt: skip
            if table in found:
                found[table].columns[str(name)] = str(type)
        return found

    async def lacks(self, form: ddl.Form, one: ddl.Made) -> bool:
        """Tell whether rows of a table of names are missing."""
        where = one.fill.partition(" SELECT ")[2].partition(" FROM ")[2]
        return int((await self.rows(one.name, f"SELECT count() FROM {where}"))[0][0]) > 0  # noqa: S608 - texts in it are quoted


def _told(word: str, dry: bool) -> str:
    return f"would be {word}" if dry else word
