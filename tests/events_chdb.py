"""Asks a real ClickHouse engine (chdb) in a process of its own: what it answers to SELECTs over the same events."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.wire.clickhouse.tables import EVENTS, WORDS

SCRIPT = """
import json, sys
from chdb.session import Session
todo = json.load(sys.stdin)
session = Session(todo["directory"])
for statement in todo["statements"]:
    session.query(statement)
answers = []
for question in todo["questions"]:
    try:
        answers.append(json.loads(session.query(question, "JSONCompact").bytes()))
    except RuntimeError as error:
        answers.append(str(error))
json.dump(answers, sys.stdout)
"""


def ddl() -> list[str]:
    """Return the statements that make the tables and dictionaries of WCS."""
    made = ["CREATE DATABASE wcs"]
    for table in EVENTS:
        columns = ", ".join(f"`{name}` {type}" for name, type in table.columns)
        made.append(
            f"CREATE TABLE wcs.{table.name} ({columns}) ENGINE = MergeTree() ORDER BY ({', '.join(table.order)})"
        )
    for one in WORDS:
        rows = ", ".join(f"({key}, '{word}')" for key, word in one.words.items())
        made += [
            f"CREATE TABLE wcs.{one.table} (`id` {one.id}, `type` String) ENGINE = MergeTree() ORDER BY id",
            f"INSERT INTO wcs.{one.table} VALUES {rows}",
            f"CREATE DICTIONARY wcs.{one.name} (`id` {one.key}, `type` String DEFAULT '') PRIMARY KEY id"
            f" SOURCE(CLICKHOUSE(host 'localhost' port 9000 user 'default' password '' db 'wcs' table '{one.table}'))"
            " LAYOUT(FLAT()) LIFETIME(300)",
        ]
    return made


def answers(rows: Mapping[str, bytes], questions: Sequence[str]) -> list[Any]:
    """Return what it answers as JSONCompact, or the text of its error; `rows` are TabSeparated, by table."""
    with tempfile.TemporaryDirectory() as directory:
        statements = ddl()
        for table, body in rows.items():
            path = Path(directory) / table
            path.write_bytes(body)
            statements.append(f"INSERT INTO wcs.{table} FROM INFILE '{path}' COMPRESSION 'none' FORMAT TabSeparated")
        todo = {"directory": f"{directory}/data", "statements": statements, "questions": list(questions)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], input=json.dumps(todo), capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found
