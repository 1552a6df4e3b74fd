"""Events of WCS through the whole program: inserted over HTTP, killed in between, asked for by `monitor sql`."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import events_chdb
import pytest
from appliance import Appliance, appliance, free_port, wait_for

from monitor import cli
from monitor.wire.clickhouse.tables import TABLES, WORDS

NOW = int(time.time() * 1000)
CONFIG = """
[receivers]
[[rels]]
listen = 127.0.0.1:{port}
password = geheim
keep = 30d, CDNEvent=7d
"""
USERS = """
CREATE USER IF NOT EXISTS wcs IDENTIFIED BY 'wcs'; -- the second script
GRANT ALL ON wcs.* TO wcs WITH GRANT OPTION;
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, int]]:
    port = free_port()
    with appliance(tmp_path_factory.mktemp("events"), CONFIG.format(port=port)) as one:
        yield one, port


def sql(one: Appliance, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "sql", "-c", str(one.file), *arguments]
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)


def insert(port: int, table: str, body: bytes) -> None:
    url = f"http://127.0.0.1:{port}/?user=wcs&password=geheim&query=INSERT%20INTO%20{table}%20FORMAT%20TabSeparated"
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=20) as answer:
        assert answer.status == 200


def script() -> str:
    """Return statements as the document of WCS has them: what drops all, makes all and fills the small tables."""
    drops = [f"DROP TABLE IF EXISTS wcs.{name}" for name in [*TABLES, *(one.table for one in WORDS)]]
    drops += [f"DROP DICTIONARY IF EXISTS wcs.{one.name}" for one in WORDS]
    made = [one.replace("CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS") for one in events_chdb.ddl()]
    return ";\n\n".join([made[0], *drops, *made[1:]]) + ";\n"


def test_both_scripts_of_the_document_pass_and_change_nothing(running: tuple[Appliance, int]) -> None:
    one, _ = running
    done = sql(one, script() + USERS + "SELECT count() FROM wcs.StreamEventTypes; SHOW DATABASES")
    assert (done.returncode, done.stdout, done.stderr) == (0, "32\ndefault\nwcs\n", "")


def test_what_was_acknowledged_before_a_kill_is_there_once_afterwards(running: tuple[Appliance, int]) -> None:
    one, port = running
    rows = 0
    for batch in range(40):
        body = b"".join(b"%d\t10.0.0.7\ts%d\tm\ttest\t%d\t\n" % (NOW - i, batch, i % 32) for i in range(50))
        insert(port, "StreamEvent", body)
        rows += 50
        if batch == 27:
            one.kill()
            one.start()

    def stored() -> bool:
        return len(one.json("/api/v1/events/StreamEvent", limit=9999, end="now+1min")["events"]) >= rows

    wait_for(stored, 20)
    counts = "SELECT count(), uniqExact(sessionId), min(eventType), max(eventType) FROM StreamEvent"
    question = "select sessionId, dictGetString('wcs.DictionaryStreamEvents','type', eventType) as eventType from"
    done = sql(one, f"{counts};{question} wcs.StreamEvent where streamName = 'test' and sessionId = 's3' and"
                    " eventType = 'RECORD';")  # fmt: skip
    assert done.stdout == f"{rows}\t40\t0\t31\ns3\tRECORD\n"
    found = one.json("/api/v1/events/StreamEvent", stream="test", session="s39", type="RECORD", end="now+1min")
    assert [(event["sessionId"], event["eventTypeName"]) for event in found["events"]] == [("s39", "RECORD")]


def test_a_statement_that_is_refused_ends_the_script_and_is_named(running: tuple[Appliance, int]) -> None:
    one, _ = running
    done = sql(one, "SELECT 1; SELECT x FROM wcs.Nothing; SELECT 2")
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert done.stderr.startswith("statement 2: Code: 60.") and "UNKNOWN_TABLE" in done.stderr


def test_users_are_those_of_the_configuration(
    running: tuple[Appliance, int], capfd: pytest.CaptureFixture[str]
) -> None:
    one, _ = running
    assert cli.main(["sql", "-c", str(one.file), "-q", "SELECT 1", "--user", "nobody"]) == 2
    assert capfd.readouterr().err == "expected a user among wcs, got 'nobody'\n"
    assert cli.main(["sql", "-c", str(one.file), "-q", "SELECT 1", "--user", "wcs"]) == 0


def test_without_a_receiver_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sql", "-c", str(Appliance(tmp_path).file), "-q", "SELECT 1"]) == 2
    assert "listen is empty" in capsys.readouterr().err


def test_without_a_running_program_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = Appliance(tmp_path, CONFIG.format(port=free_port()))
    assert cli.main(["sql", "-c", str(one.file), "-q", "SELECT 1"]) == 69
    assert "does not answer" in capsys.readouterr().err
