"""What it costs to read push bodies: microseconds per value, beside orjson alone.

python tests/bench/push_parse.py
"""

from __future__ import annotations

import time

import orjson

from monitor.receivers.push import parse

NOW = 1_795_234_980


def body(batches: int, values: int, kinds: bool) -> bytes:
    names = [f"queue.depth_{i}" for i in range(values)]
    return orjson.dumps(
        {
            "batches": [
                {
                    "host": f"web{i}", "collector": "app", "time": NOW, "interval": 60,
                    "values": {name: i * 7 + 0.25 * n for n, name in enumerate(names)},
                    **({"kinds": dict.fromkeys(names, "counter")} if kinds else {}),
                }
                for i in range(batches)
            ]
        }
    )  # fmt: skip


def longest_and_total(data: bytes) -> tuple[float, float, int]:
    longest, count = 0.0, 0
    began = last = time.perf_counter()
    for part in parse(data, now=NOW):
        count += sum(not isinstance(batch, str) for batch in part)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest, time.perf_counter() - began, count


def main() -> None:
    print("batches  values  kinds     MB   µs/value   orjson alone   ratio   longest slice ms")
    for batches, values, kinds in ((20, 50, False), (5000, 50, False), (5000, 50, True), (50_000, 1, False)):
        data = body(batches, values, kinds)
        best = min((longest_and_total(data) for _ in range(5)), key=lambda found: found[1])
        assert best[2] == batches
        alone = []
        for _ in range(5):
            began = time.perf_counter()
            orjson.loads(data)
            alone.append(time.perf_counter() - began)
        per, bare = (1e6 * seconds / batches / values for seconds in (best[1], min(alone)))
        print(
            f"{batches:7} {values:7} {kinds!s:>6} {len(data) / 1e6:6.1f} {per:10.3f} {bare:14.3f} {per / bare:7.2f} "
            f"{1e3 * best[0]:18.2f}"
        )


if __name__ == "__main__":
    main()
