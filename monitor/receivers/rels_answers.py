"""What is answered over ClickHouse's HTTP interface: results, nothing, and errors as each driver can read them."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from dataclasses import dataclass
from random import getrandbits
from uuid import UUID

from aiohttp import web

from monitor.receivers.rels_request import Request
from monitor.wire.clickhouse import framing
from monitor.wire.clickhouse.errors import ClickHouseError

VERSION = "24.8.14.1"
"""The version of ClickHouse whose behaviour this is; drivers refuse servers older than 20.7."""
TIMEZONE = "UTC"
NAME = "monitor"
IN_A_THREAD = 64 << 10
TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "RowBinaryWithNames": "application/octet-stream",
    "RowBinaryWithNamesAndTypes": "application/octet-stream",
}
SEPARATED = "text/tab-separated-values; charset=UTF-8"
PLAIN = "text/plain; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the summary says of rows and bytes."""

    written_rows: int = 0
    written_bytes: int = 0
    read_rows: int = 0
    read_bytes: int = 0


class Answering:
    """Makes the answers to one request."""

    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.began = time.perf_counter()
        self.query_id = asked.query_id or str(UUID(int=getrandbits(128), version=4))

    def _headers(self) -> dict[str, str]:
        return {
            "X-ClickHouse-Server-Display-Name": NAME,
            "X-ClickHouse-Query-Id": self.query_id.translate(UNSAFE),
            "X-ClickHouse-Timezone": TIMEZONE,
        }

    def _summary(self, counts: Counts) -> str:
        rows = counts.written_rows or counts.read_rows
        size = counts.written_bytes or counts.read_bytes
        numbers = {
            "read_rows": counts.read_rows, "read_bytes": counts.read_bytes, "written_rows": counts.written_rows,
            "written_bytes": counts.written_bytes, "total_rows_to_read": 0, "result_rows": rows, "result_bytes": size,
            "elapsed_ns": int(1e9 * (time.perf_counter() - self.began)),
        }  # fmt: skip
        return json.dumps({name: str(number) for name, number in numbers.items()}, separators=(",", ":"))

    def done(self, counts: Counts) -> web.Response:
        """Return the empty answer to what is no reading.

        It names no format: a driver would take it for a result, fail the batch that is stored, and send it again.
        """
        headers = {**self._headers(), "X-ClickHouse-Summary": self._summary(counts)}
        return web.Response(headers=headers, content_type="text/plain", charset="UTF-8")

    async def result(self, format: str, body: bytes, rows: int) -> web.Response:
        headers = {
            **self._headers(),
            "X-ClickHouse-Summary": self._summary(Counts(read_rows=rows, read_bytes=len(body))),
            "X-ClickHouse-Format": format,
            "Content-Type": TYPES.get(format, SEPARATED if format.startswith(("Tab", "TSV")) else PLAIN),
        }
        if body and self.asked.framed:
            body = await asyncio.to_thread(framing.framed, body) if len(body) > IN_A_THREAD else framing.framed(body)
        elif body and self.asked.zipped:
            body = await asyncio.to_thread(zipped, body) if len(body) > IN_A_THREAD else zipped(body)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    def error(self, error: ClickHouseError, *, status: int = 0, close: bool = False) -> web.Response:
        """Return what a driver shows of an error; `close` where what is left of the request is not read."""
        status = status or error.status
        if self.asked.old:
            text = f"Code: {error.code}, e.displayText() = DB::Exception: {error.text} ({error.name})"
            text += f" (version {VERSION}), e.what() = DB::Exception\n"
        else:
            text = f"Code: {error.code}. DB::Exception: {error.text}. ({error.name}) (version {VERSION})\n"
        headers = {**self._headers(), "X-ClickHouse-Exception-Code": str(error.code), "Content-Type": PLAIN}
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        elif status == 503:
            headers["Retry-After"] = "1"
        body = text.encode("utf-8", "replace")
        # A driver that asks for blocks cannot read other answers, but one, to which it has no right yet.
        if self.asked.framed and status not in (401, 403):
            body = framing.framed(body)
        response = web.Response(body=body, status=status, headers=headers)
        if close:
            response.force_close()
        return response


def text(body: str, status: int = 200) -> web.Response:
    return web.Response(text=body, status=status, content_type="text/html" if status == 200 else "text/plain")


def zipped(body: bytes) -> bytes:
    return zlib.compress(body, 1, 31)


UNSAFE = dict.fromkeys((*range(32), 127), "?")
"""What must not stand in a header."""
