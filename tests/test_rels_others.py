"""Tables that WCS did not have when this was written, and columns that later versions send."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import Appliance, appliance, free_port, wait_for
from rels_parts import receiving

from monitor.receivers.rels_tables import MOST_TABLES, OtherTables
from monitor.wire.clickhouse.create import Create
from monitor.wire.clickhouse.errors import ClickHouseError
from monitor.wire.clickhouse.formats import write
from monitor.wire.clickhouse.tables import TABLES
from monitor.wire.clickhouse.types import columns

CONFIG = "[receivers]\n[[rels]]\nlisten = 127.0.0.1:{port}\npassword = wcs\nunknown_tables = create\n"
CREATE = "unknown_tables = create"
HOOKS = """CREATE TABLE IF NOT EXISTS wcs.RestHooksEvent (
    sendTime UInt64 CODEC(Delta, ZSTD(1)), `responseTime` UInt64 DEFAULT toUInt64(0), appKey LowCardinality(String),
    method String COMMENT 'of the hook, (or so)', ip IPv4, ok Bool, took Float32, at Nullable(DateTime),
    INDEX one appKey TYPE bloom_filter GRANULARITY 1
) ENGINE = MergeTree() ORDER BY (sendTime)"""
NOW = int(time.time() * 1000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, int]]:
    port = free_port()
    with appliance(tmp_path_factory.mktemp("others"), CONFIG.format(port=port)) as one:
        yield one, port


def ask(port: int, query: str, body: bytes = b"") -> str:
    given = urllib.parse.urlencode({"user": "wcs", "password": "wcs", "database": "wcs", "query": query})
    request = urllib.request.Request(f"http://127.0.0.1:{port}/?{given}", data=body or b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode("utf-8", "backslashreplace"))
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


def test_a_later_versions_sessions_keep_their_two_columns_more(running: tuple[Appliance, int]) -> None:
    one, port = running
    plain = [f"{NOW}", "10.0.0.7", "later", "test", *"1234567890123456"]
    wide = "\t".join([*plain, "7", "8", "1.25", "0.5"])
    assert len(TABLES["MediaSessionEvents"].columns) == wide.count("\t") - 1
    names = ", ".join([*TABLES["MediaSessionEvents"].names, "audioPlaybackSpeed", "videoPlaybackSpeed"])
    values = ", ".join(cell if cell.replace(".", "", 1).isdigit() else f"'{cell}'" for cell in wide.split("\t"))
    assert ask(port, "INSERT INTO MediaSessionEvents FORMAT TabSeparated", f"{wide}\n".encode() * 2) == ""
    assert ask(port, f"INSERT INTO MediaSessionEvents ({names}) FORMAT TabSeparated", f"{wide}\n".encode()) == ""
    assert ask(port, f"INSERT INTO wcs.MediaSessionEvents VALUES ({values})") == ""
    compact = (
        "[" + ", ".join(cell if cell.replace(".", "", 1).isdigit() else f'"{cell}"' for cell in wide.split("\t")) + "]"
    )
    quoted = ",".join(f'"{cell}"' for cell in wide.split("\t"))
    assert ask(port, "INSERT INTO MediaSessionEvents FORMAT JSONCompactEachRow", compact.encode()) == ""
    assert ask(port, "INSERT INTO MediaSessionEvents FORMAT CSV", quoted.encode()) == ""
    narrow = "\t".join([*plain, "7", "8"])
    assert ask(port, "INSERT INTO MediaSessionEvents FORMAT TabSeparated", f"{narrow}\n".encode()) == ""
    assert "Code: 27." in ask(port, "INSERT INTO MediaSessionEvents FORMAT TabSeparated", f"{wide}\t9\n".encode())

    def found() -> list[object]:
        page = one.json("/api/v1/events/MediaSessionEvents", media_session="later", end="now+1min")
        return [event["extra"] for event in page["events"]] if len(page["events"]) == 7 else []

    speeds = {"audioPlaybackSpeed": 1.25, "videoPlaybackSpeed": 0.5}
    wanted = [None, *[speeds] * 6]
    assert sorted(wait_for(found, 20), key=str) == wanted


def test_a_table_that_was_created_takes_rows_in_every_way_and_is_read(running: tuple[Appliance, int]) -> None:
    one, port = running
    assert ask(port, HOOKS) == ""
    assert ask(port, "DESCRIBE TABLE RestHooksEvent FORMAT CSV").splitlines()[6:] == [
        '"took","Float32","","","","",""', '"at","String","","","","",""',
    ]  # fmt: skip
    head = ask(port, "SELECT * FROM wcs.RestHooksEvent WHERE 0 FORMAT TabSeparatedWithNames")
    assert head == "sendTime\tresponseTime\tappKey\tmethod\tip\tok\ttook\tat\n"
    row = b"18446744073709551615\t2\tapp\\tkey\t\\\\N \xff\\0\t10.0.0.1\ttrue\tnan\t2026-01-02 03:04:05\n"
    assert ask(port, "INSERT INTO RestHooksEvent FORMAT TabSeparated", row) == ""
    kinds = columns([("sendTime", "UInt64"), ("method", "String"), ("ok", "Bool")])
    binary = write("RowBinary", kinds, [[5, "binary", True], [6, "binary", False]])
    assert ask(port, "INSERT INTO RestHooksEvent (sendTime, method, ok) FORMAT RowBinary", binary) == ""
    lines = b'{"sendTime": "7", "method": "json", "new": {"a": [1]}}\n{}\n'
    assert ask(port, "INSERT INTO RestHooksEvent FORMAT JSONEachRow", lines) == ""
    assert "Code: 27." in ask(port, "INSERT INTO RestHooksEvent FORMAT TabSeparated", b"x" + row)
    query = "SELECT sendTime, appKey, ip, ok, took, at FROM RestHooksEvent WHERE sendTime > 4 ORDER BY sendTime"
    rows = "5\t\t0.0.0.0\ttrue\t0\t\n6\t\t0.0.0.0\tfalse\t0\t\n7\t\t0.0.0.0\tfalse\t0\t\n"
    rows += "18446744073709551615\tapp\\tkey\t10.0.0.1\ttrue\tnan\t2026-01-02 03:04:05\n"
    assert wait_for(lambda: (found := ask(port, query)) == rows and found, 20) == rows
    counts = ask(port, "SELECT method, count() FROM RestHooksEvent GROUP BY method ORDER BY 2, 1 FORMAT CSV")
    assert counts == '"",1\n"\\N \\xff\0",1\n"json",1\n"binary",2\n'
    assert json.loads(ask(port, "SELECT extra FROM RestHooksEvent WHERE sendTime = 7 FORMAT TSVRaw"))["new"] == {
        "a": [1]
    }
    page = one.json("/api/v1/events/RestHooksEvent", end="now+1min", limit=3)
    rest = one.json("/api/v1/events/RestHooksEvent", end="now+1min", after=page["next"])
    assert (len(page["events"]), len(rest["events"]), rest["next"]) == (3, 2, None)
    whole = page["events"] + rest["events"]
    assert {event["server"] for event in whole} == {"127.0.0.1"}
    assert sorted(event["row"].get("method", "") for event in whole)[:4] == [
        "",
        "\\N \U0010ffff\U0010ff00",
        "binary",
        "binary",
    ]
    assert one.get("/api/v1/events/RestHooksEvent?stream=x")[0] == 400
    assert one.get("/api/v1/events/Nothing")[0] == 404
    assert "Code: 47." in ask(port, "SELECT nothing FROM RestHooksEvent")
    assert "RestHooksEvent" in ask(port, "SELECT * FROM wcs.RestHooksEvents") and "Code: 60." in ask(
        port, "SELECT * FROM wcs.other"
    )


def test_a_table_that_nothing_created_has_the_columns_of_its_first_rows(running: tuple[Appliance, int]) -> None:
    one, port = running
    assert ask(port, "INSERT INTO PlaybackBuffer FORMAT TabSeparated", b"1\ta\n2\tb\n") == ""
    assert ask(port, "INSERT INTO wcs.Named (timestamp, name) VALUES (5, 'x'), (6, 'it''s')") == ""
    assert ask(port, "INSERT INTO Objects FORMAT JSONEachRow", b'{"n": 9007199254740993, "odd name": 1}') == ""
    assert "Code: 60." in ask(port, "INSERT INTO Unnamed FORMAT RowBinary", b"\0\0")
    # As the program knows them after a kill, too.
    one.kill()
    one.start()
    assert ask(port, "INSERT INTO PlaybackBuffer FORMAT TabSeparated", b"3\tc\n") == ""
    assert "Code: 27." in ask(port, "INSERT INTO PlaybackBuffer FORMAT TabSeparated", b"3\tc\td\n")
    wanted = "1\ta\n2\tb\n3\tc\n"
    assert wait_for(lambda: ask(port, "SELECT c1, c2 FROM PlaybackBuffer ORDER BY c1") == wanted, 20)
    assert ask(port, "SELECT toUInt64(timestamp) + 1, name FROM Named ORDER BY 1") == "6\tx\n7\tit\\'s\n"
    assert ask(port, "SELECT n FROM Objects") == "9007199254740993\n"
    assert one.json("/api/v1/events/Objects", end="now+1min")["events"][0]["row"] == {
        "n": 9007199254740993,
        "odd name": 1,
    }


async def test_by_default_unknown_tables_are_refused(tmp_path: Path) -> None:
    async with receiving(tmp_path) as server:
        answer = await server.ask("INSERT INTO RestHooksEvent FORMAT TabSeparated", "1\n")
        assert (answer.status, answer.code) == (404, 60)
        answer = await server.ask(body=HOOKS)
        assert (answer.status, answer.code) == (501, 48) and "unknown_tables" in answer.text
        assert await server.records() == []


@pytest.mark.parametrize(
    "query, body, code",
    [
        ("CREATE TABLE `a b` (x UInt8)", "", 62),
        ("CREATE TABLE a (`x'y` UInt8)", "", 62),
        ("CREATE TABLE a (x UInt8, x UInt8)", "", 15),
        ("CREATE TABLE a (x UInt8", "", 62),
        ("CREATE TABLE a (x Enum8('a' = 1", "", 62),
        ("CREATE TABLE a AS b", "", 62),
        ("CREATE TABLE system.a (x UInt8)", "", 48),
        ("CREATE VIEW a AS SELECT 1", "", 48),
        ('INSERT INTO `a"; DROP TABLE x --` (x) FORMAT TSV', "1\n", 62),
        ("INSERT INTO a FORMAT CSV", "1\n", 60),
        ("INSERT INTO a FORMAT Nothing", "1\n", 60),
        ("INSERT INTO a (x) FORMAT TSV", "1\t2\n", 27),
        ("INSERT INTO a FORMAT JSONEachRow", "{", 33),
    ],
)
async def test_a_table_is_only_made_of_what_is_right(tmp_path: Path, query: str, body: str, code: int) -> None:
    async with receiving(tmp_path, CREATE) as server:
        answer = await server.ask(query, body)
        assert (answer.code if answer.status != 200 else answer.status) == code, answer.text
        assert await server.records() == []
        assert not server.intake.others.columns


async def test_only_who_may_write_it_makes_a_table(tmp_path: Path) -> None:
    users = f"{CREATE}\n[[[users]]]\n[[[[one]]]]\npassword = wcs\ninsert = StreamEvent\n"
    async with receiving(tmp_path, users) as server:
        for query in ("CREATE TABLE a (x UInt8)", "INSERT INTO a (x) VALUES (1)"):
            assert (await server.ask(query, as_user="one")).code == 497
        assert not server.intake.others.columns


async def test_columns_stay_and_more_may_be_added(tmp_path: Path) -> None:
    tables = OtherTables(tmp_path)
    await tables.create(Create("a", (("x", "UInt64"), ("y", "String"))))
    await tables.create(Create("a", (("y", "UInt8"), ("z", "Bool"), ("x", "Int8"))))
    wanted = {"a": (("x", "UInt64"), ("y", "String"), ("z", "Bool"))}
    assert tables.columns == wanted == OtherTables(tmp_path).columns
    assert not list(tmp_path.glob("*.half"))


async def test_there_are_only_so_many_tables(tmp_path: Path) -> None:
    tables = OtherTables()
    for number in range(MOST_TABLES):
        await tables.create(Create(f"t{number}", (("x", "UInt8"),)))
    with pytest.raises(ClickHouseError, match="at most 100 tables"):
        await tables.create(Create("more", (("x", "UInt8"),)))


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', "{", '{"a": {"columns": [["x", "Nothing7"]], "created": 1}}'])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "rels-tables.json").write_text(text)
    with pytest.raises(ValueError, match=r"rels-tables\.json: expected the tables"):
        OtherTables(tmp_path)
