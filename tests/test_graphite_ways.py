"""GraphiteHandler over UDP and TLS, pickles, and several targets; what all handlers promise is in the contract."""

from __future__ import annotations

import asyncio
import math
import pickle
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from blocks import DiamondNaming, block
from servers_carbon import Carbon, carbon, minute
from servers_tls import Relay, certificate

from handlers.graphite import GraphiteHandler
from handlers.graphitepickle import GraphitePickleHandler
from handlers.multigraphite import MultiGraphiteHandler, MultiGraphitePickleHandler
from monitor.batch import Block, Cursor, Source
from monitor.config import load
from monitor.handler import DeliveryError, Handler, Refused
from monitor.wire.graphite import GraphiteEncoder
from monitor.wire.graphite_pickle import PickleEncoder

CURSOR = Cursor(1, 1)
WEB1 = Source("web1.example.com", "nginx")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carbon]:
    with carbon(tmp_path_factory.mktemp("carbon")) as one:
        yield one


async def delivered(one: Handler, *blocks: Block) -> list[Refused]:
    await one.open()
    try:
        return list(await one.write(blocks, CURSOR))
    finally:
        await one.close()


async def arrived(cache: Carbon, path: str, time: float) -> float:
    """Wait for the value of a path at a time."""
    async with asyncio.timeout(10):
        while int(time) not in (found := await asyncio.to_thread(cache.held, path)):
            found = await asyncio.to_thread(cache.points, path, time - 60, time)
            if int(time) in found:
                break
            await asyncio.sleep(0.05)
    return found[int(time)]


def pickled(frames: bytes) -> list[Any]:
    found = []
    while frames:
        (length,) = struct.unpack(">I", frames[:4])
        assert length < 1 << 20, "carbon ends the connection"
        found += pickle.loads(frames[4 : 4 + length])
        frames = frames[4 + length :]
    return found


async def test_carbon_has_what_was_pickled(cache: Carbon) -> None:
    time = minute(1)
    one = block((WEB1, time, [12.5, math.nan, 1e21]), names=["pickled", "unknown", "large"])
    handler = GraphitePickleHandler("P", DiamondNaming(), host="127.0.0.1", port=cache.pickle_port)
    assert await delivered(handler, one) == []
    assert await arrived(cache, "servers.web1_example_com.nginx.pickled", time) == 12.5
    assert await arrived(cache, "servers.web1_example_com.nginx.large", time) == 1e21


def test_pickles_say_the_same_as_lines_in_frames_that_carbon_takes() -> None:
    naming = DiamondNaming()
    many = block(
        *((Source(f"host {i}", "c", "x" * 3000 if i % 2 else ""), 60.5 + i, [i, math.nan, i / 3]) for i in range(900)),
        names=["a b", "c", "d"],
    )
    many.sources[7] = Source("h" * 5000, "c")
    lines, frames = GraphiteEncoder(naming.path), PickleEncoder(naming.path)
    expected, too_long = [], []
    for some in lines.encode(many):
        too_long += some.too_long
        for line in some.text.splitlines():
            path, number, time = line.split()
            expected.append((path, (int(time), float(number))))
    pieces = list(frames.frames(many))
    assert pickled(b"".join(piece for piece, _ in pieces)) == expected
    assert [path for _, paths in pieces for path in paths] == too_long


async def test_carbon_has_what_came_in_datagrams(cache: Carbon) -> None:
    time = minute(2)
    many = block(*((Source(f"udp{i}", "c"), time, [i]) for i in range(1000)), names=["x"])
    handler = GraphiteHandler("G", DiamondNaming(), host="127.0.0.1", port=cache.port, proto="udp")
    assert await delivered(handler, many) == []
    for number in (0, 500, 999):
        assert await arrived(cache, f"servers.udp{number}.c.x", time) == number


@pytest.fixture
async def relay(cache: Carbon, tmp_path: Path) -> AsyncIterator[tuple[Relay, Path]]:
    files = certificate(tmp_path)
    one = Relay(cache.port, files)
    await one.start()
    yield one, files[0]
    await one.stop()


