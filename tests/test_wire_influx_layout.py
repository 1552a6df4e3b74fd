"""Lines of InfluxDB's protocol with the same fields, which are read together, are read as they are one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.batch import Batch, Kind, Row, Source
from monitor.wire.influx_layout import FieldNames
from monitor.wire.influx_lines import FEW, Bounds, Reader, Written, whole

NOW = 1795234980.0
NS = 1795234980000000000
NAMES = ["a", "ab", "b1", "1b", "e", "i", "日"]


def read(body: bytes, reader: Reader) -> Written:
    written = Written()
    for _ in reader.read(body, "ns", NOW, written):
        pass
    return written


def lines(hosts: int = 2 * FEW, minute: int = 0, value: str = "{}.5") -> list[str]:
    return [
        f"m,host=h{host} {','.join(f'{name}={value.format(host + at)}' for at, name in enumerate(NAMES))}"
        f" {NS + minute * 60 * 10**9}"
        for host in range(hosts)
    ]


def learned(bounds: Bounds | None = None) -> Reader:
    reader = Reader(bounds or Bounds())
    read("\n".join(lines()).encode(), reader)
    return reader


def plainly(written: Written) -> dict[tuple[Source, float], dict[str, float]]:
    found = {key: whole(batch) for key, batch in written.batches.items()}
    return {key: {name: float(value) for name, value in batch.values.items()} for key, batch in found.items()}


def one_by_one(body: bytes) -> Written:
    """Read every line token by token: what ends in a blank is not read as JSON."""
    written, reader = Written(), Reader()
    for line in body.split(b"\n"):
        for _ in reader.read(line + b" ", "ns", NOW, written):
            pass
    return written


def test_lines_with_the_fields_of_those_before_become_rows_that_share_their_names() -> None:
    body = "\n".join(lines(minute=1)).encode()
    written = read(body, learned())
    rows = [batch for batch in written.batches.values() if isinstance(batch, Row)]
    assert len(rows) == 2 * FEW == written.lines and len({id(row.names) for row in rows}) == 1
    assert plainly(written) == plainly(one_by_one(body)) and {row.interval for row in rows} == {-60}


@pytest.mark.parametrize("value", ["{}", "{}i", "-{}", "1e{}", "1e-{}", "0.{}", "922337203685477580{}i", "0"])
def test_numbers_of_all_kinds_are_read_together(value: str) -> None:
    body = "\n".join(lines(FEW, value=value)).encode()
    written = read(body, learned())
    assert plainly(written) == plainly(one_by_one(body))


@pytest.mark.parametrize(
    "fields",
    ["a=1ab=,2,b1=3", "a=1,ab=2", "a=1,ab=2,b=3", "a=1,ab==2,b1=3", "a=1,ab=2,b1=3,", ",a=1,ab=2,b1=3", "a=,ab=2,b1=3",
     "a=1,,ab=2,b1=3", "a=1,ab=t,b1=3", "a=1,ab=1.5i,b1=3", "a=1,ab=null,b1=3", "a=1,ab=[2],b1=3", "a=1,ab=.5,b1=3",
     "ab=1,a=2,b1=3", "a=1,b1=2,ab=3", "a=1,ab=1e999,b1=3", "a=1,a=2,b1=3", "a=1,ab=2=,b1=3"],
)  # fmt: skip
def test_other_fields_are_left_to_who_reads_line_by_line(fields: str) -> None:
    names = FieldNames(("a", "ab", "b1"))
    good = b"a=1,ab=2,b1=3"
    assert names.read([good, good]) is not None
    assert names.read([good, fields.encode()]) is None
    assert names.read([fields.encode(), good]) is None
    assert names.read([fields.encode()]) is None


def test_lines_of_the_same_source_and_time_are_one_batch_and_the_last_value_counts() -> None:
    some = lines(FEW)
    body = "\n".join([*some, *lines(FEW, value="7"), f"m,host=h0 a=1,other=2 {NS}"]).encode()
    written = read(body, learned())
    assert plainly(written) == plainly(one_by_one(body))
    assert plainly(written)[Source("h0", "m"), NOW] == {**dict.fromkeys(NAMES, 7), "a": 1, "other": 2}
    assert plainly(written)[Source("h1", "m"), NOW] == dict.fromkeys(NAMES, 7)


def test_totals_keep_their_kind_and_are_exact() -> None:
    reader = learned(Bounds(derive=["m.a"]))
    written = read("\n".join(lines(FEW, value="900719925474099{}i")).encode(), reader)
    batch = written.batches[Source("h3", "m"), NOW]
    assert isinstance(batch, Batch) and batch.kinds["a"] is Kind.DERIVE
    assert batch.values["a"] == 9007199254740993


def test_lines_that_are_too_long_or_old_are_refused_among_others() -> None:
    old = [line.replace(str(NS), "1000") for line in lines(FEW)]
    written = read("\n".join([*lines(FEW), *old]).encode(), learned())
    assert written.outside == FEW and len(written.batches) == FEW
    short = read("\n".join(lines(FEW, minute=1)).encode(), learned(Bounds(line=50)))
    assert short.bad["line"] == FEW and not short.batches


def test_a_comment_is_none_of_the_lines_that_it_looks_like() -> None:
    written = read(f"#m,host=a v=1 {NS}\nm,host=a v=2 {NS}".encode(), Reader())
    assert plainly(written) == {(Source("a", "m"), NOW): {"v": 2}} and written.lines == 1


CHANGES = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 2), st.sampled_from("=,.-+eEi0 9#x\r\n\t{[tf日") | st.characters()),
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(CHANGES, st.sampled_from(["{}.5", "{}i", "{}"]))
def test_whatever_is_changed_in_them_they_are_read_as_one_by_one(
    changes: list[tuple[int, int, str]], value: str
) -> None:
    text = "\n".join(lines(FEW + 2, value=value))
    for at, taken, more in changes:
        place = at % len(text)
        text = text[:place] + more + text[place + taken :]
    body = text.encode("utf-8", "replace").replace(b'"', b"").replace(b"\\", b"")
    together, alone = read(body, learned()), one_by_one(body)
    assert plainly(together) == plainly(alone)
    assert (together.bad, together.lines, together.errors) == (alone.bad, alone.lines, alone.errors)
