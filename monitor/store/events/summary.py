"""Events in even steps of time: how many there were, and what was measured of a media session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from monitor.store.events.search import Search, Wanted, where
from monitor.wire.clickhouse.tables import DATABASE, Table

Values = npt.NDArray[np.float64]
MOST_ROWS = 100_000
SLICE = 2000
KIND = "CASE WHEN {0} BETWEEN 0 AND 255 THEN {0}::int ELSE -1 END"
COUNTS = """
SELECT ({time} - {start}) / {width} AS bucket, {kind} AS kind, count(*) AS count FROM {table}
WHERE {conditions} GROUP BY 1, 2 LIMIT {most}
"""
MEASURES = """
SELECT (timestamp - {start}) / {width} AS bucket, {columns} FROM {table} WHERE {conditions} GROUP BY 1 LIMIT {most}
"""
AVERAGED = ("videoWidth", "videoHeight", "videoFrameRate", "videoRate", "audioRate")
COUNTED = ("sendNACK", "recvNACK", "videoFramesLost", "audioPacketsLost")
"""Of these the largest of a step is taken: they are counts."""


async def counts(
    search: Search, wanted: Sequence[Wanted], start: int, step: int, *, kind: str = "", timeout: float
) -> dict[tuple[str, int], Values]:
    """Return how many events there were in each step of so many milliseconds from a start, by table and type.

    `kind` is a column with the number of an event's type, or empty; numbers that are none of a type are -1.
    """
    found: dict[tuple[str, int], Values] = {}
    async with search.connection(timeout) as connection:
        for one in wanted:
            some, values = where(one)
            sql = COUNTS.format(
                time=one.table.time.lower(), start=start, width=step,
                kind=KIND.format(kind.lower()) if kind else "0",
                table=_name(one.table), conditions=some, most=MOST_ROWS,
            )  # fmt: skip
            rows = await connection.fetch(sql, *values)
            for number, row in enumerate(rows):
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
                key = (one.table.name, row["kind"])
                if key not in found:
                    found[key] = np.zeros(_steps(one, start, step))
                found[key][row["bucket"]] = row["count"]
    return found


async def measures(search: Search, wanted: Wanted, start: int, step: int, *, timeout: float) -> Mapping[str, Values]:
    """Return what was measured in each step of so many milliseconds from a start; NaN where nothing was."""
    some, values = where(wanted)
    columns = [f"avg({name.lower()})::float8 AS {name.lower()}" for name in AVERAGED]
    columns += [f"max({name.lower()})::float8 AS {name.lower()}" for name in COUNTED]
    sql = MEASURES.format(
        start=start, width=step, columns=", ".join(columns), table=_name(wanted.table), conditions=some,
        most=MOST_ROWS,
    )  # fmt: skip
    async with search.connection(timeout) as connection:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *values)
    found: dict[str, Any] = {}
    places = [row["bucket"] for row in rows]
    for name in (*AVERAGED, *COUNTED):
        found[name] = np.full(_steps(wanted, start, step), np.nan)
        found[name][places] = [row[name.lower()] for row in rows]
    return found


def held(values: Values) -> Values:
    """Return the values with each held until the next comes, for twice the usual time between two at most."""
    places = np.flatnonzero(np.isfinite(values))
    if len(places) < 2:
        return values
    longest = 2 * int(np.median(np.diff(places)))
    since = np.full(len(values), -1)
    since[places] = places
    since = np.maximum.accumulate(since)
    age = np.arange(len(values)) - since
    return np.where((since >= 0) & (age <= longest), values[since], np.nan)


def _steps(wanted: Wanted, start: int, step: int) -> int:
    return (wanted.end - start) // step + 1


def _name(table: Table) -> str:
    return f"{DATABASE}.{table.name.lower()}"
