"""`monitor setup clickhouse` against a real engine of ClickHouse: the tables and dictionaries of WCS."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance import free_port
from clickhouse_target import ClickHouse, opened
from events_chdb import ddl as seed
from servers_clickhouse import clickhouse

from handlers._clickhouse import ddl
from monitor.cli import main
from monitor.wire.clickhouse.tables import EVENTS, TABLES, WORDS

KEY = "trim(BOTH '()' FROM sorting_key)"
SAME = "is as it should be"
EVERYTHING = [table.name for table in EVENTS] + [name for one in WORDS for name in (one.table, one.name)]


class Ran:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def told(self) -> dict[str, str]:
        """What is said of each table."""
        return dict(line.split(": ", 1) for line in self.out.splitlines()[1:])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    port = free_port()
    with clickhouse(tmp_path_factory.mktemp("clickhouse"), port):
        yield ClickHouse(port)


@pytest.fixture
def run(engine: ClickHouse, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run `monitor setup clickhouse` for a configuration with the handler."""
    file = tmp_path / "monitor.conf"

    async def command(*arguments: str, database: str = "wcs", config: str = "") -> Ran:
        urls = "" if "urls" in config else f"urls = http://127.0.0.1:{engine.port}\n"
        file.write_text(
            f"[server]\ndata_dir = {tmp_path}\nhandlers = ClickHouseHandler\n[handlers]\n[[ClickHouseHandler]]\n"
            f"database = {database}\n{urls}{config}"
        )
        try:
            code = await asyncio.to_thread(main, ["setup", "clickhouse", *arguments, "-c", str(file)])
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return command


async def structure(engine: ClickHouse, database: str) -> Any:
    """Return the columns of everything in a database, in order, and what tables are sorted by."""
    where = f"FROM system.columns WHERE database = '{database}' ORDER BY table, position FORMAT JSONCompact"
    columns = json.loads(await engine.ask(f"SELECT table, name, type, default_expression {where}"))["data"]
    where = f"FROM system.tables WHERE database = '{database}' ORDER BY name FORMAT JSONCompact"
    return columns, json.loads(await engine.ask(f"SELECT name, engine, {KEY}, partition_key {where}"))["data"]


async def test_what_is_made_is_what_wcs_itself_describes_and_twice_changes_nothing(
    run: Any, engine: ClickHouse
) -> None:
    first = await run(database="twice")
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines()[0] == f"http://127.0.0.1:{engine.port}: ClickHouse 26.9.2.1"
    assert first.told == {"database twice": "created", **dict.fromkeys(EVERYTHING, "created")}
    assert await structure(engine, "twice") == await structure(engine, "wcs")
    again = await run(database="twice")
    assert (again.code, again.told) == (0, dict.fromkeys(EVERYTHING, SAME))
    for one in WORDS:
        body = await engine.ask(f"SELECT id, type FROM twice.{one.table} ORDER BY id FORMAT TabSeparated")
        assert body.decode() == "".join(f"{id}\t{word}\n" for id, word in one.words.items())
        assert await engine.ask(f"SELECT dictGetString('twice.{one.name}', 'type', toUInt64(0))") == (
            f"{one.words[0]}\n".encode()
        )


async def test_a_dry_run_changes_nothing(run: Any, engine: ClickHouse) -> None:
    dry = await run("--dry-run", "--metrics", database="dry")
    assert dry.code == 0
    names = ["database dry", *EVERYTHING, "metrics"]
    assert dry.told == dict.fromkeys(names, "would be created")
    assert await engine.number("SELECT count() FROM system.databases WHERE name = 'dry'") == 0
    # and where WCS's own tables are there, nothing but what notices repeats is added
    before = await structure(engine, "wcs")
    told = (await run("--dry-run", "--keep", "30", "--extra")).told
    assert told["StreamEvent"] == (
        "would change: column extra added, inserts that come again are known from now on, TTL changed"
    )
    assert await structure(engine, "wcs") == before


async def test_what_is_printed_runs_as_it_is_and_asks_nobody(run: Any, engine: ClickHouse) -> None:
    nobody = f"urls = http://127.0.0.1:{free_port()}\nmetrics = True\n"
    printed = await run("--print", "--order", "search", "--keep", "30", database="printed", config=nobody)
    assert (printed.code, printed.err) == (0, "")
    statements = printed.out.split(";\n\n")[:-1]
    for _ in range(2):
        for statement in statements:
            await engine.ask(statement)
    assert await engine.number("SELECT count() FROM printed.StreamEventTypes") == 32
    done = await run("--order", "search", "--keep", "30", "--metrics", database="printed")
    assert (done.code, set(done.told.values())) == (0, {SAME})


