from __future__ import annotations

import asyncio
import math
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.batch import Batch, Block, Kind, Source
from monitor.journal import Journal
from monitor.pipeline import Pipeline
from monitor.prime import Prime, load
from monitor.rates import Rates

KINDS = {"g": Kind.GAUGE, "a": Kind.ABSOLUTE, "c": Kind.COUNTER, "d": Kind.DERIVE}
Row = tuple[str, float, float, str, float]


def batch(time: float, host: str = "web1", **values: float) -> Batch:
    return Batch(Source(host, "app"), time, values, {name: KINDS[name[0]] for name in values})


class Appliance:
    """Journal, rates, pipeline and prime of one run over a directory."""

    def __init__(self, directory: Path) -> None:
        self.journal = Journal(directory / "journal")
        self.rates = Rates()
        self.prime = Prime(self.rates, self.journal, directory / "rates.snapshot")
        self.pipeline = Pipeline(self.rates, self.journal, prime=self.prime)

    async def rows(self) -> list[Row]:
        """Return (host, time, since, name, rate) of all that is in the journal."""
        cursor, blocks = self.journal.start, list[Block]()
        while groups := await self.journal.read(cursor):
            cursor = groups[-1][0]
            blocks += [block for _, made, _ in groups for block in made]
        return sorted(
            (source.host, at, float(block.since[row]), name, rate)
            for block in blocks
            for row, (source, at, names, rates) in enumerate(block.samples())
            for name, rate in zip(names, rates, strict=True)
        )


@asynccontextmanager
async def running(directory: Path, *, primed: bool = True) -> AsyncIterator[Appliance]:
    """Run without the last snapshot that an orderly end writes."""
    one = Appliance(directory)
    await one.journal.open()
    if primed:
        await one.prime.prime()
    try:
        yield one
    finally:
        await one.journal.close()


async def test_counters_go_on_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.pipeline.accept([batch(60, c=60, g=1, a=60)])
    async with running(tmp_path) as one:
        assert one.prime.done
        assert one.prime.sources == 1
        await one.pipeline.accept([batch(120, c=180, g=2, a=60)])
        assert [row for row in await one.rows() if row[1] == 120] == [
            ("web1", 120, 60, "a", 1),
            ("web1", 120, 60, "c", 2),
            ("web1", 120, 60, "g", 2),
        ]


