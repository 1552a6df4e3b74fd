"""RrdHandler beyond the contract: Kurado's layout, numbers as RRDtool has them, and what each failure says."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from debian import need
from servers_rrd import RrdCached, fetch, info, rrdcached

from handlers.rrd import RrdHandler
from monitor.batch import REAL, SIGNED, UNSIGNED, Block, Cursor, Kind, Layout, Source
from monitor.handler import DeliveryError, Refused

CURSOR = Cursor(1, 1)
TIME = 1795234980
HOST = Source("10.0.0.1", "base")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RrdCached]:
    with rrdcached(tmp_path_factory.mktemp("rrdcached")) as one:
        yield one


@pytest.fixture(params=["rrdtool", "rrdcached"])
def place(request: pytest.FixtureRequest, tmp_path: Path, daemon: RrdCached) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where the files come to lie, and the options that say so."""
    if request.param == "rrdtool":
        yield tmp_path, {"basedir": tmp_path}
        return
    yield daemon.base, {"daemon": f"unix:{daemon.socket}"}
    daemon.kill()
    subprocess.run(["rm", "-rf", daemon.base, daemon.directory / "journal"], check=True)
    daemon.base.mkdir()
    (daemon.directory / "journal").mkdir()
    daemon.start()


async def delivered(options: dict[str, Any], *writes: Sequence[Block]) -> list[Refused]:
    one = RrdHandler("RrdHandler", DiamondNaming(), **options)
    await one.open()
    try:
        return [refused for blocks in writes for refused in await one.write(blocks, CURSOR)]
    finally:
        await one.close()


def flushed(base: Path, daemon: RrdCached) -> Path:
    if base == daemon.base:
        daemon.flush()
    return base


def counted(kind: Kind, *rows: tuple[int, int | float], name: str = "n", source: Source = HOST) -> Block:
    """Return a block of what is counted: (time, how it stands)."""
    layout = Layout((name,), (kind,))
    times = np.array([time for time, _ in rows], dtype=np.float64)
    words = [np.float64(raw).view(np.uint64) if isinstance(raw, float) else raw % (1 << 64) for _, raw in rows]
    tags = [REAL if isinstance(raw, float) else SIGNED if raw < 1 << 63 else UNSIGNED for _, raw in rows]
    return Block(
        layout, [source] * len(rows), times, times - 60, np.full(len(rows), 60.0), np.ones((len(rows), 1)),
        np.array(words, dtype=np.uint64).reshape(-1, 1), np.array(tags, dtype=np.uint8).reshape(-1, 1),
    )  # fmt: skip


async def test_a_file_is_made_as_kurado_makes_it(place: tuple[Path, dict[str, Any]], daemon: RrdCached) -> None:
    base, options = place
    names = {
        Kind.GAUGE: "loadavg-1", Kind.COUNTER: "reqs", Kind.DERIVE: "cpu user/ü", Kind.ABSOLUTE: "hits.absolute",
    }  # fmt: skip
    blocks = [
        block((HOST, float(TIME), [2.25]), names=[names[Kind.GAUGE]]),
        counted(Kind.COUNTER, (TIME, 5), name=names[Kind.COUNTER]),
        counted(Kind.DERIVE, (TIME, -5), name=names[Kind.DERIVE], source=Source("10.0.0.1", "http", "80:/a?b.c")),
    ]
    blocks.append(block((HOST, float(TIME), [2.25]), names=[names[Kind.ABSOLUTE]]))
    blocks[-1].layout = Layout((names[Kind.ABSOLUTE],), (Kind.ABSOLUTE,))
    assert await delivered(options, blocks) == []
    expected = {
        "10.0.0.1/base/loadavg-1.gauge.rrd": "GAUGE",
        "10.0.0.1/base/reqs.counter.rrd": "COUNTER",
        "10.0.0.1/http%3A80%3A%2Fa%3Fb%2Ec/cpu%20user%2F%C3%BC.derive.rrd": "DERIVE",
        "10.0.0.1/base/hits.absolute.rrd": "ABSOLUTE",
    }
    assert {str(path.relative_to(base)) for path in flushed(base, daemon).rglob("*.rrd")} == set(expected)
    rows = [(1, 2880), (5, 2880), (60, 960), (1440, 1100)]
    for name, kind in expected.items():
        theirs = base / "theirs.rrd"
        archives = [f"RRA:{cf}:0.5:{pdps}:{count}" for cf in ("AVERAGE", "MIN", "MAX") for pdps, count in rows]
        command = ["create", str(theirs), "--start", str(TIME - 60), "--step", "60", f"DS:n:{kind}:120:U:U", *archives]
        subprocess.run([need("rrdtool"), *command], check=True)
        changing = (".last_ds", ".value", ".unknown_sec", ".cur_row", "last_update", "filename", "_datapoints")
        ours, made = ({k: v for k, v in info(p).items() if not k.endswith(changing)} for p in (base / name, theirs))
        assert ours == made
        assert (base / name).stat().st_size == theirs.stat().st_size == 190_552
        theirs.unlink()


