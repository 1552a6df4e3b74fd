"""Statements of ClickHouse's clients: what they are taken for, and what is said of those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.statement import Answer, Facts, Insert, Nothing, Select, Statement, parse

FACTS = Facts(user="wcs", database="wcs", version="24.8.1.1", timezone="UTC")
COLUMNS = ("timestamp", "ip", "sessionId", "eventType", "eventPayload")


def body(text: str, **parameters: str) -> Statement:
    return parse(b"", text.encode(), FACTS, parameters=parameters)


def refused(text: str, query: str = "", facts: Facts = FACTS, **parameters: str) -> tuple[int, str]:
    with pytest.raises(ClickHouseError) as caught:
        parse(query.encode(), text.encode(), facts, parameters=parameters)
    assert ERRORS[caught.value.code][0] == caught.value.name
    return caught.value.code, caught.value.text


@pytest.mark.parametrize(
    ("query", "sent", "columns", "format", "rows"),
    [
        ("INSERT INTO ConnectionEvent  FORMAT TabSeparated", "1\t2\n", None, "TabSeparated", "1\t2\n"),
        ("INSERT INTO ConnectionEvent FORMAT TSV \n", "1\n", None, "TSV", "1\n"),
        ("insert into wcs.ConnectionEvent (timestamp, `ip`) FORMAT CSV;", "1", ("timestamp", "ip"), "CSV", "1"),
        ("", "INSERT INTO `wcs`.`ConnectionEvent` \n FORMAT RowBinary\n\n\x01", None, "RowBinary", "\n\x01"),
        ("", "INSERT INTO default.ConnectionEvent FORMAT TSV\r\n\ta", None, "TSV", "\ta"),
        ("", "INSERT INTO ConnectionEvent FORMAT TSV 1\t2", None, "TSV", "1\t2"),
        ("", "INSERT INTO ConnectionEvent FORMAT TSV", None, "TSV", ""),
        ("INSERT INTO ConnectionEvent VALUES", "(1)", None, "Values", "\n(1)"),
        ("INSERT INTO ConnectionEvent VALUES (1),", "(2)", None, "Values", " (1),\n(2)"),
        ("INSERT INTO ConnectionEvent VALUES (1)", "", None, "Values", " (1)"),
        ("", "INSERT INTO ConnectionEvent VALUES  (1,'a;b'), (2,'');", None, "Values", "  (1,'a;b'), (2,'');"),
        ("", "INSERT INTO ConnectionEvent FORMAT values (1)", None, "Values", " (1)"),
        ("", 'INSERT INTO TABLE "wcs"."ConnectionEvent" (*) FORMAT TSV\n1', None, "TSV", "1"),
        (
            "",
            "/* a */ -- b\nINSERT INTO ConnectionEvent SETTINGS a=0, b = 'b' FORMAT TSV\n1",
            None,
            "TSV",
            "1",
        ),
        ("INSERT INTO ConnectionEvent", "FORMAT TSV\n1", None, "TSV", "1"),
        ("INSERT INTO ConnectionEvent FORMAT JSONEachRow {}", "{}", None, "JSONEachRow", "{}\n{}"),
    ],
)
def test_an_insert_is_read_up_to_its_rows(
    query: str, sent: str, columns: tuple[str, ...] | None, format: str, rows: str
) -> None:
    found = parse(query.encode(), sent.encode(), FACTS)
    assert found == Insert("ConnectionEvent", columns, format, rows.encode())


def test_rows_may_be_any_bytes_and_names_any_text() -> None:
    rows = bytes(range(256)) * 1000
    found = parse(b"", 'INSERT INTO t (`größe`, `a\\`b`, "c""d") FORMAT RowBinary\n'.encode() + rows, FACTS)
    assert found == Insert("t", ("größe", "a`b", 'c"d'), "RowBinary", rows)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("INSERT INTO t", 62, "expected VALUES or FORMAT, got the end"),
        ("INSERT t VALUES (1)", 62, "expected INTO"),
        ("INSERT INTO t (a b) VALUES (1)", 62, "expected , or )"),
        ("INSERT INTO t () VALUES (1)", 62, "expected a name"),
        ("INSERT INTO t (a, a) VALUES (1)", 15, "Column a specified more than once"),
        ("INSERT INTO t FORMAT", 62, "name of a format"),
        ("INSERT INTO t FORMAT 'x'", 62, "name of a format"),
        ("INSERT INTO t FORMAT TSV; DROP TABLE t", 62, "more than one statement"),
        ("INSERT INTO t FORMAT TSV SETTINGS a = 1\n", 48, "write them before"),
        ("INSERT INTO t SELECT 1", 48, "SELECT is not supported"),
        ("INSERT INTO t FROM INFILE 'x' FORMAT TSV", 48, "FROM is not supported"),
        ("INSERT INTO FUNCTION file('x') VALUES (1)", 48, "FUNCTION"),
        ("INSERT INTO other.t VALUES (1)", 81, "Database other does not exist"),
        ("INSERT INTO t (`a", 62, "expected SQL"),
        ("INSERT INTO t /* no end VALUES (1)", 62, "expected SQL"),
        ("inser t into wcs.StreamEvent values (1)", 62, "expected one of INSERT"),
        ("", 62, "Empty query"),
        (" ;; ", 62, "Empty query"),
        ("SELECT 1; SELECT 2", 62, "Multi-statements are not allowed"),
        ("SELECT 1; DROP TABLE StreamEvent", 62, "Multi-statements are not allowed"),
        ("SELECT 'no end", 62, "expected SQL"),
        ("SELECT", 62, "expected what to select"),
        ("SELECT FROM system.one", 62, "expected what to select"),
        ("ALTER TABLE StreamEvent DELETE WHERE 1", 48, "ALTER is not supported"),
        ("TRUNCATE TABLE StreamEvent", 48, "TRUNCATE is not supported"),
        ("CREATE TABLE other ENGINE = Log", 62, "expected ( and the columns"),
        ("CREATE VIEW v AS SELECT 1", 48, "CREATE VIEW is not supported"),
        ("CREATE DATABASE other", 48, "expected the database wcs"),
        ("DROP TABLE other", 60, "Table wcs.other does not exist"),
        ("USE other", 81, "Database other does not exist"),
        ("DESCRIBE TABLE other", 60, "Table wcs.other does not exist"),
        ("DESCRIBE TABLE (SELECT 1)", 48, "DESCRIBE of a query"),
        ("SELECT * FROM other WHERE 0", 60, "Table wcs.other does not exist"),
        ("SELECT nosuch FROM StreamEvent WHERE 0", 47, "Unknown identifier 'nosuch'"),
        ("SELECT nosuch FROM system.settings", 47, "Unknown identifier 'nosuch'"),
        ("SHOW CREATE TABLE StreamEvent", 62, "expected TABLES or DATABASES"),
        ("SELECT {a:UInt64}", 456, "Substitution `a` is not set"),
        ("SELECT {a}", 62, "expected {name:Type}"),
        ("SELECT toUInt8('x')", 6, "Cannot parse string 'x' as UInt8"),
        ("SELECT 1 " + "x" * 70_000, 62, "Max query size exceeded"),
        ("INSERT INTO t (" + "x" * 70_000, 62, "got the end of the statement"),
    ],
)  # fmt: skip
def test_what_is_no_statement_for_us_gets_clickhouses_code(text: str, code: int, words: str) -> None:
    got, said = refused(text)
    assert got == code
    assert words in said
    assert len(said) < 300


def test_a_request_names_a_database_that_there_is() -> None:
    assert refused("SELECT 1", facts=Facts(database="nosuch"))[0] == 81
    assert isinstance(parse(b"", b"SELECT 1", Facts(database="system")), Answer)


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("SELECT 1", [("1", "UInt8")], [1]),
        ("SELECT 1 AS check\n FORMAT Native", [("check", "UInt8")], [1]),
        ("select timezone()\nFORMAT TabSeparatedWithNamesAndTypes;", [("timezone()", "String")], ["UTC"]),
        ("select timezone(), version()", [("timezone()", "String"), ("version()", "String")], ["UTC", "24.8.1.1"]),
        ("SELECT version() as server_version", [("server_version", "String")], ["24.8.1.1"]),
        ("select currentUser() user, database()", [("user", "String"), ("database()", "String")], ["wcs"] * 2),
        ("SELECT currentUser() AS user, timezone() AS timezone, version() AS version LIMIT 1",
         [("user", "String"), ("timezone", "String"), ("version", "String")], ["wcs", "UTC", "24.8.1.1"]),
        ("SELECT -1, 300, -129, 70000, 18446744073709551615 FROM system.one",
         [("-1", "Int8"), ("300", "UInt16"), ("-129", "Int16"), ("70000", "UInt32")], [-1, 300, -129, 70000]),
        ("SELECT toInt8(ifnull((select value from system.settings where name = 'nosuch'), '-1')) as a, 'it\\'s' b",
         [("a", "Int8"), ("b", "String")], [-1, "it's"]),
        ("SELECT toUInt64(ifnull((select value from system.settings where name = 'max_insert_block_size'), '0')) AS m",
         [("m", "UInt64")], [1048449]),
        ("SELECT lower(ifnull((select value from system.settings where name = 'nosuch'), 'No')) as l, (upper('x')) u",
         [("l", "String"), ("u", "String")], ["no", "X"]),
        ("SELECT toUInt8(300), toInt8(200), toString(7)",
         [("toUInt8(300)", "UInt8"), ("toInt8(200)", "Int8"), ("toString(7)", "String")], [44, -56, "7"]),
    ],
)  # fmt: skip
def test_what_is_asked_of_the_server_itself_is_answered_at_once(
    text: str, columns: list[tuple[str, str]], row: list[object]
) -> None:
    found = body(text)
    if len(row) < len(columns) or "18446744073709551615" in text:
        assert isinstance(found, Select), "a number of more than 19 digits is left to the database"
        return
    assert isinstance(found, Answer)
    assert (list(found.columns), list(found.rows)) == (columns, [row])


def test_a_reading_is_handed_on_without_its_format() -> None:
    sql = (
        "select timestamp, dictGetString('wcs.DictionaryStreamEvents','type', eventType) as eventType from StreamEvent"
    )
    assert body(f"{sql}\n FORMAT JSON ;") == Select(sql, "JSON")
    assert body(f" /* x */ {sql} SETTINGS a = 1, b='x' FORMAT TSV") == Select(sql, "TSV")
    assert body(f"{sql} FORMAT TSV SETTINGS a = 1") == Select(sql, "TSV")
    assert body(sql) == Select(sql, "")
    assert body("SELECT now()") == Select("SELECT now()", "")
    assert body("WITH a AS (SELECT 1) SELECT * FROM a") == Select("WITH a AS (SELECT 1) SELECT * FROM a", "")
    assert body("select format from t") == Select("select format from t", "")
    assert parse(b"SELECT *", b"FROM StreamEvent", FACTS) == Select("SELECT *\nFROM StreamEvent", "")


def test_types_are_learned_from_a_reading_of_nothing_and_from_describe() -> None:
    found = body("SELECT * FROM `wcs`.`StreamEvent` WHERE 0")
    assert isinstance(found, Answer)
    assert found.columns[:2] == (("timestamp", "UInt64"), ("ip", "IPv4"))
    assert not found.rows
    found = body("SELECT eventPayload, ip FROM `ConnectionEvent` WHERE 0 FORMAT RowBinaryWithNamesAndTypes")
    assert isinstance(found, Answer)
    assert (found.columns, found.format) == ([("eventPayload", "String"), ("ip", "IPv4")], "RowBinaryWithNamesAndTypes")
    described = body("DESC wcs.MediaSessionEvent FORMAT Native")
    assert isinstance(described, Answer)
    assert described.rows[0] == ["timestamp", "UInt64", "", "", "", "", ""]
    assert len(described.columns) == 7
    assert len(described.rows) == 22
    assert isinstance(body("SELECT count() FROM StreamEvent WHERE 0"), Select)


def test_tables_and_settings_are_listed() -> None:
    def rows(text: str) -> list[object]:
        found = body(text)
        assert isinstance(found, Answer)
        return [row[0] for row in found.rows]

    assert rows("SHOW DATABASES") == ["default", "wcs"]
    assert rows("SHOW TABLES FROM wcs LIKE 'M%Event_'") == ["MediaSessionEvents"]
    assert len(rows("SHOW TABLES")) == 20
    assert rows("SHOW DICTIONARIES LIKE '%nn%Events'") == ["DictionaryConnectionEvents"]
    assert rows("SHOW TABLES LIKE '" + "%a" * 1000 + "'") == []
    assert (rows("EXISTS TABLE wcs.StreamEvent"), rows("EXISTS wcs.nosuch"), rows("EXISTS DATABASE wcs")) == (
        [1],
        [0],
        [1],
    )
    assert "max_insert_block_size" in rows("SELECT name, value, readonly FROM system.settings LIMIT 10000")
    assert len(rows("SELECT * FROM system.settings LIMIT 2")) == 2
    assert rows("SELECT value FROM system.settings WHERE name = 'readonly'") == ["0"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE DATABASE IF NOT EXISTS wcs",
        "create database if not exists `wcs`",
        "DROP TABLE IF EXISTS wcs.StreamEvent",
        "DROP TABLE IF EXISTS wcs.nosuch;",
        "CREATE TABLE wcs.ConnectionEventTypes (`id` UInt32, `type` String) ENGINE = MergeTree() ORDER BY id",
        "DROP DICTIONARY IF EXISTS wcs.DictionaryMixerEvents",
        "CREATE DICTIONARY wcs.DictionaryStreamEvents (`id` UInt16, `type` String DEFAULT '') PRIMARY KEY id"
        " SOURCE(CLICKHOUSE(host 'localhost' port 9000 user 'default' password '')) LAYOUT(FLAT()) LIFETIME(300)",
        "CREATE USER IF NOT EXISTS wcs IDENTIFIED BY 'wcs';",
        "GRANT ALL ON wcs.* TO wcs WITH GRANT OPTION;",
        "SET max_threads = 4",
        "USE wcs",
    ],
)  # fmt: skip
def test_what_is_there_anyway_may_be_made_again(text: str) -> None:
    assert isinstance(body(text), Nothing)


def test_parameters_become_literals_of_their_types() -> None:
    def made(text: str, **given: str) -> str:
        found = body(text, **given)
        assert isinstance(found, Select)
        return found.sql

    assert made("SELECT a FROM t WHERE b={b:UInt64}", b="1") == "SELECT a FROM t WHERE b=1"
    assert (
        made("SELECT a FROM t WHERE b = {b : String}", b="x' OR 1=1 --\\")
        == r"SELECT a FROM t WHERE b = 'x\' OR 1=1 --\\'"
    )
    assert made("SELECT a FROM t WHERE b = {b:String}", b=r"a\tb\'\\") == "SELECT a FROM t WHERE b = 'a\tb\\'\\\\'"
    assert made("SELECT a FROM {t:Identifier}", t="a`; DROP") == r"SELECT a FROM `a\`; DROP`"
    assert (
        made("SELECT a, {f:Float64}, {n:Nullable(String)} FROM t", f="1.5e3", n="\\N") == "SELECT a, 1.5e3, NULL FROM t"
    )
    assert made("SELECT '{b:UInt64}' FROM t") == "SELECT '{b:UInt64}' FROM t"
    for text in ("1 OR 1", "1;", "", "x", "٣"):
        assert refused("SELECT a FROM t WHERE b={b:UInt64}", b=text)[0] == 457
    assert refused("SELECT {b:Array(String)}", b="x")[0] == 48


@settings(max_examples=100, deadline=1000)
@given(
    st.lists(
        st.sampled_from([
            "INSERT", "INTO", "t", "wcs", ".", "(", ")", ",", "VALUES", "FORMAT", "SETTINGS", "TSV", "=", "1", "'a'",
            "`b`", ";", "SELECT", "*", "FROM", "WHERE", "0", "system", "settings", "LIMIT", "name", "{a:UInt8}", "/*",
            "--", "'", "ifnull", "toInt8", "-", "AS", "SHOW", "TABLES", "LIKE", "DESC", "EXISTS", "CREATE", "IF",
        ]) | st.text(max_size=3),
        max_size=14,
    ),
    st.integers(0, 14),
)  # fmt: skip
def test_any_text_is_a_statement_or_refused(words: list[str], cut: int) -> None:
    query, sent = " ".join(words[:cut]).encode(), " ".join(words[cut:]).encode()
    try:
        found = parse(query, sent, FACTS)
    except ClickHouseError as error:
        assert error.text
        return
    assert isinstance(found, Statement)
