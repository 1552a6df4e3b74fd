"""PDPs and buckets beside rrdtool: a minute of many sources, and two days of one series at one minute.

    python tests/bench/consolidate.py [--sources 3000] [--names 50]

rrdtool runs in its own process through Debian's python3-rrdtool: `update` of as many files with as many data sources
for the minute, `fetch` of the same rows for the series. Medians of interleaved rounds, CPU ms, ratio to rrdtool.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from monitor.consolidate import CF, buckets, gather, of_pdps
from monitor.pdp import pdps

START = 1_795_003_200
DAYS = 2880
PEER = """
import json, pathlib, sys, time
import rrdtool
start, sources, names, directory = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
archives = [f"RRA:{cf}:0.5:{n}:3000" for n in (1, 5) for cf in ("AVERAGE", "MIN", "MAX")]
def create(path, count):
    names = [f"DS:v{i}:GAUGE:120:U:U" for i in range(count)]
    rrdtool.create(path, "--start", str(start), "--step", "60", *names, *archives)
one = str(directory / "one.rrd")
create(one, 1)
for i in range(1, 2881):
    rrdtool.update(one, f"{start + 60 * i + i % 20}:{i % 50 if i % 97 else 'U'}")
many = [str(directory / f"{i}.rrd") for i in range(sources)]
for path in many:
    create(path, names)
minute = 0
print("ready", flush=True)
for line in sys.stdin:
    what = line.strip()
    before = time.process_time()
    if what == "minute":
        minute += 1
        row = f"{start + 60 * minute}:" + ":".join(["1.5"] * names)
        for path in many:
            rrdtool.update(path, row)
    else:
        cf, step = what.split()
        rrdtool.fetch(one, cf, "-r", step, "-s", str(start), "-e", str(start + 2880 * 60 - int(step)))
    print((time.process_time() - before) * 1000, flush=True)
"""


def spent(work: Callable[[], object], times: int = 1) -> float:
    """Return the CPU milliseconds of one call."""
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) * 1000 / times


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print(f"| {name} | {mine:.3f} ({min(ours):.3f}..{max(ours):.3f}) | {peer:.3f} | {mine / peer:.2f} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sources", type=int, default=3000)
    arguments.add_argument("--names", type=int, default=50)
    arguments.add_argument("--files", type=int, default=300, help="rrdtool's files; its figure is scaled to --sources")
    arguments.add_argument("--rounds", type=int, default=7)
    asked = arguments.parse_args()

    at = START + np.arange(1, DAYS + 1) * 60.0 + np.arange(1, DAYS + 1) % 20
    since = np.append(float(START), at[:-1])
    one = np.where(np.arange(1, DAYS + 1) % 97 == 0, np.nan, np.arange(1, DAYS + 1) % 50)
    ends = np.array([START + 60.0, START + 120.0])
    rates = np.full((2, asked.names), 1.5)

    def series(step: int, cf: CF) -> None:
        made = pdps(at, since, one, step=60, heartbeat=120)
        buckets(of_pdps(*made, 60), step=step, start=START, end=START + DAYS * 60, cf=cf)

    def minute() -> None:
        for _ in range(asked.sources):
            made = pdps(ends, ends - 60, rates, step=60, heartbeat=120)
            gather(of_pdps(*made, 60), 60)

    with tempfile.TemporaryDirectory() as directory:
        peer = subprocess.Popen(
            ["/usr/bin/python3", "-c", PEER, str(START), str(asked.files), str(asked.names), directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert peer.stdin
        assert peer.stdout
        if peer.stdout.readline().strip() != "ready":
            sys.exit("rrdtool did not start: is Debian's python3-rrdtool there?")

        def rrdtool(what: str) -> float:
            assert peer.stdin
            assert peer.stdout
            print(what, file=peer.stdin, flush=True)
            return float(peer.stdout.readline())

        results: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(asked.rounds):
            for step in (60, 300):
                for cf in (CF.AVERAGE, CF.MAX):
                    mine, theirs = results.setdefault(
                        f"2 days of one series, {cf} at {step} s: pdps + buckets / fetch", ([], [])
                    )
                    mine.append(spent(lambda step=step, cf=cf: series(step, cf), 20))
                    theirs.append(statistics.median(rrdtool(f"{cf} {step}") for _ in range(20)))
            name = f"a minute of {asked.sources} sources x {asked.names}: pdps + cells / update"
            mine, theirs = results.setdefault(name, ([], []))
            mine.append(spent(minute))
            theirs.append(rrdtool("minute") * asked.sources / asked.files)
        peer.stdin.close()
        peer.wait(10)
    print("| what (ours / rrdtool in-process) | CPU ms (min..max) | rrdtool CPU ms | ratio |\n|---|---|---|---|")
    for name, (mine, theirs) in results.items():
        report(name, mine, theirs)


if __name__ == "__main__":
    main()
