"""StatsdHandler and the datagrams that it shares with GraphiteHandler."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from appliance import free_port
from blocks import DiamondNaming, block
from hypothesis import given
from hypothesis import strategies as st
from servers_statsd import Statsd

from handlers._graphite.datagrams import Datagrams, packed
from handlers.statsd import StatsdHandler
from monitor.batch import Block, Cursor, Kind, Layout, Source
from monitor.handler import DeliveryError, Refused

CURSOR = Cursor(1, 1)
WEB1 = Source("web1", "c")


@pytest.fixture
async def statsd() -> AsyncIterator[Statsd]:
    one = Statsd()
    one.start()
    yield one
    one.stop()
    assert one.bad == []


async def delivered(statsd: Statsd, *blocks: Block, **options: Any) -> list[Refused]:
    one = StatsdHandler("StatsdHandler", DiamondNaming(), host="127.0.0.1", port=statsd.port, **options)
    await one.open()
    refused = list(await one.write(blocks, CURSOR))
    await one.close()
    await asyncio.sleep(0)
    statsd._read()
    return refused


def rated(kind: Kind, rates: Sequence[float], seconds: float) -> Block:
    """Return rows of one series that is counted, each so many seconds after the one before."""
    times = 1000.0 + seconds * np.arange(1, len(rates) + 1)
    count = len(rates)
    return Block(
        Layout(("n",), (kind,)), [WEB1] * count, times, times - seconds, np.full(count, seconds),
        np.array(rates, dtype=np.float64).reshape(-1, 1), np.zeros((count, 1), dtype=np.uint64),
        np.zeros((count, 1), dtype=np.uint8),
    )  # fmt: skip


async def test_a_gauge_is_set_below_zero_too_and_an_unknown_one_is_not(statsd: Statsd) -> None:
    rows = [(WEB1, 60.0, [5.5, 1]), (WEB1, 120.0, [-3.25, math.nan]), (WEB1, 180.0, [1e21, 2])]
    assert await delivered(statsd, block(*rows, names=["x", "y"])) == []
    # 0 stands before a negative one, for a sign would change the gauge.
    assert statsd.gauges == {"servers.web1.c.x": [5.5, 0, -3.25, 1e21], "servers.web1.c.y": [1, 2]}
    assert statsd.counters == {}


@pytest.mark.parametrize("kind", [Kind.COUNTER, Kind.DERIVE, Kind.ABSOLUTE])
async def test_what_is_counted_adds_up_to_what_came(statsd: Statsd, kind: Kind) -> None:
    deltas = [1, 7, 1_000_003, 0, 12_345_678_901]
    rates = [delta / 59.7 for delta in deltas]
    assert await delivered(statsd, rated(kind, [math.nan, *rates, math.nan], 59.7)) == []
    assert statsd.counters == {"servers.web1.c.n": sum(deltas)}
    assert statsd.gauges == {}


async def test_names_hold_nothing_that_ends_them(statsd: Statsd) -> None:
    odd = block((Source("a:b|c@d#e,f g", "c"), 60.0, [1.0]), names=["x y;z"])
    assert await delivered(statsd, odd) == []
    assert list(statsd.gauges) == ["servers.a_b_c_d_e_f_g.c.x_y_z"]


async def test_a_path_that_is_too_long_is_refused(statsd: Statsd) -> None:
    long = block((Source("h" * 2000, "c"), 60.0, [1.0, math.nan]), names=["x", "y"])
    ((item, reason),) = await delivered(statsd, long)
    assert item.endswith(".c.x")
    assert reason == "the path is too long for statsd"


async def test_many_lines_share_datagrams_that_are_not_too_large(statsd: Statsd) -> None:
    many = block(*((Source(f"host{i}", "c"), 60.0, [i]) for i in range(2000)))
    assert await delivered(statsd, many) == []
    assert len(statsd.gauges) == 2000
    assert statsd.datagrams < 60


@given(st.lists(st.binary(max_size=50).map(lambda text: text.replace(b"\n", b"") + b"\n")), st.integers(1, 100))
def test_datagrams_hold_whole_lines(lines: list[bytes], size: int) -> None:
    found = list(packed(b"".join(lines), size))
    assert b"".join(found) == b"".join(lines)
    for one in found:
        assert one.endswith(b"\n")
        assert len(one) <= size or one.count(b"\n") == 1


async def test_datagrams_go_no_faster_than_asked_for(statsd: Statsd) -> None:
    way = Datagrams("127.0.0.1", statsd.port, family=socket.AF_UNSPEC, size=100, rate=100_000)
    await way.open()
    began = time.monotonic()
    await way.send(b"servers.web1.c.some_name:1|g\n" * 600)
    assert 0.14 < time.monotonic() - began < 2
    await way.close()


async def test_a_closed_port_is_told_and_found_open_again() -> None:
    one = Statsd()
    handler = StatsdHandler("StatsdHandler", DiamondNaming(), host="127.0.0.1", port=one.port)
    await handler.open()
    for _ in range(2):
        with pytest.raises(DeliveryError, match=f"^127.0.0.1:{one.port} does not take datagrams: Connection refused$"):
            await handler.write([block((WEB1, 60.0, [1.0]))], CURSOR)
    one.start()
    await handler.write([block((WEB1, 60.0, [2.0]))], CURSOR)
    await handler.close()
    one.stop()
    assert one.gauges == {"servers.web1.c.a": [2.0]}


async def test_the_other_address_of_a_host_is_tried_where_one_is_refused(statsd: Statsd) -> None:
    class Two(Datagrams):
        async def addresses(self) -> list[tuple[int, Any]]:
            return [(socket.AF_INET6, ("::1", free_port())), (socket.AF_INET, ("127.0.0.1", statsd.port))]

    way = Two("localhost", statsd.port, family=socket.AF_UNSPEC, size=1400, rate=1e6)
    await way.open()
    await way.send(b"a:1|g\n")
    with pytest.raises(DeliveryError, match="does not take datagrams"):
        await way.confirmed()
    way.abort()
    await way.open()
    await way.send(b"a:2|g\n")
    await way.confirmed()
    await way.close()
    assert statsd.gauges == {"a": [2.0]}


async def test_a_host_that_has_no_address_is_named() -> None:
    handler = StatsdHandler("StatsdHandler", DiamondNaming(), host="no-such-host.invalid", port=free_port())
    with pytest.raises(DeliveryError, match=r"^cannot send to no-such-host\.invalid:\d+: "):
        await handler.open()
