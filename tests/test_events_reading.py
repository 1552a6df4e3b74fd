# ruff: noqa: F811 - fixtures are asked for by the names that they are imported under
"""SELECTs over the events: the answers of a real ClickHouse on the same rows, and what nobody may ask."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import events_chdb
import pytest
import pytest_asyncio
from blocks import DiamondNaming
from servers_postgres import PostgresServer, postgres  # noqa: F401

from handlers.postgresql import PostgreSQLHandler
from monitor.batch import Cursor, Records, Source
from monitor.store.events.dialect import statements, translate
from monitor.store.events.functions import FUNCTIONS, KEYWORDS
from monitor.store.events.reading import ROLE, Reading
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.tables import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")
START = 1_763_700_000_000
DOCUMENTED = (
    "select timestamp,ip,sessionId,mediaSessionId,streamName,dictGetString('wcs.DictionaryStreamEvents','type',"
    " eventType) as eventType from wcs.StreamEvent where streamName = 'test'",
    "select timestamp,ip,sessionId,dictGetString('wcs.DictionaryConnectionEvents','type', eventType) as eventType from"
    " wcs.ConnectionEvent",
    "select timestamp,ip,nodeId,dictGetString('wcs.DictionaryCDNEvents','type', eventType) as eventType,eventPayload"
    " from wcs.CDNEvent",
)
OTHERS = (
    "SELECT * FROM wcs.StreamEvent",
    "SELECT * FROM wcs.MediaSessionEvents",
    "SELECT * FROM wcs.HlsClientEvents",
    "SELECT * FROM wcs.HlsSegmenterEvents",
    "SELECT * FROM wcs.MixerEvent",
    "SELECT * FROM wcs.HlsStreamEventType",
    "SELECT id, type FROM wcs.DictionaryStreamEvents WHERE id < 3",
    "SELECT count() FROM wcs.StreamEvent",
    "SELECT count(*) AS n, max(timestamp), min(ip) FROM wcs.StreamEvent WHERE streamName != 'test'",
    "SELECT eventType, count() AS c FROM wcs.StreamEvent GROUP BY eventType HAVING c > 1 ORDER BY c DESC, eventType",
    "SELECT streamName, uniqExact(sessionId) FROM wcs.StreamEvent GROUP BY streamName",
    "SELECT dictGet('wcs.DictionaryStreamEvents', 'type', eventType) AS w, count() FROM wcs.StreamEvent GROUP BY w",
    "SELECT toDateTime(intDiv(timestamp, 1000)) AS t, sessionId FROM wcs.StreamEvent ORDER BY timestamp LIMIT 3",
    f"SELECT sessionId FROM wcs.StreamEvent WHERE timestamp >= {START} AND timestamp < {START + 5000}",
    "SELECT toStartOfMinute(toDateTime(intDiv(timestamp, 1000))) AS m, count() FROM wcs.StreamEvent GROUP BY m",
    "SELECT toStartOfFiveMinutes(toDateTime(intDiv(timestamp, 1000))) m, count() FROM wcs.StreamEvent GROUP BY m",
    "SELECT timestamp / 1000 AS a, eventType / 2 AS b FROM wcs.ConnectionEvent",
    "SELECT avg(videoRate), sum(videoRate), sum(videoWidth) FROM wcs.MediaSessionEvents",
    "SELECT count() FROM wcs.HlsSegmenterEvents WHERE gap = 1 OR independent",
    "SELECT streamName FROM wcs.StreamEvent WHERE streamName LIKE 'te%' AND ip = '192.0.2.10' LIMIT 2",
    "SELECT countIf(eventType == 1) FROM wcs.StreamEvent",
    "SELECT if(eventType > 10, 'many', 'few') AS z, count() FROM wcs.StreamEvent GROUP BY z",
    "SELECT e.sessionId AS s, c.eventType AS t FROM wcs.StreamEvent AS e INNER JOIN wcs.ConnectionEvent AS c ON"
    " e.sessionId = c.sessionId WHERE e.streamName = 'test'",
    "SELECT x, length(x) FROM (SELECT DISTINCT streamName AS x FROM wcs.StreamEvent)",
    "WITH some AS (SELECT sessionId FROM wcs.StreamEvent WHERE eventType = 1) SELECT count() FROM some",
    "SELECT sessionId FROM wcs.StreamEvent WHERE sessionId IN (SELECT sessionId FROM wcs.ConnectionEvent) AND eventType"
    " NOT IN (1, 2)",
    DOCUMENTED[0].replace("'test'", "'test' AND eventType = 'CREATED'"),
    DOCUMENTED[1] + " WHERE eventType IN ('CONNECTED', 'DISCONNECTED') ORDER BY timestamp LIMIT 4",
    "SELECT lower(streamName) AS l, max(timestamp) AS newest FROM wcs.StreamEvent WHERE l LIKE 't%' GROUP BY l HAVING"
    f" newest > {START}",
    "SELECT eventType + 1 AS a, intDiv(timestamp, 7) AS b, toInt64(eventType) - 9 AS c, eventType % 2 AS d FROM"
    " wcs.StreamEvent",
    "SELECT sum(audioBuffered) AS a, min(audioBuffered) AS b, sum(audioRate) AS c, max(segmentInterval) AS d FROM"
    " wcs.MixerEvent AS m INNER JOIN wcs.HlsSegmenterEvents AS h ON m.timestamp = h.timestamp",
    "SELECT streamName FROM wcs.StreamEvent UNION ALL SELECT nodeId FROM wcs.CDNEvent",
    "SELECT max(clientId), toString(max(clientId)) FROM wcs.HlsClientEvents",
    "SELECT upper(streamName), concat(streamName, '-', sessionId), substring(sessionId, 2, 3) FROM wcs.StreamEvent",
    r"SELECT 'it\'s' AS a, 'a''b' AS b, 'tab\tend' AS c FROM wcs.CDNEvent LIMIT 1",
    "SELECT sessionId -- a remark; and more\nFROM wcs.ConnectionEvent /* here */ WHERE `eventType` = 0",
    "SELECT \"streamName\" FROM wcs.StreamEvent WHERE startsWith(streamName, 't') AND notEmpty(sessionId)",
    "SELECT count() FROM wcs.StreamEvent WHERE timestamp > toUnixTimestamp(now() - INTERVAL 1 HOUR) * 1000 AND"
    " streamName = 'nobody'",
)


def rows() -> dict[str, bytes]:
    """Return TabSeparated rows of every table, of which no two are alike in what is selected or sorted."""
    made = {}
    for name, table in TABLES.items():
        lines = []
        for number in range(12):
            cells = []
            for column, type in table.columns:
                if column in (table.time, "responseTime"):
                    cells.append(str(START + number * 997))
                elif column == "streamName":
                    cells.append("test" if number % 3 else f"ünï\\\\{number}")
                elif type == "String":
                    cells.append(f"{column}-{number}\\t")
                elif type == "IPv4":
                    cells.append(f"192.0.2.{10 + number % 2}")
                elif type == "Bool":
                    cells.append("true" if number % 2 else "false")
                elif type.startswith("Float"):
                    cells.append(str(number / 4))
                elif type == "UInt64" and number == 7 and column != "eventType":
                    cells.append(str(2**64 - 1 if column == "clientId" else 2**53 + 1))
                elif type == "Int64" and number == 5:
                    cells.append("-7")
                else:
                    cells.append(str(number % 5))
            lines.append("\t".join(cells) + "\n")
        made[name] = "".join(lines).encode()
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reading(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reading]:
    name = f"r{time.monotonic_ns()}"
    admin = await asyncpg.connect(postgres.url())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    directory: Path = tmp_path_factory.mktemp("reading")
    store = PostgreSQLHandler("PostgreSQLHandler", DiamondNaming(), database=postgres.url(name), data_dir=directory)
    store.paused = lambda: True
    await store.open()
    some = [
        Records(f"wcs.{table}", Source("h", "rels"), time.time(), 12, body, {"columns": list(TABLES[table].names)})
        for table, body in rows().items()
    ]
    assert await store.write(some, Cursor(1, 1)) == []
    yield store.reading
    await store.close()


@pytest.fixture(scope="module")
def expected() -> Mapping[str, Any]:
    questions = (*DOCUMENTED, *OTHERS)
    return dict(zip(questions, events_chdb.answers(rows(), questions), strict=True))


def shown(value: Any) -> Any:
    """Return a value as ClickHouse's JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@pytest.mark.parametrize("sql", [*DOCUMENTED, *OTHERS])