async def test_a_snapshot_makes_the_tail_short_and_holds_what_is_older(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.pipeline.accept([batch(60, c=60)])
        assert await one.prime.snapshot()
        cursor = one.journal.end
        await one.pipeline.accept([batch(60, "web2", c=60)])
    found = load(tmp_path / "rates.snapshot")
    assert found is not None
    assert found[0] == cursor
    for path in (tmp_path / "journal").glob("*.journal"):
        path.unlink()  # so that only the snapshot can know
    async with running(tmp_path) as one:
        assert one.prime.sources == 1
        await one.pipeline.accept([batch(120, c=180)])
        assert await one.rows() == [("web1", 120, 60, "c", 2)]


async def test_a_source_waits_for_its_own_state_only(tmp_path: Path) -> None:
    hosts = [f"h{i}" for i in range(3000)]
    async with running(tmp_path) as one:
        one.pipeline.new_sources = 10**6
        await one.pipeline.accept([batch(60, host, c=0) for host in hosts])
        await one.prime.snapshot()
    async with running(tmp_path, primed=False) as one:
        priming = asyncio.create_task(one.prime.prime())
        await one.prime.ready([Source(hosts[-1], "app")])
        assert Source(hosts[-1], "app") in one.rates
        assert not one.prime.done
        assert len(one.rates) < 3000
        reasons = await one.pipeline.accept([batch(120, host, c=60) for host in (hosts[-1], "new")])
        assert reasons == [None, None]
        await priming
        assert len(one.rates) == 3001
        await one.pipeline.accept([batch(180, hosts[-1], c=180)])
        rates = [row[1:] for row in await one.rows() if row[0] == hosts[-1] and row[1] > 60]
        assert rates == [(120, 60, "c", 1), (180, 120, "c", 2)]


@pytest.mark.parametrize("damage", [b"", b"garbage", "half", "flip"])
async def test_a_damaged_snapshot_is_reported_and_the_journal_primes(
    tmp_path: Path, damage: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rates.snapshot"
    async with running(tmp_path) as one:
        await one.pipeline.accept([batch(60, c=60)])
        await one.prime.snapshot()
    data = path.read_bytes()
    if damage == "half":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(data[:-9] + b"\xff" + data[-8:])
    else:
        path.write_bytes(damage if isinstance(damage, bytes) else b"")
    async with running(tmp_path) as one:
        await one.pipeline.accept([batch(120, c=180)])
        assert ("web1", 120, 60, "c", 2) in await one.rows()
    assert "prime.damaged" in caplog.messages


async def test_a_snapshot_holds_nothing_that_the_journal_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.pipeline.accept([batch(60, c=60)])
        assert one.journal._writer is not None
        one.journal._writer.connection.close()  # the next commit fails
        sending = asyncio.create_task(one.pipeline.accept([batch(120, c=120)]))
        await asyncio.sleep(0)
        assert not await one.prime.snapshot()
        with pytest.raises(Exception, match="the commit failed"):
            await sending
        assert await one.prime.snapshot()
    async with running(tmp_path) as one:
        assert await one.pipeline.accept([batch(120, c=180)]) == [None]
        assert ("web1", 120, 60, "c", 2) in await one.rows()


async def test_it_keeps_a_snapshot_every_minute_and_one_at_the_end(tmp_path: Path) -> None:
    one = Appliance(tmp_path)
    naps: asyncio.Queue[float] = asyncio.Queue()
    wake = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await naps.put(seconds)
        await wake.wait()
        wake.clear()

    now = 1e6
    one.prime.sleep, one.prime.clock = sleep, lambda: now
    await one.journal.open()
    one.prime.start()
    assert await asyncio.wait_for(naps.get(), 5) == 60
    await one.pipeline.accept([batch(1e6, "silent", g=1)])
    wake.set()
    await asyncio.wait_for(naps.get(), 5)
    assert one.prime.snapshots == 1
    now += 7201
    await one.pipeline.accept([batch(now, g=1)])
    wake.set()
    await asyncio.wait_for(naps.get(), 5)
    assert Source("silent", "app") not in one.rates
    await one.prime.close()
    assert one.prime.snapshots == 3
    await one.journal.close()


values = st.dictionaries(
    st.sampled_from(["g", "a", "c", "d", "d2"]),
    st.one_of(st.just(math.nan), st.integers(0, 10_000), st.integers(2**63 - 9, 2**64 - 1), st.floats(0, 1e6)),
    min_size=1,
)
steps = st.lists(
    st.tuples(st.sampled_from(["x", "y"]), st.sampled_from([-70, 0, 1, 60, 60, 60, 200]), values), max_size=25
)


def sequence(drawn: Sequence[tuple[str, int, dict[str, float]]]) -> list[Batch]:
    time, made = 1000, []
    for host, delta, reported in drawn:
        time += delta
        made.append(batch(float(time), host, **reported))
    return made


async def run_through(directory: Path, batches: Sequence[Batch], restarts: dict[int, bool]) -> tuple[object, list[Row]]:
    """Send the batches one by one, with a restart before those given, of which some had a snapshot just before."""
    reasons: list[str | None] = []
    parts = sorted({0, *restarts, len(batches)})
    for begin, end in zip(parts, [*parts[1:], len(batches)], strict=True):
        async with running(directory) as one:
            for i in range(begin, end):
                reasons += await one.pipeline.accept([batches[i]])
                if restarts.get(i + 2):
                    await one.prime.snapshot()
    async with running(directory) as one:
        return reasons, await one.rows()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.dictionaries(st.integers(0, 25), st.booleans(), max_size=3))
def test_with_restarts_the_rates_are_those_without(
    drawn: list[tuple[str, int, dict[str, float]]], restarts: dict[int, bool]
) -> None:
    batches = sequence(drawn)
    restarts = {at: kept for at, kept in restarts.items() if at <= len(batches)}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        plain = asyncio.run(run_through(Path(one), batches, {}))
        restarted = asyncio.run(run_through(Path(other), batches, restarts))
    assert plain[0] == restarted[0]
    np.testing.assert_equal(restarted[1], plain[1])


SENDER = """
import asyncio, sys
from pathlib import Path
from test_prime import Appliance, batch

async def main(directory):
    one = Appliance(Path(directory))
    one.prime.interval = 0.02
    await one.journal.open()
    one.prime.start()
    for line in iter(sys.stdin.readline, ""):
        time = float(line)
        hosts = [f"h{i}" for i in range(20)]
        assert await one.pipeline.accept([batch(time, host, c=time * 3, g=time) for host in hosts]) == [None] * 20
        print(line.strip(), flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_kill_9_leaves_no_gap_and_no_spike(tmp_path: Path) -> None:
    """The sender sends again what was not acknowledged, and after every restart some that was."""
    rng = random.Random(2)
    tests = Path(__file__).parent
    time, acknowledged = 60, 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": f"{tests.parent}:{tests}"},
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        time = max(60, time - 120)
        for _ in range(rng.randint(5, 40)):
            print(time, file=process.stdin, flush=True)
            assert process.stdout.readline() == f"{time}\n"
            acknowledged, time = max(acknowledged, time), time + 60
        print(time, file=process.stdin, flush=True)  # on its way when the end comes
        process.send_signal(signal.SIGKILL)
        process.communicate()
    async with running(tmp_path) as one:
        rows = await one.rows()
    for host in (f"h{i}" for i in range(20)):
        mine = [row for row in rows if row[0] == host]
        times = [row[1] for row in mine if row[3] == "c"]
        assert times == [60.0 * i for i in range(1, len(times) + 1)]
        assert times[-1] >= acknowledged
        assert all(rate == 3 for _, at, _, name, rate in mine if name == "c" and at > 60)
        assert all(rate == at and at - since == 60 for _, at, since, name, rate in mine if name == "g")


async def test_what_fails_is_told_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Rates):
        calls = 0

        def expire(self, now: float, limit: int = 2000) -> bool:
            self.calls += 1
            if self.calls < 4:
                raise KeyError("broken")
            return super().expire(now, limit)

    journal = Journal(tmp_path / "journal")
    await journal.open()
    prime = Prime(Broken(), journal, tmp_path / "rates.snapshot", sleep=lambda _: asyncio.sleep(0))
    prime.start()
    async with asyncio.timeout(10):
        while not prime.snapshots:
            await asyncio.sleep(0.001)
    await prime.close()
    await journal.close()
    assert [record.getMessage() for record in caplog.records] == ["prime.failed"]
