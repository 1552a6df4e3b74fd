"""Events of WCS through the whole program to ClickHouse: killed, without its target, and asked on both sides."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from appliance import appliance, free_port, wait_for
from clickhouse_target import ClickHouse
from servers_clickhouse import clickhouse

from handlers._clickhouse import ddl

BATCHES, ROWS = 300, 20
NOW = int(time.time() * 1000)
CONFIG = """
handlers = ClickHouseHandler
[receivers]
[[rels]]
listen = 127.0.0.1:{rels}
password = secret
[handlers]
[[ClickHouseHandler]]
urls = http://127.0.0.1:{port}
database = target
flush_interval = 0.2
"""


class Server(threading.Thread):
    """Sends batches as a WCS server does, each again until it is acknowledged."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.acknowledged = 0

    def run(self) -> None:
        for batch in range(BATCHES):
            table = "StreamEvent" if batch % 3 else "ConnectionEvent"
            more = "" if table == "ConnectionEvent" else "m\troom\t"
            rows = "".join(f"{NOW + batch}\t10.0.0.7\ts{batch}\t{more}{row}\t\n" for row in range(ROWS))
            query = f"query=INSERT%20INTO%20{table}%20FORMAT%20TabSeparated&query_id=q{batch}"
            url = f"http://127.0.0.1:{self.port}/?user=wcs&password=secret&database=wcs&{query}"
            while True:
                try:
                    urllib.request.urlopen(url, data=rows.encode(), timeout=20).close()
                except (urllib.error.URLError, OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                self.acknowledged += 1
                break


def test_what_was_acknowledged_is_in_clickhouse_once_through_an_outage_and_a_kill(tmp_path: Path) -> None:
    engine, rels = ClickHouse(free_port()), free_port()
    server = Server(rels)
    with appliance(tmp_path / "a", CONFIG.format(rels=rels, port=engine.port)) as one:
        server.start()
        wait_for(lambda: server.acknowledged >= 0.3 * BATCHES, 60, 0.002)
        with clickhouse(tmp_path / "c", engine.port):
            engine.make(ddl.Form(database="target"), "StreamEvent", "ConnectionEvent")
            wait_for(lambda: server.acknowledged >= 0.7 * BATCHES, 60, 0.002)
            one.kill()
            one.start()
            server.join(60)
            assert server.acknowledged == BATCHES
            counts = "SELECT (SELECT count() FROM target.StreamEvent) + (SELECT count() FROM target.ConnectionEvent)"
            wait_for(lambda: int(engine.run(counts)) >= BATCHES * ROWS, 30)
            for table, batches, more in (("ConnectionEvent", 100, ""), ("StreamEvent", 200, "'m', 'room', ")):
                which = "number % 3 = 0" if table == "ConnectionEvent" else "number % 3 != 0"
                session = f"toUInt64({NOW} + number), toIPv4('10.0.0.7'), concat('s', toString(number))"
                cells = f"{session}, {more}toUInt64(row), ''"
                expected = f"(SELECT {cells} FROM numbers({BATCHES}) ARRAY JOIN range({ROWS}) AS row WHERE {which})"
                digest = "SELECT count(), sum(cityHash64(*)) FROM"
                found = engine.run(f"{digest} target.{table}")
                assert found == engine.run(f"{digest} {expected}")
                assert found.startswith(b"%d\t" % (batches * ROWS))
        assert (tmp_path / "a/data/ClickHouseHandler.inserts").exists()
        assert "outlet.refused" not in one.log.read_text()
