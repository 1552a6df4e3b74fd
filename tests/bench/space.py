"""What a value takes on the disk in PostgreSQL, as rows and packed, beside VictoriaMetrics' of the same values.

    python tests/bench/space.py [--seconds 300] [--interval 1] [--replay FILE]

This host's own metrics, read by the product's collectors (a file of `packing.py --record` can be given instead), and
rows of 40 values. Sizes are those of the tables with their keys and TOAST; of VictoriaMetrics the data and the index
after a merge.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import packing  # noqa: E402
from blocks import DiamondNaming, block  # noqa: E402

from handlers.postgresql import PostgreSQLHandler  # noqa: E402
from monitor.batch import Batch, Cursor, Source  # noqa: E402
from monitor.rates import Rates  # noqa: E402
from monitor.store.trees import DAY  # noqa: E402


async def sizes(blocks: list, directory: Path) -> tuple[float, float]:
    """Return the bytes a value takes as rows and packed."""
    newest = max(float(one.times.max()) for one in blocks)
    clock = newest + 1
    store = PostgreSQLHandler(
        "PostgreSQLHandler", DiamondNaming(), database="embedded", data_dir=directory, clock=lambda: clock
    )
    store.builder.rest = 0.0
    await store.open()
    for task in store._tasks:
        task.cancel()
    for first in range(0, len(blocks), 200):
        await store.write(blocks[first : first + 200], Cursor(1, first + 1))
    values = sum(one.size for one in blocks)
    await store.maintain()
    rows = store.sizes["default", "rows"]
    clock = newest // DAY * DAY + DAY + 5000
    await store.build()
    await store.maintain()
    packed = store.sizes["default", "packed"]
    store._tasks = []
    await store.close()
    return rows / values, packed / values


def measured(blocks: list) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        found: tuple[float, float] = uvloop.run(sizes(blocks, Path(directory)))
        return found


def forty(sources: int = 20) -> list:
    """Return a day of rows of 40 values."""
    day, chance = int(time.time() // DAY) * DAY - DAY, np.random.default_rng(1)
    names = tuple(f"v{i}" for i in range(40))
    made = []
    for i in range(sources):
        values = np.rint(chance.normal(1000, 50, (1440, 40))).tolist()
        made.append(
            block(*((Source(f"h{i}", "app"), day + 60.0 * (k + 1), row) for k, row in enumerate(values)), names=names)
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--interval", type=float, default=1)
    parser.add_argument("--replay", type=Path)
    asked = parser.parse_args()
    batches: list[Batch] = (
        list(packing.read(asked.replay)) if asked.replay else uvloop.run(packing.collect(asked.seconds, asked.interval))
    )
    rates = Rates()
    blocks = [one for batch in batches for one in rates.apply([batch])[0]]
    width = np.mean([one.rates.shape[1] for one in blocks])
    _, data, index = packing.victoria(batches)
    print("| bytes a value | rows | packed | VictoriaMetrics, data + index |\n|---|---|---|---|")
    hot, closed = measured(blocks)
    print(f"| this host's metrics, {width:.0f} a row | {hot:.1f} | {closed:.2f} | {data:.2f} + {index:.2f} |")
    hot, closed = measured(forty())
    print(f"| 40 whole numbers a row | {hot:.1f} | {closed:.2f} | |")


if __name__ == "__main__":
    main()