async def test_rates_are_what_rrdtool_makes_of_counters(place: tuple[Path, dict[str, Any]], daemon: RrdCached) -> None:
    base, options = place
    big = (1 << 63) - 100
    blocks = [
        counted(Kind.DERIVE, (TIME, 100), (TIME + 60, 160), (TIME + 120, 400), name="d"),
        counted(Kind.COUNTER, (TIME, big), (TIME + 60, big + 60), (TIME + 120, big + 300), name="c"),
        counted(Kind.DERIVE, (TIME, 1.5), (TIME + 60, 4.5), (TIME + 120, 10), name="real"),
    ]
    assert await delivered(options, blocks) == []
    flushed(base, daemon)
    rates = {"d.derive": [1, 4], "c.counter": [1, 4], "real.derive": [0.05, 5.5 / 60]}
    for name, expected in rates.items():
        found = fetch(base / "10.0.0.1/base" / f"{name}.rrd", TIME, TIME + 120)
        assert list(found) == [TIME + 60, TIME + 120]
        assert list(found.values()) == pytest.approx(expected)


async def test_files_that_kurado_made_go_on(tmp_path: Path) -> None:
    directory = tmp_path / "10.0.0.1/base"
    directory.mkdir(parents=True)
    made = ["--start", str(TIME - 70), "--step", "60", "DS:n:DERIVE:120:U:U", "RRA:AVERAGE:0.5:1:2880"]
    theirs = directory / "cpu-user.derive.rrd"
    subprocess.run([need("rrdtool"), "create", str(theirs), *made], check=True)
    subprocess.run([need("rrdtool"), "update", str(theirs), f"{TIME - 60}:40", f"{TIME}:100"], check=True)
    ours = counted(Kind.DERIVE, (TIME + 60, 220), name="cpu-user")
    assert await delivered({"basedir": tmp_path}, [ours]) == []
    assert fetch(theirs, TIME, TIME + 60) == {TIME: 1.0, TIME + 60: 2.0}
    assert list(directory.iterdir()) == [theirs]


async def test_rows_of_several_layouts_reach_a_file_in_the_order_of_time(
    place: tuple[Path, dict[str, Any]], daemon: RrdCached
) -> None:
    base, options = place
    one = block((HOST, float(TIME), [1.0]), (HOST, float(TIME + 120), [3.0]), names=["x"])
    other = block((HOST, float(TIME + 60), [2.0, math.nan]), names=["x", "never known"])
    assert await delivered(options, [one, other]) == []
    assert sorted(path.name for path in flushed(base, daemon).rglob("*.rrd")) == ["x.gauge.rrd"]
    found = fetch(base / "10.0.0.1/base/x.gauge.rrd", TIME, TIME + 120)
    assert found == {TIME: 1.0, TIME + 60: 2.0, TIME + 120: 3.0}


async def test_what_rrdtool_cannot_take_is_refused_and_a_repeat_is_not(place: tuple[Path, dict[str, Any]]) -> None:
    _, options = place
    first = block((HOST, float(TIME), [1.0]), names=["x"])
    late = block((HOST, float(TIME - 60), [1.0]), names=["x"])
    negative = counted(Kind.COUNTER, (TIME, -1), name="negative")
    whole = [counted(Kind.DERIVE, (TIME, 1), name="whole"), counted(Kind.DERIVE, (TIME + 60, 1.5), name="whole")]
    refused = await delivered(options, [first, whole[0]], [first, late], [negative, whole[1]])
    assert [(item.rpartition("/")[2], reason.rpartition(" when ")[0] or reason) for item, reason in refused] == [
        ("x.gauge.rrd", f"{'' if 'daemon' in options else '10.0.0.1/base/x.gauge.rrd: '}illegal attempt to update using"
         f" time {TIME - 60}{'.000000' if 'daemon' in options else ''}"),
        ("10.0.0.1:base::negative", "a counter cannot be below 0"),
        ("whole.derive.rrd", "the file takes whole numbers only"),
    ]  # fmt: skip