async def test_tables_to_search_in_end_with_the_time_and_let_old_days_go(run: Any, engine: ClickHouse) -> None:
    done = await run("--order", "search", "--keep", "7", "--metrics", "--metrics-keep", "400", database="search")
    assert done.code == 0, done.err
    found = {name: (order, part) for name, _, order, part in (await structure(engine, "search"))[1]}
    for table in EVENTS:
        order, part = found[table.name]
        assert order.endswith(f", {table.time}")
        assert part == f"toYYYYMMDD(toDateTime(least(intDiv({table.time}, 1000), 3600000000)))"
    assert found["metrics"] == ("collector, name, host, instance, time", "toYYYYMM(toDateTime(time))")
    now = int(await engine.ask("SELECT toUnixTimestamp(now())")) * 1000
    for stamp in (now, now - 8 * 86_400_000, 2**64 - 1):
        await engine.ask(f"INSERT INTO search.MixerEvent (timestamp) VALUES ({stamp})")
    await engine.ask("OPTIMIZE TABLE search.MixerEvent FINAL")
    kept = {int(row) for row in (await engine.ask("SELECT timestamp FROM search.MixerEvent")).split()}
    assert kept == {now, 2**64 - 1}
    # a shorter time is put in place of the old one, and sorting stays as it was
    other = await run("--keep", "3", "--metrics", database="search")
    assert other.told["StreamEvent"] == (
        "TTL changed; stays sorted by streamName, mediaSessionId, timestamp, which cannot be changed"
    )
    assert other.told["metrics"] == SAME
    engines = await engine.ask(
        "SELECT engine_full FROM system.tables WHERE name = 'StreamEvent' AND database = 'search'"
    )
    assert b"toIntervalDay(3)" in engines
    assert (await run("--keep", "3", "--order", "search", database="search")).told["StreamEvent"] == SAME


async def test_tables_that_wcs_made_get_what_is_missing_and_keep_their_rows(run: Any, engine: ClickHouse) -> None:
    for statement in seed():
        await engine.ask(re.sub(r"\bwcs\b", "older", statement))
    await engine.ask("INSERT INTO older.CDNEvent VALUES (1, '1.2.3.4', 'n', 1, 'p')")
    await engine.ask("ALTER TABLE older.CDNEventTypes DELETE WHERE id = 1 SETTINGS mutations_sync = 2")
    await engine.ask("DROP TABLE older.MixerEvent")
    done = await run("--extra", database="older")
    assert (done.code, done.err) == (0, "")
    assert done.told["CDNEvent"] == "column extra added, inserts that come again are known from now on"
    assert (done.told["CDNEventTypes"], done.told["MixerEvent"]) == ("rows added", "created")
    assert (done.told["StreamEventTypes"], done.told["DictionaryCDNEvents"]) == (SAME, SAME)
    assert await engine.ask("SELECT * FROM older.CDNEvent") == b"1\t1.2.3.4\tn\t1\tp\t\n"
    assert set((await run("--extra", database="older")).told.values()) == {SAME}


async def test_a_table_of_another_shape_is_left_as_it_is_and_told(run: Any, engine: ClickHouse) -> None:
    await engine.ask("CREATE DATABASE shapes")
    await engine.ask("CREATE TABLE shapes.StreamEvent (timestamp UInt64) ENGINE = MergeTree ORDER BY timestamp")
    columns = ", ".join(f"{name} String" for name in TABLES["CDNEvent"].names)
    await engine.ask(f"CREATE TABLE shapes.CDNEvent ({columns}) ENGINE = MergeTree ORDER BY timestamp")
    done = await run(database="shapes")
    assert done.code == 1
    assert done.err == "error: shapes.StreamEvent has no column ip; it is left as it is\n"
    assert done.told["CDNEvent"] == "has timestamp as String, not as UInt64"
    assert done.told["MixerEvent"] == "created"


