"""`monitor sql`: sends the statements of a script, one after the other, to the running program's ClickHouse interface.

It does what `clickhouse-client -mn` does with a script, over HTTP.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import sys
from collections.abc import Mapping
from typing import BinaryIO

from monitor.config import Config
from monitor.settings import Address
from monitor.store.events.dialect import statements
from monitor.wire.clickhouse.errors import ClickHouseError

OK, FAILURE, USAGE, UNAVAILABLE = 0, 1, 2, 69
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
PATIENCE = 120.0
LONGEST = 16 << 20
PIECE = 1 << 16


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--query", metavar="SQL", help="the statements; by default they are read from stdin")
    parser.add_argument("--format", metavar="FORMAT", default="TabSeparated", help="of answers (default TabSeparated)")
    parser.add_argument("--user", metavar="NAME", help="a user of [[rels]]; by default the one of its user =")


def command(config: Config, options: argparse.Namespace, script: BinaryIO, out: BinaryIO) -> int:
    """Send the statements up to the first that is refused; return the exit code."""
    rels = config.rels
    if not rels.listen:
        return _failed("[receivers] [[rels]] listen is empty: there is nothing that answers SQL", USAGE)
    name = options.user or rels.user
    if name not in rels.users:
        return _failed(f"expected a user among {', '.join(rels.users)}, got {name[:80]!r}", USAGE)
    given = script.read(LONGEST + 1) if options.query is None else options.query.encode("utf-8", "surrogateescape")
    if len(given) > LONGEST:
        return _failed(f"expected at most {LONGEST} bytes of SQL", USAGE)
    address = Address.parse(rels.listen)
    connection = http.client.HTTPConnection(ANY.get(address.host, address.host), address.port, timeout=PATIENCE)
    headers = {
        "Authorization": f"Basic {base64.b64encode(f'{name}:{rels.users[name].password}'.encode()).decode()}",
        "X-ClickHouse-Database": "wcs",
        "X-ClickHouse-Format": options.format,
    }
    try:
        for number, statement in enumerate(statements(given.decode("utf-8", "surrogateescape")), 1):
            if wrong := _sent(connection, statement.encode("utf-8", "surrogateescape"), headers, out):
                return _failed(f"statement {number}: {wrong}", FAILURE)
    except ClickHouseError as error:
        return _failed(f"Code: {error.code}. DB::Exception: {error.text}. ({error.name})", FAILURE)
    except (OSError, http.client.HTTPException) as error:
        return _failed(f"{address} does not answer: {error}", UNAVAILABLE)
    finally:
        connection.close()
    return OK


def _sent(connection: http.client.HTTPConnection, statement: bytes, headers: Mapping[str, str], out: BinaryIO) -> str:
    """Send a statement and write out its answer; return what is wrong with it."""
    connection.request("POST", "/", statement, dict(headers))
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        return answer.read(PIECE).decode("utf-8", "replace").strip()
    while piece := answer.read(PIECE):
        out.write(piece)
    out.flush()
    return ""


def _failed(reason: str, code: int) -> int:
    sys.stderr.write(f"{reason}\n")
    return code