async def test_a_file_of_whole_numbers_is_known_as_one_after_a_restart(place: tuple[Path, dict[str, Any]]) -> None:
    _, options = place
    assert await delivered(options, [counted(Kind.DERIVE, (TIME, 1))]) == []
    ((_, reason),) = await delivered(options, [counted(Kind.DERIVE, (TIME + 60, 1.5))])
    assert reason == "the file takes whole numbers only"


@pytest.mark.parametrize("host", ["../x", "..", ".", "a/../../x", "'\"; |x"])
async def test_no_host_leads_out_of_the_directory(tmp_path: Path, host: str) -> None:
    base = tmp_path / "below/here"
    assert await delivered({"basedir": base}, [block((Source(host, "c"), float(TIME), [1.0]))]) == []
    assert len(list(base.glob("*/c/a.gauge.rrd"))) == 1
    assert len(list(tmp_path.rglob("*.rrd"))) == 1


async def test_a_minimum_can_be_had_for_what_is_derived(tmp_path: Path) -> None:
    reset = counted(Kind.DERIVE, (TIME, 1000), (TIME + 60, 1060), (TIME + 120, 3))
    assert await delivered({"basedir": tmp_path, "derive_min": "0", "archives": ["1:10"]}, [reset]) == []
    assert fetch(tmp_path / "10.0.0.1/base/n.derive.rrd", TIME, TIME + 120) == {TIME + 60: 1.0}


async def test_a_daemon_that_makes_no_directories_says_what_it_lacks(tmp_path: Path) -> None:
    told = "cannot be made: No permission to recursively create: .* Did you pass -R to the daemon"
    with rrdcached(tmp_path, "-B") as one, pytest.raises(DeliveryError, match=told):
        await delivered({"daemon": f"unix:{one.socket}"}, [block((HOST, float(TIME), [1.0]))])


async def test_a_daemon_may_listen_on_tcp(tmp_path: Path) -> None:
    port = free_port()
    with rrdcached(tmp_path, "-B", "-R", "-l", f"127.0.0.1:{port}") as one:
        gauge = block((HOST, float(TIME), [1.0]))
        assert await delivered({"daemon": f"127.0.0.1:{port}"}, [gauge]) == []
        one.flush()
    assert fetch(one.base / "10.0.0.1/base/a.gauge.rrd", TIME, TIME) == {TIME: 1.0}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rrdtool": "/nowhere/rrdtool"}, "^cannot start /nowhere/rrdtool in .*: No such file or directory$"),
        ({"daemon": "unix:/nowhere"}, "^cannot connect to rrdcached at unix:/nowhere: No such file or directory$"),
        ({"daemon": "127.0.0.1:x"}, r"^cannot connect to rrdcached at 127\.0\.0\.1:x: "),
        ({"archives": ["5:0"]}, "^archives: expected some of PDPS:ROWS, such as 5:2880$"),
        ({"archives": []}, "^archives: expected some of PDPS:ROWS, such as 5:2880$"),
    ],
)
async def test_what_cannot_be_used_is_named(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeliveryError, match=reason):
        await delivered({"basedir": tmp_path, **options}, [])


async def test_a_file_that_somebody_removes_is_made_again(tmp_path: Path) -> None:
    one = RrdHandler("RrdHandler", DiamondNaming(), basedir=tmp_path)
    await one.open()
    assert await one.write([block((HOST, float(TIME), [1.0]))], CURSOR) == []
    (tmp_path / "10.0.0.1/base/a.gauge.rrd").unlink()
    later = [block((HOST, float(TIME + 60), [2.0]))]
    with pytest.raises(DeliveryError, match="No such file"):
        await one.write(later, CURSOR)
    assert await one.write(later, CURSOR) == []
    assert fetch(tmp_path / "10.0.0.1/base/a.gauge.rrd", TIME, TIME + 60) == {TIME + 60: 2.0}
    await one.close()