async def test_on_a_cluster_tables_are_replicated_and_one_stands_over_all(run: Any, engine: ClickHouse) -> None:
    printed = await run("--print", "--cluster", "video", "--metrics", "--keep", "30", "--path", "/ch/{installation}")
    assert printed.code == 0
    statements = printed.out.split(";\n\n")[:-1]
    for statement in statements:  # each is what the engine's own parser takes
        shown = statement.replace("\\", "\\\\").replace("'", "\\'")
        await engine.ask(f"SELECT formatQuery('{shown}')")
        assert "ON CLUSTER `video`" in statement or statement.startswith("INSERT INTO")
    text = printed.out
    assert "ENGINE = ReplicatedMergeTree('/ch/{installation}/{shard}/wcs/StreamEvent', '{replica}')" in text
    assert "ENGINE = ReplicatedMergeTree('/ch/{installation}/wcs/StreamEventTypes', '{shard}_{replica}')" in text
    assert "ReplicatedReplacingMergeTree('/ch/{installation}/{shard}/wcs/metrics', '{replica}')" in text
    assert "ENGINE = Distributed('video', 'wcs', 'StreamEvent_local', cityHash64(`streamName`))" in text
    # without the cluster and its macros a table gets as far as asking for Keeper
    form = ddl.Form(database="wcs", cluster="video")
    (create,) = (one.create for one in ddl.everything(form) if one.name == "StreamEvent_local")
    assert "replicated_deduplication_window_seconds = 604800" in create
    create = create.replace(" ON CLUSTER `video`", "").replace("{shard}", "1").replace("{replica}", "a")
    with pytest.raises(OSError) as raised:
        await engine.ask(create)
    assert "ZooKeeper" in raised.value.fp.read().decode()  # type: ignore[attr-defined]
    done = await run("--cluster", "video")
    assert (done.code, done.out) == (1, f"http://127.0.0.1:{engine.port}: ClickHouse 26.9.2.1\n")
    assert done.err == f"error: --cluster: http://127.0.0.1:{engine.port} knows no cluster video\n"


@pytest.mark.parametrize(
    ("arguments", "config", "code", "text"),
    [
        (["--keep", "soon"], "", 2, "--keep: expected a whole number from 0 to 7300, got 'soon'"),
        (["--order", "time"], "", 2, "--order: expected"),
        (["--cluster", "a'b"], "", 1, '--cluster: expected a name of letters, digits and _, got "a\'b"'),
        (["--path", "x"], "", 1, "--path: expected something like /clickhouse/tables, got 'x'"),
        ([], "metrics_table = a b\n", 1, "metrics_table: expected a name of letters, digits and _, got 'a b'"),
        (["--url", "ftp://x"], "", 1, "expected addresses of the form http://HOST:8123"),
        (["--password-file", "/nowhere"], "", 2, "--password-file: /nowhere cannot be read"),
        ([], "urls = http://u:secret@127.0.0.1:1\n", 69, "no answer from http://127.0.0.1:1"),
        ([], "urls = https://127.0.0.1:1\ntls_ca = /nowhere\n", 1, "expected usable TLS files"),
    ],
)
async def test_what_is_wrong_is_told_with_a_code_of_its_own(
    run: Any, arguments: list[str], config: str, code: int, text: str
) -> None:
    done = await run(*arguments, database="wrong", config=config)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "secret" not in done.err


async def test_credentials_are_the_handlers_or_those_given_here(run: Any, engine: ClickHouse, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("root's\n")
    async with opened(engine, user="admin", key="root's") as door:
        config = f"urls = {door.url}\nusername = wcs\npassword = hidden\n"
        refused = await run("--dry-run", database="who", config=config)
        assert refused.code == 1
        assert "its version: status 403: Code: 516" in refused.err
        assert "check the credentials" in refused.err
        assert "hidden" not in refused.err
        done = await run("--dry-run", "--username", "admin", "--password-file", str(key), database="who", config=config)
        assert done.code == 0, done.err


async def test_the_dictionaries_read_as_the_user_who_is_named(run: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("it's")
    options = ["--dictionary-user", "reader", "--dictionary-password-file", str(key), "--dictionary-port", "9440"]
    printed = await run("--print", *options)
    source = (
        "SOURCE(CLICKHOUSE(host 'localhost' port 9440 user 'reader' password 'it\\'s' db 'wcs' table 'CDNEventTypes'))"
    )
    assert source in printed.out


async def test_what_is_no_clickhouse_or_too_old_a_one_is_told(run: Any, engine: ClickHouse) -> None:
    async with opened(engine) as door:
        door.answer = (200, "<html>")
        done = await run(config=f"urls = {door.url}\n")
        assert (done.code, done.err) == (1, "error: its version: status 200: <html>\n")
        door.answer = (200, '{"data": [["20.3.1.1"]]}')
        done = await run(config=f"urls = {door.url}\n")
        assert done.code == 1
        assert "expected ClickHouse 21.12 or later, which has the type Bool, got '20.3.1.1'" in done.err