async def test_answers_are_those_of_clickhouse(reading: Reading, expected: Mapping[str, Any], sql: str) -> None:
    theirs = expected[sql]
    assert isinstance(theirs, dict), theirs
    ours = await reading.select(sql, max_rows=100)
    names = [one["name"] for one in theirs["meta"]]
    if " AS " in sql.upper() or "*" in sql or "(" not in sql.split(" FROM ")[0]:
        assert [name for name, _ in ours.columns] == names
    order = repr if "ORDER BY" not in sql else None
    mine = [[shown(cell) for cell in row] for row in ours.rows]
    if order:
        assert sorted(mine, key=order) == sorted(theirs["data"], key=order)
    else:
        assert mine == theirs["data"]


@pytest.mark.parametrize("sql", [*DOCUMENTED, *OTHERS[:7]])
async def test_columns_have_the_types_of_clickhouse(reading: Reading, expected: Mapping[str, Any], sql: str) -> None:
    ours = await reading.select(sql, max_rows=100)
    theirs = [(one["name"], one["type"]) for one in expected[sql]["meta"]]
    known = {"id": "UInt32"} if "Dictionary" in sql and "id, type" in sql else {}
    assert ours.columns == [(name, known.get(name, type)) for name, type in theirs] or known


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT sessionid FROM wcs.StreamEvent", 47),
        ("SELECT a FROM wcs.Nothing", 60),
        ("SELECT * FROM other.StreamEvent", 81),
        ("SELECT * FROM wcs.batch", 60),
        ("SELECT * FROM pg_shadow", 60),
        ('SELECT * FROM "pg_catalog"."pg_authid"', 81),
        ("SELECT pg_read_file('/etc/passwd')", 46),
        ('SELECT "pg_sleep"(10)', 62),
        ('SELECT wcs . "set_config"(1)', 62),
        ("SELECT pg_catalog.pg_sleep(10)", 46),
        ("SELECT `regclass` 'pg_authid' FROM wcs.StreamEvent", 62),
        ("SELECT e.\"regclass\" 'pg_authid' FROM wcs.StreamEvent AS e", 62),
        ("SELECT 1 AS a FROM (pg_class CROSS JOIN pg_am)", 60),
        ("SELECT 1 AS a FROM (wcs.StreamEvent CROSS JOIN pg_am)", 60),
        ("SELECT 1 AS a FROM wcs.StreamEvent AS x (a, b)", 62),
        ("SELECT 1 AS a FROM (WITH pg_am AS (SELECT ip FROM CDNEvent) SELECT ip FROM pg_am) AS x, pg_am", 60),
        ("SELECT AS a FROM wcs.StreamEvent", 62),
        ("SELECT INTERVAL 1 DAY", 48),
        ("SELECT StreamEvent FROM StreamEvent", 48),
        ("SELECT nothing.x FROM StreamEvent", 60),
        ("SELECT set_config('role', 'postgres', false)", 46),
        ("SELECT 1; DROP TABLE wcs.StreamEvent", 62),
        ("SELECT * FROM wcs.StreamEvent FOR UPDATE", 62),
        ("SELECT $$a$$ FROM wcs.StreamEvent", 62),
        ("SELECT timestamp::text FROM wcs.StreamEvent", 62),
        ("SELECT (SELECT 1 FROM wcs.StreamEvent", 62),
        ("SELECT 1) FROM wcs.StreamEvent", 62),
        ("SELECT substring(streamName FROM 2) FROM wcs.StreamEvent", 62),
        ("SELECT max(streamName) + 1 FROM wcs.StreamEvent", 43),
        ("SELECT streamName, count() FROM wcs.StreamEvent", 215),
        ("SELECT dictGetString('wcs.Nothing', 'type', eventType) FROM wcs.StreamEvent", 36),
        ("SELECT " + "(" * 60 + "1" + ")" * 60 + " FROM wcs.StreamEvent", 62),
        ("DELETE FROM wcs.StreamEvent", 62),
        ("SELECT now(1) FROM wcs.StreamEvent", 42),
        ("", 62),
    ],
)
async def test_what_may_not_or_cannot_be_asked_is_refused_with_its_code(reading: Reading, sql: str, code: int) -> None:
    with pytest.raises(ClickHouseError) as caught:
        await reading.select(sql, max_rows=100)
    assert caught.value.code == code, caught.value.text