async def test_a_certificate_is_checked_unless_that_is_turned_off(
    cache: Carbon, relay: tuple[Relay, Path], tmp_path: Path
) -> None:
    one, file = relay
    options: dict[str, Any] = {"host": "127.0.0.1", "port": one.port, "tls": True}
    with pytest.raises(DeliveryError, match=r"^cannot connect to 127\.0\.0\.1:\d+: .*certificate"):
        await delivered(GraphiteHandler("G", DiamondNaming(), **options))
    with pytest.raises(DeliveryError, match=r"^expected usable TLS files: "):
        await delivered(GraphiteHandler("G", DiamondNaming(), **options, tls_ca=tmp_path / "missing"))
    time = minute(1)
    for name, more in {"trusted": {"tls_ca": file}, "unchecked": {"tls_verify": False}}.items():
        handler = GraphiteHandler("G", DiamondNaming(), **options, **more)
        assert await delivered(handler, block((WEB1, time, [1.0]), names=[name])) == []
        assert await arrived(cache, f"servers.web1_example_com.nginx.{name}", time) == 1.0


def parts(*hosts: str, **options: Any) -> list[tuple[str, Any, Any]]:
    found = MultiGraphiteHandler.parts("M", {"host": list(hosts), **options})
    return [(part.name, part.options["host"], part.options["port"]) for part in found]


def test_every_target_is_a_handler_of_its_own() -> None:
    assert parts("one", "two:2103", "::1", "[::1]:7", "one:2003", "odd:99999", port=2003) == [
        ("M one:2003", "one", 2003), ("M two:2103", "two", 2103), ("M [::1]:2003", "::1", 2003),
        ("M [::1]:7", "::1", 7), ("M [odd:99999]:2003", "odd:99999", 2003),
    ]  # fmt: skip
    found = MultiGraphitePickleHandler.parts("P", {"timeout": 3.0})
    assert [(part.name, part.cls) for part in found] == [("P localhost:2004", GraphitePickleHandler)]
    assert found[0].options == {"host": "localhost", "port": 2004, "timeout": 3.0}


async def test_a_section_without_a_target_says_so() -> None:
    (part,) = MultiGraphiteHandler.parts("M", {"host": []})
    one = part.cls(part.name, DiamondNaming(), **part.options)
    with pytest.raises(DeliveryError, match=r"^host: expected at least one$"):
        await one.open()


def test_diamonds_names_and_options_of_handlers_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "diamond.conf"
    file.write_text(
        """[server]
handlers = diamond.handler.multigraphite.MultiGraphiteHandler, diamond.handler.archive.ArchiveHandler,
    diamond.handler.graphitepickle.GraphitePickleHandler, diamond.handler.httpHandler.HttpPostHandler,
    diamond.handler.stats_d.StatsdHandler, diamond.handler.rrdtool.RRDHandler, diamond.handler.null.NullHandler,
    diamond.handler.multigraphitepickle.MultiGraphitePickleHandler, diamond.handler.graphite.GraphiteHandler
[handlers]
keys = rotated_file
[[default]]
[[MultiGraphiteHandler]]
host = graphite1, graphite2
port = 2003
proto = udp
timeout = 15
batch = 1
max_backlog_multiplier = 5
trim_backlog_multiplier = 4
[[ArchiveHandler]]
log_file = /var/log/diamond/archive.log
when = midnight
rollover_interval = 1
days = 7
encoding = utf-8
propagate = False
[[GraphitePickleHandler]]
host = 127.0.0.1
port = 2004
keepalive = 1
keepaliveinterval = 10
flow_info = 0
scope_id = 0
reconnect_interval = 300
server_error_interval = 120
[[HttpPostHandler]]
url = http://localhost:8888/
format = JSON
batch = 100
[[StatsdHandler]]
host = 127.0.0.1
port = 8125
batch = 1
[[RRDHandler]]
basedir = /var/lib/rrd
batch = 1
step = 60
[[NullHandler]]
""".replace(",\n    ", ", ")
    )
    config = load([file], {})
    assert [spec.name for spec in config.handlers] == [
        "MultiGraphiteHandler", "ArchiveHandler", "GraphitePickleHandler", "HttpPostHandler", "StatsdHandler",
        "RrdHandler", "NullHandler", "MultiGraphitePickleHandler", "GraphiteHandler",
    ]  # fmt: skip
    (warning,) = (str(one) for one in config.warnings if "no effect" in str(one))
    names = {"keys", "max_backlog_multiplier", "trim_backlog_multiplier", "propagate", "flow_info", "scope_id",
             "server_error_interval"}  # fmt: skip
    assert {part.split(" (")[0] for part in warning.partition("here: ")[2].split(", ")} == names
