"""What ClickHouse's clients send: every format gives the same rows, and odd input gets the engine's own verdict."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.wire.clickhouse.errors import ERRORS, ClickHouseError
from monitor.wire.clickhouse.formats import read, reading
from monitor.wire.clickhouse.rows import Rows
from monitor.wire.clickhouse.tables import EXTRA
from monitor.wire.clickhouse.types import Column, Type, columns
from tests.clickhouse_engine import Engine

PAYLOADS: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "clickhouse" / "payloads.json").read_text())[
    "tables"
]
FORMATS = (
    "TabSeparated", "JSONEachRow", "JSONEachRow_quoted64", "JSONCompactEachRow", "Values", "CSV", "RowBinary_b64",
    "RowBinaryWithNamesAndTypes_b64", "Native_b64",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    found = Engine(tmp_path_factory.mktemp("chdb"))
    yield found
    found.close()


def canonical(tsv: bytes) -> bytes:
    """Return the engine's own TabSeparated with the canonical escapes only."""
    return tsv.replace(b"\\\\", b"\0").replace(b"\\'", b"'").replace(b"\0", b"\\\\")


def verdict(format: str, types: list[str], body: bytes) -> bytes | int:
    try:
        return read(format, body, columns((f"c{index}", type) for index, type in enumerate(types))).body
    except ClickHouseError as error:
        assert error.name == ERRORS[error.code][0]
        return error.code


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("table", PAYLOADS)
def test_a_payload_gives_the_same_rows_in_every_format(table: str, format: str) -> None:
    payload = PAYLOADS[table]
    name, _, encoded = format.removesuffix("_quoted64").partition("_")
    body = base64.b64decode(payload[format]) if encoded else payload[format].encode()
    rows = read(name, body, columns(map(tuple, payload["columns"])))
    assert rows.body == canonical(payload["TabSeparated"].encode())
    assert rows.count == payload["rows"]
    assert rows.columns == [name for name, _ in payload["columns"]]