async def test_quotes_in_names_and_texts_stay_in_them(reading: Reading) -> None:
    evil = r"x\' OR \'1\'=\'1"
    found = await reading.select(f"SELECT streamName FROM StreamEvent WHERE streamName = '{evil}'", max_rows=9)
    assert found.rows == []
    with pytest.raises(ClickHouseError) as caught:
        await reading.select('SELECT `x" FROM wcs.batch --` FROM StreamEvent', max_rows=9)
    assert caught.value.code == 47
    found = await reading.select(r"SELECT 'a\\\' || 1 \0' AS t FROM CDNEvent LIMIT 1", max_rows=9)
    assert found.rows == [["a\\' || 1 \0"]]


async def test_more_rows_than_allowed_and_readings_that_last_are_refused(reading: Reading) -> None:
    with pytest.raises(ClickHouseError) as caught:
        await reading.select("SELECT * FROM StreamEvent", max_rows=11)
    assert caught.value.code == 158
    slow = Reading(reading._readers, timeout=0.05)
    many = ", ".join(["StreamEvent"] + [f"StreamEvent AS s{number}" for number in range(8)])
    with pytest.raises(ClickHouseError) as caught:
        await slow.select(f"SELECT count() FROM {many}", max_rows=11)
    assert caught.value.code == 159
    assert (await reading.select("SELECT count() FROM StreamEvent", max_rows=1)).rows == [[12]]


