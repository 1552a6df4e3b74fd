"""How long a commit takes while the event loop is saturated with 1 ms callbacks, by the interpreter's switch interval.

python tests/bench/journal_lag.py [COMMITS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from monitor.batch import Batch, Kind, Source
from monitor.journal import Journal
from monitor.pipeline import Busy, Pipeline
from monitor.rates import Rates

NAMES = [f"metric_{i}" for i in range(50)]
KINDS = {name: (Kind.DERIVE, Kind.GAUGE)[i % 2] for i, name in enumerate(NAMES)}


def saturate(loop: asyncio.AbstractEventLoop, until: asyncio.Event) -> None:
    """Keep the loop busy with callbacks of 1 ms, two of which are always due."""

    def spin() -> None:
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        if not until.is_set():
            loop.call_soon(spin)

    loop.call_soon(spin)
    loop.call_soon(spin)


async def commit_times(directory: Path, *, commits: int, batches: int = 50, seconds: float = 20.0) -> list[float]:
    """Return the seconds of each commit of so many batches of 50 values; one not over after `seconds` is the last."""
    journal = Journal(directory, max_wait=seconds)
    await journal.open()
    pipeline, end = Pipeline(Rates(), journal), asyncio.Event()
    saturate(asyncio.get_running_loop(), end)
    times: list[float] = []
    begun = time.perf_counter()
    try:
        while len(times) < commits and time.perf_counter() - begun < seconds:
            turn = len(times) + 1
            sent = [
                Batch(Source(f"host{i}", "app"), 60.0 * turn, dict.fromkeys(NAMES, turn * i), KINDS)
                for i in range(batches)
            ]
            before = journal.stats.commit_seconds
            await pipeline.accept(sent)
            times.append(journal.stats.commit_seconds - before)
    except Busy:
        times.append(seconds)
    finally:
        end.set()
        await journal.close()
    return times


def main() -> None:
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{'switch interval':>16} {'commits':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for interval in (0.0005, 0.005):
        sys.setswitchinterval(interval)
        with tempfile.TemporaryDirectory() as directory:
            times = uvloop.run(commit_times(Path(directory), commits=commits))
        p50, p99, most = (1000 * float(np.quantile(times, q)) for q in (0.5, 0.99, 1))
        print(f"{1000 * interval:>13.1f} ms {len(times):>8} {p50:>8.1f} {p99:>8.1f} {most:>8.1f}")


if __name__ == "__main__":
    main()
