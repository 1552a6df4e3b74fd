"""Lines of InfluxDB's protocol as batches, and the verdicts of influxd itself on good and bad ones."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers_influx import Influx, influx

from monitor.batch import Kind, Source
from monitor.influx import TOTALS
from monitor.wire.influx_lines import Bounds, Reader, Written

NOW = 1795234980.0
NS = "1795234980000000000"


def read(body: bytes, precision: str = "ns", reader: Reader | None = None) -> Written:
    written = Written()
    for _ in (reader or Reader()).read(body, precision, NOW, written):
        pass
    return written


def values(written: Written) -> dict[Source, dict[str, float]]:
    return {source: batch.values for (source, _), batch in written.batches.items()}


def test_a_line_is_a_batch_of_its_host_measurement_and_other_tags() -> None:
    written = read(f"cpu,host=web1,cpu=cpu0,az=b usage_user=1.5,n=3i,up=true,big=7u {NS}\n".encode())
    (((source, moment), batch),) = written.batches.items()
    assert source == Source("web1", "cpu", "az=b,cpu=cpu0") and moment == NOW
    assert batch.values == {"usage_user": 1.5, "n": 3, "up": 1, "big": 7} and batch.interval == -60


def test_lines_of_the_same_tags_and_time_are_one_batch() -> None:
    written = read(f"mem,host=a used=1 {NS}\nmem,host=a free=2 {NS}\nmem,host=b free=3 {NS}".encode())
    assert values(written) == {Source("a", "mem"): {"used": 1, "free": 2}, Source("b", "mem"): {"free": 3}}


def test_texts_are_meta_and_may_hold_ends_of_lines_and_escapes() -> None:
    body = b'sys,host=a v=1,os="Debian \\"12\\", x=1\nnext" ' + NS.encode() + b"\nsys,host=b v=2 " + NS.encode()
    written = read(body)
    assert values(written) == {Source("a", "sys"): {"v": 1}, Source("b", "sys"): {"v": 2}} and not written.bad
    assert written.batches[Source("a", "sys"), NOW].meta == {"os": 'Debian "12", x=1\nnext'}


def test_escapes_are_taken_off() -> None:
    written = read(rb"a\,b\ c,host=h\ 1,k\=x=v\,y n\ \,\=m=1 " + NS.encode())
    assert values(written) == {Source("h 1", "a,b c", "k=x=v,y"): {"n ,=m": 1}}


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [
        ("ns", NS),
        ("n", NS),
        ("us", NS[:-3]),
        ("u", NS[:-3]),
        ("ms", NS[:-6]),
        ("s", NS[:-9]),
        ("m", "29920583"),
        ("h", "498676"),
    ],
)
def test_stamps_are_of_the_precision(precision: str, stamp: str) -> None:
    written = read(f"m,host=a v=1 {stamp}".encode(), precision, Reader(Bounds(ahead=7200, past=7200)))
    ((_, moment),) = written.batches
    assert abs(moment - NOW) < {"m": 60, "h": 3600}.get(precision, 1e-6)


def test_a_line_without_a_stamp_is_of_now() -> None:
    assert [moment for _, moment in read(b"m,host=a v=1").batches] == [NOW]


def test_totals_of_telegraf_are_derive_and_the_rest_gauges() -> None:
    reader = Reader(Bounds(derive=TOTALS))
    written = read(f"net,host=a bytes_recv=1i,speed=2i {NS}\nmem,host=a used=1 {NS}".encode(), reader=reader)
    assert written.batches[Source("a", "net"), NOW].kinds == {"bytes_recv": Kind.DERIVE, "speed": Kind.GAUGE}
    assert written.batches[Source("a", "mem"), NOW].kinds == {}


def test_points_too_old_or_in_the_future_are_dropped() -> None:
    written = read(b"m,host=a v=1 1000\nm,host=a v=1 -5\nm,host=a v=1 1795239999000000000\nm,host=a v=1 " + NS.encode())
    assert written.outside == 3 and written.bad == {"time": 3} and len(written.batches) == 1


BAD = [
    b"bad",
    b"m",
    b"m ",
    b",host=a v=1",
    b"m,host v=1",
    b"m,host= v=1",
    b"m,=a v=1",
    b"m,host=a",
    b"m,host=a ",
    b"m,host=a v",
    b"m,host=a v=",
    b"m,host=a =1",
    b"m,host=a v=1,",
    b"m,host=a v=1,w",
    b"m,host=a v=x",
    b"m,host=a v=1x",
    b"m,host=a v=1.5i",
    b"m,host=a v=1e3i",
    b"m,host=a v=NaN",
    b"m,host=a v=inf",
    b"m,host=a v=1e999",
    b"m,host=a v=9223372036854775808i",
    b'm,host=a v="open',
    b'm,host=a v="a"b',
    b"m,host=a v=1 12x",
    b"m,host=a v=1 1.5",
    b"m,host=a v=1 nan",
    b"m,host=a v=[1]",
    b"m,host=a v={}",
    b"m,host=a v=null",
    b"m,host=a v=1 1 1",
    b"m,host=a,host=b v=1",
    b"m,host=a v=--1",
    b"m,host=a v=1,2",
]
GOOD = [
    b"m,host=a v=1",
    b"m,host=a v=-1.5e-3",
    b"m,host=a v=1i",
    b"m,host=a v=-9223372036854775808i",
    b"m,host=a v=t,w=F",
    b"m,host=a v=TRUE,w=false",
    b'm,host=a v="x, y=z",w=1',
    b'm,host=a v=""',
    b"m,host=a  v=1",
    b"  m,host=a v=1",
    b"m,host=a v=.5",
    b"m,host=a v=5.",
    b"m,host=a v=007",
    b"# a comment",
    b"",
    rb"m\,x,host=a\ b v\ w=1",
    b"m,host=a v=1\r",
    rb'm,host=a v="back\\slash"',
    b'm,host=a"b v=1',
    "m,host=ホスト v=1".encode(),
    b"m,host=a v=1E5",
]


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_counted_and_its_neighbours_are_kept(line: bytes) -> None:
    # A text that does not end takes what follows with it, as InfluxDB has it.
    after = b"" if line.count(b'"') % 2 else b"\nn,host=z v=2 " + NS.encode()
    written = read(b"n,host=y v=1 " + NS.encode() + b"\n" + line + after)
    assert sum(written.bad.values()) == 1 and len(written.errors) == 1
    assert values(written) == {Source("y", "n"): {"v": 1}} | ({Source("z", "n"): {"v": 2}} if after else {})


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"m v=1", "host"),
        (b"m,host=a\x01 v=1", "text"),
        (b"m,host=" + 300 * b"a" + b" v=1", "text"),
        (b"m,host=\xff v=1", "utf8"),
        (b"m,host=a v=1,\xff=2", "utf8"),
        (b"m,host=a v=" + 70_000 * b"1", "line"),
    ],
)
def test_what_only_we_refuse_is_counted_by_its_reason(line: bytes, kind: str) -> None:
    written = read(line + b"\nn,host=z v=2")
    assert written.bad == {kind: 1} and values(written) == {Source("z", "n"): {"v": 2}}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as one:
        yield one


def verdict(one: Influx, body: bytes) -> tuple[int, str]:
    # A database of its own for each, for a field keeps the type of its first value.
    name = f"x{abs(hash(body))}"
    one.query(f"CREATE DATABASE {name}")
    try:
        with urllib.request.urlopen(f"{one.url}/write?db={name}", data=body, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


# influxd takes what follows a text for a part of it, and a carriage return for a part of the number before it.
OURS = {b'm,host=a v="a"b', b"m,host=a v=1\r"}


@pytest.mark.parametrize("line", [line for line in (*BAD, *GOOD) if line not in OURS])
def test_influxd_gives_a_line_the_same_verdict(real: Influx, line: bytes) -> None:
    status, said = verdict(real, b"ok,host=y v=1\n" + line)
    written = read(b"ok,host=y v=1\n" + line)
    assert (status == 400) == bool(written.bad), (status, said, written)


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "it=", "x y", '"', "i"]),
        st.sampled_from(["1", "2i", "-3.5", "t", '"q"', "1e2", "x", "", "[1]", "null"]),
    ),
    max_size=5,
).map(lambda pairs: ",".join("=".join(pair) for pair in pairs))
LINES = st.tuples(
    st.sampled_from(["m,host=a", "m", "m,host=a,k=v", "\\", "#", ""]), FIELDS, st.sampled_from([NS, "", "x", "1 2"])
)


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES.map(" ".join), max_size=6).map(lambda lines: "\n".join(lines).encode()) | st.binary(max_size=200))
def test_any_bytes_are_batches_or_errors(body: bytes) -> None:
    written = read(body)
    for batch in written.batches.values():
        assert all(type(value) in (int, float) for value in batch.values.values()) and "" not in batch.values
    if b'"' not in body:
        alone: dict[tuple[Source, float], dict[str, float]] = {}
        for line in body.split(b"\n"):
            for key, batch in read(line + b" \n").batches.items():
                alone.setdefault(key, {}).update(batch.values)
        assert {key: batch.values for key, batch in written.batches.items()} == alone


def test_a_million_open_texts_are_read_in_little_time() -> None:
    body = b'm,host=a v="\n' + 300_000 * b"x\n"
    began = time.process_time()
    assert sum(read(body).bad.values()) > 1
    assert time.process_time() - began < 3