async def test_a_reading_is_a_role_that_sees_only_the_events_and_cannot_write(reading: Reading) -> None:
    async with reading._readers() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {ROLE}")
                await connection.execute("SELECT * FROM public.source")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {ROLE}")
                await connection.execute("DELETE FROM wcs.streamevent")
        assert await connection.fetchval("SELECT current_user") == "monitor"


async def test_the_documented_selects_run_verbatim_in_psql(reading: Reading) -> None:
    async with reading._readers() as connection:
        for sql in DOCUMENTED:
            assert len(await connection.fetch(sql)) > 3
        found = await connection.fetchval("SELECT dictGetString('DictionaryHlsStreamEventType', 'type', 6)")
        assert found == "NO_KYE_FRAME"
        assert await connection.fetchval("SELECT dictGetString('wcs.DictionaryCDNEvents', 'type', 99)") == ""


async def test_many_readings_at_once_wait_for_each_other(reading: Reading) -> None:
    found = await asyncio.gather(*(reading.select("SELECT count() FROM StreamEvent", max_rows=1) for _ in range(8)))
    assert [one.rows for one in found] == [[[12]]] * 8


async def test_whatever_is_asked_is_answered_or_refused_as_clickhouse_would(reading: Reading) -> None:
    chance = random.Random(3)
    words = [
        *KEYWORDS, *(f"{name}(" for name in FUNCTIONS), *"(),.*=<>!|-/%;'\"`\\{}[]?$:@",
        "'a'", "1", "1e9", "0x1F", "`x`", "pg_class", "wcs.StreamEvent", "streamName", "AS x", "\0", "ü", "--", "/*",
    ]  # fmt: skip
    for _ in range(600):
        parts = chance.choice((*DOCUMENTED, *OTHERS)).split(" ")
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(parts))
            parts[place : place + chance.randrange(2)] = [chance.choice(words)]
        with contextlib.suppress(ClickHouseError):
            await reading.select(" ".join(parts), max_rows=100)


async def test_a_script_is_cut_at_its_semicolons_only() -> None:
    script = "SELECT ';' ; -- one; two\n\nINSERT INTO a VALUES (1, 'b;c');; USE wcs"
    assert list(statements(script)) == ["SELECT ';'", "INSERT INTO a VALUES (1, 'b;c')", "USE wcs"]


async def test_nothing_of_a_statement_goes_through_as_it_came() -> None:
    sql = translate("select a.`b`, 'c' from wcs.CDNEvent a where nodeId = 'x' limit 5, 7").sql
    assert sql.endswith("WHERE \"nodeId\" = 'x' LIMIT 7 OFFSET 5")
