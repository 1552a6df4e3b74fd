"""What it costs to count the events of WCS servers for their series, in CPU time per row of StreamEvent.

    python tests/bench/event_counts.py [ROUNDS]

80,000 rows as the receiver hands them over: of one server in each batch, of another server in every row, and in batches
of 20 rows of 500 servers.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from rels import batch

from monitor.receivers.rels_series import pieces
from monitor.receivers.rels_tally import Tally
from monitor.wire.clickhouse.tables import TABLES

SERVER = re.compile(rb"\t10\.\d+\.0\.\d+\t")
NAMES = TABLES["StreamEvent"].names


def of_one(body: bytes, server: int) -> bytes:
    return SERVER.sub(b"\t10.1.%d.%d\t" % (server // 250, server % 250), body)


def main(rounds: int = 5) -> None:
    bodies = [batch(10_000, seed) for seed in range(8)]
    first = [b"".join(body.splitlines(keepends=True)[:20]) for body in bodies]
    ways = {
        "one server a batch": [of_one(body, number) for number, body in enumerate(bodies)],
        "a server a row": bodies,
        "500 servers, 20 rows a batch": [of_one(first[number % 8], number % 500) for number in range(4000)],
    }
    tally = Tally()
    for name, some in ways.items():
        rows = sum(body.count(b"\n") for body in some)
        took = []
        for _ in range(rounds):
            began = time.process_time()
            for piece in pieces(some):
                tally.add("StreamEvent", NAMES, "", piece)
            took.append(time.process_time() - began)
            began = time.perf_counter()
            found = tally.take()
            taken = time.perf_counter() - began
        print(
            f"{name:30} {min(took) / rows * 1e6:.2f} µs a row at best, {sum(took) / rows / rounds * 1e6:.2f} on the "
            f"average; taking {len(found)} servers {taken * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
