"""CDEFs: every operator and random expressions over random data are what the real rrdtool makes of them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rrd import equal
from rrd_graphs import ROWS, START, Peer, values

from monitor.graph.data import Data, Read, Track
from monitor.graph.model import Line
from monitor.graph.rrd import parse
from monitor.graph.rrd.operators import FUNCTIONS
from monitor.graph.rrd.rpn import OPERATORS

SEEDS = range(4)
Peers = list[Peer]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    made = [Peer(tmp_path_factory.mktemp("rrd"), values(seed)) for seed in SEEDS]
    yield made
    for peer in made:
        peer.__exit__(None, None, None)


CASES = Path(__file__).with_name("cases").joinpath("rrd", "expressions.txt").read_text().split("\n")[:-1]


@pytest.mark.parametrize("rpn", CASES)
def test_an_expression_has_the_values_that_rrdtool_computes(peers: Peers, rpn: str) -> None:
    for peer in peers[:2]:
        theirs, ours = peer.rrdtool_values(f"CDEF:x={rpn}"), peer.our_values(f"CDEF:x={rpn}")
        if len(theirs) != len(ours):
            theirs = np.repeat(theirs, len(ours) // len(theirs))
        relative = 1e-6 if "SIGMA" in rpn else 1e-9
        wrong = ~equal(ours, theirs, relative=relative)
        assert not wrong.any(), (np.flatnonzero(wrong), ours[wrong], theirs[wrong])


def test_the_cases_hold_every_operator_of_rrdtool() -> None:
    seen = {token for rpn in CASES for token in rpn.split(",")}
    assert OPERATORS - seen == {"ROUND", "ROLL", "NOW"}  # tested below: newer, against the manual, of the clock


# Random expressions. What may differ in the last digit stands only outside, so that no difference is made larger.
EXACT = {
    "+": 2,
    "-": 2,
    "*": 2,
    "/": 2,
    "%": 2,
    "ADDNAN": 2,
    "MIN": 2,
    "MAX": 2,
    "MINNAN": 2,
    "MAXNAN": 2,
    "LT": 2,
    "LE": 2,
    "GT": 2,
    "GE": 2,
    "EQ": 2,
    "NE": 2,
    "UN": 1,
    "ISINF": 1,
    "IF": 3,
    "LIMIT": 3,
    "FLOOR": 1,
    "CEIL": 1,
    "ABS": 1,
    "DEG2RAD": 1,
    "RAD2DEG": 1,
    "SQRT": 1,
}
SETS = ["AVG", "MEDIAN", "SMIN", "SMAX"]
FINITE = "{},-1e30,1e30,LIMIT"  # rrdtool sorts infinite values by chance
OUTER = ["SIN", "COS", "ATAN", "LOG", "EXP"]
leaves = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "c",
            "u",
            "a",
            "b",
            "UNKN",
            "INF",
            "NEGINF",
            "COUNT",
            "TIME",
            "STEPWIDTH",
            "PREV(a)",
            "PREV(b)",
            "a,300,TREND",
            "b,180,TRENDNAN",
            "60,1,120,b,PREDICT",
            "600,300,2,60,a,PREDICT",
        ]
    ),
    st.integers(-50, 50).map(str),
    st.integers(-400, 400).map(lambda n: str(n / 8)),
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def applied(name: str) -> st.SearchStrategy[str]:
        return st.lists(inner, min_size=EXACT[name], max_size=EXACT[name]).map(lambda parts: ",".join([*parts, name]))

    several = st.lists(inner.map(FINITE.format), min_size=1, max_size=4)
    return st.one_of(
        st.sampled_from(sorted(EXACT)).flatmap(applied),
        st.tuples(several, st.sampled_from(SETS)).map(lambda both: ",".join([*both[0], str(len(both[0])), both[1]])),
        st.tuples(several, st.integers(30, 100)).map(
            lambda both: ",".join([*both[0], str(both[1] if len(both[0]) > 1 else 100), str(len(both[0])), "PERCENT"])
        ),
        several.map(lambda all: ",".join([*all, str(len(all)), "SORT", *(["EXC", "POP"] * (len(all) - 1))])),
        st.tuples(inner, inner).map(lambda both: ",".join([*both, "EXC", "-"])),
        inner.map(lambda one: f"{one},DUP,+"),
        st.tuples(inner, inner).map(lambda both: f"{both[0]},{both[1]},2,COPY,3,REV,POP,-,ADDNAN"),
        st.tuples(inner, inner).map(lambda both: f"{both[0]},{both[1]},2,INDEX,+,ADDNAN"),
        inner.map(lambda one: f"{one},PREV,ADDNAN,1000,%"),
        inner.map(lambda one: f"PREV,UN,{one},PREV,IF"),
    )


expressions = st.recursive(leaves, larger, max_leaves=12)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(SEEDS), st.lists(expressions, min_size=1, max_size=1), st.sampled_from(["", *OUTER]))
def test_random_expressions_have_the_values_that_rrdtool_computes(
    peers: Peers, seed: int, rpns: list[str], outer: str
) -> None:
    rpn = ",".join(["a,POP", *rpns, outer])  # a number must have a comma behind it, for rrdtool
    theirs, ours = peers[seed].rrdtool_values(f"CDEF:x={rpn}"), peers[seed].our_values(f"CDEF:x={rpn}")
    wrong = ~equal(ours, theirs)
    assert not wrong.any(), (rpn, np.flatnonzero(wrong)[:5], ours[wrong][:5], theirs[wrong][:5])


CHAINS = [
    ("CDEF:y=a,b,ADDNAN", "CDEF:x=y,PREV(y),-"),
    ("CDEF:y=c,2,*", "CDEF:x=y,a,+"),
    ("CDEF:y=b,PREV,ADDNAN", "CDEF:x=y,300,TREND"),
    ("VDEF:m=b,MAXIMUM", "CDEF:x=b,m,/"),
    ("VDEF:s=a,LSLSLOPE", "VDEF:i=a,LSLINT", "CDEF:x=a,POP,s,COUNT,*,i,+"),
    ("VDEF:m=u,AVERAGE", "CDEF:x=a,m,ADDNAN"),
    ("SHIFT:a:300", "CDEF:x=a,1,*"),
    ("SHIFT:a:-300", "CDEF:x=a,b,+"),
    ("SHIFT:a:130", "CDEF:x=a,1,*"),
    ("SHIFT:c:420", "CDEF:x=c,a,0,*,+"),
    ("VDEF:m=c,MAXIMUM", "CDEF:z=a,0,*,120,+", "VDEF:n=z,LAST", "SHIFT:b:n", "CDEF:x=b,1,*"),
    ("SHIFT:a:60", "CDEF:x=a,PREV(a),-"),
]


@pytest.mark.parametrize("lines", CHAINS, ids=" ".join)
def test_definitions_that_build_on_one_another_are_what_rrdtool_computes(peers: Peers, lines: tuple[str, ...]) -> None:
    theirs, ours = peers[0].rrdtool_values(*lines), peers[0].our_values(*lines)
    # outside of the time that it has, rrdtool exports what lies in memory beside a shifted variable
    known = ~np.isnan(ours)
    assert known.sum() >= 40
    assert equal(ours[known], theirs[known]).all(), (ours, theirs)


@pytest.mark.parametrize("tz", ["Europe/Berlin", "Asia/Tokyo", "America/St_Johns"])
@pytest.mark.parametrize("rpn", ["LTIME", "NEWDAY", "NEWWEEK", "NEWMONTH", "NEWYEAR"])
def test_local_times_are_those_of_rrdtool(tmp_path: Path, tz: str, rpn: str) -> None:
    # hours around the changes of the clocks and of the year
    for moment in (1_698_530_400, 1_711_839_600, 1_704_045_600, 1_730_080_800):
        if (rpn, tz, moment) == ("LTIME", "America/St_Johns", 1_704_045_600):
            continue  # around the year's end rrdtool is days off in the west
        with Shown(tmp_path, moment, [1.0] * 100, tz=tz) as shown:
            assert list(shown.ours(rpn)) == list(shown.theirs(rpn))


class Shown(Peer):
    """Hourly values from some moment on."""

    def __init__(self, folder: Path, start: int, data: list[float], *, tz: str) -> None:
        super().__init__(folder, {}, tz=tz)
        self.begin, self.end = start, start + 3600 * len(data)
        self.numbers = data
        name = f"h{start}"
        rows = " ".join(f"{start + (i + 1) * 3600}:{x}" for i, x in enumerate(data))
        self.ask(f"create {name}.rrd --start {start} --step 3600 DS:n:GAUGE:7200:U:U RRA:AVERAGE:0.5:1:1000")
        self.ask(f"update {name}.rrd {rows}")
        self.name = name

    def theirs(self, rpn: str) -> list[float]:
        answer = self.ask(
            f"xport --start {self.begin} --end {self.end - 1} --json -m 100000"
            f" DEF:a={self.name}.rrd:n:AVERAGE CDEF:x=a,POP,{rpn} XPORT:x"
        )
        text = "".join(answer)
        rows = text[text.index('"data"') : text.rindex("]")].replace("[", " ").replace("]", " ").replace(",", " ")
        return [float(one) for one in rows.split()[1:]]

    def ours(self, rpn: str) -> np.ndarray:  # type: ignore[override]
        graph = parse(f"DEF:a={self.name}:n:AVERAGE\nCDEF:x=a,POP,{rpn}\nLINE1:x#ff0000")
        drawn = graph.items[0]
        assert isinstance(drawn, Line)
        data = Data({self.name: np.array(self.numbers)}, start=self.begin, end=self.end, step=3600, tz=self.tz)
        return np.array(drawn.value.evaluate(data))


def drawn(text: str, data: Data) -> np.ndarray:
    item = parse(text).items[-1]
    assert isinstance(item, Line)
    return np.broadcast_to(item.value.evaluate(data), data.count)


def of(values: list[float], **fields: int) -> Data:
    return Data({"s": np.array(values)}, **{"start": 0, "end": 60 * len(values), "step": 60, **fields})  # type: ignore[arg-type]


def test_roll_turns_the_top_of_the_stack_as_the_manual_says() -> None:
    def digits(rpn: str) -> float:
        return float(drawn(f"CDEF:x={rpn},3,REV,10,*,+,10,*,+,10,*,+\nLINE:x#ff0000", of([1.0]))[0])

    assert digits("1,2,3,4,3,0,ROLL") == digits("1,2,3,4")
    assert digits("1,2,3,4,3,1,ROLL") == digits("1,4,2,3")
    assert digits("1,2,3,4,3,-1,ROLL") == digits("1,3,4,2")
    assert digits("1,2,3,4,3,1,ROLL") != digits("1,2,3,4")


def test_round_takes_halves_away_from_zero() -> None:
    found = drawn("DEF:s=s:n:AVERAGE\nCDEF:x=s,ROUND\nLINE:x#ff0000", of([0.5, 1.5, -0.5, -2.5, 0.49999999999999994]))
    assert list(found) == [1, 2, -1, -3, 0]


def test_now_is_the_time_of_the_answer() -> None:
    assert list(drawn("CDEF:x=NOW\nLINE:x#ff0000", of([1.0, 2.0], now=1234))) == [1234, 1234]


def test_a_window_that_reaches_beyond_the_values_is_unknown_or_leaves_them_out() -> None:
    text = "DEF:s=s:n:AVERAGE\nCDEF:x={},s,PREDICT\nLINE:x#ff0000"
    last = drawn(text.format("0,1,0"), of([1.0, 2.0, 3.0, 4.0]))[-1]
    assert math.isnan(last)  # there rrdtool reads what lies in memory behind its values
    percent = drawn("DEF:s=s:n:AVERAGE\nCDEF:x=s,s,1,+,10,2,PERCENT\nLINE:x#ff0000", of([1.0, 2.0]))
    assert list(percent) == [1, 2]  # and here what lies before them


def test_a_coarser_series_is_combined_with_a_finer_one_over_the_time_that_both_have() -> None:
    fine, coarse = Read("fine"), Read("coarse", cf="MAX", step=300)
    tracks = {
        fine: Track(600, 60, np.arange(10.0)),
        coarse: Track(300, 300, np.array([100.0, 200.0])),
    }
    data = Data({}, start=300, end=1200, step=60, tracks=tracks)
    text = "DEF:f=fine:n:AVERAGE\nDEF:c=coarse:n:MAX:step=300\nCDEF:x=f,c,+\nLINE:x#ff0000"
    found = drawn(text, data)
    assert list(found[5:10]) == [200, 201, 202, 203, 204]
    assert np.isnan(found[:5]).all()
    assert np.isnan(found[10:]).all()


def test_steps_that_fit_in_nothing_larger_than_a_second_are_refused_when_they_make_too_many_values() -> None:
    a, b = Read("a", step=86399, cf="MAX"), Read("b", step=86400, cf="MAX")
    tracks = {a: Track(0, 86399, np.ones(1000)), b: Track(0, 86400, np.ones(1000))}
    data = Data({}, start=0, end=86400000, step=86400, tracks=tracks)
    text = "DEF:a=a:n:MAX:step=86399\nDEF:b=b:n:MAX:step=86400\nCDEF:x=a,b,+\nLINE:x#ff0000"
    with pytest.raises(ValueError, match="at most 500000 values"):
        drawn(text, data)


@pytest.mark.parametrize(
    "rpn",
    [
        "s,PREV,ADDNAN",
        "s,UN,PREV,s,IF,0,MAX",
        "s,PREV,s,3,AVG",
        "s,PREV,s,3,STDEV",
        "s,PREV,s,50,3,PERCENT",
        "PREV,0.9,*,s,0.1,*,ADDNAN",
        "86400,-7,1800,s,PREDICT",
        "86400,-7,86400,s,PREDICTSIGMA",
        "s,86400,TREND",
        "LTIME",
        "s,s,s,s,4,MEDIAN",
    ],
)
def test_ten_thousand_values_take_less_than_50_milliseconds(rpn: str) -> None:
    data = of(list(np.random.default_rng(1).random(10_000)))
    text = f"DEF:s=s:n:AVERAGE\nCDEF:x={rpn}\nLINE:x#ff0000"
    times = []
    for _ in range(3):
        begin = time.process_time()
        drawn(text, of(list(data["s"])))
        times.append(time.process_time() - begin)
    assert min(times) < 0.05


@pytest.mark.parametrize("name", [*FUNCTIONS])
@pytest.mark.parametrize(
    "numbers", [(1.5, -2.0, 3.0), (math.nan, 0.0, math.inf), (-math.inf, math.nan, 7.25), (0.0, 0.0, 0.0)]
)
def test_a_function_gives_one_row_what_it_gives_an_array(name: str, numbers: tuple[float, ...]) -> None:
    function = FUNCTIONS[name]
    given = numbers[: function.count] if function.count else numbers
    with np.errstate(all="ignore"):
        whole = np.asarray(function.whole(*(np.full(2, number) for number in given)))
        row = np.asarray(function.row(*map(float, given)))
    assert np.array_equal(whole.T[0], row, equal_nan=True), (whole, row)


@pytest.mark.parametrize(
    ("rpn", "expected"),
    [
        ("s,FOO", "'FOO'"),
        ("s,+", "stack underflow: '+'"),
        ("s,s", "one value on the stack"),
        ("s,POP", "got 0"),
        ("", "NAME="),
        ("s,1,BITAND", "'BITAND'"),
        ("s,1e", "'1e'"),
        ("s,,+", "''"),
        ("s,s,AVG", "number as its count"),
        ("s,0,AVG", "from 1"),
        ("s,9,AVG", "stack underflow: 'AVG' expected 9"),
        ("s,-1,COPY", "from 0"),
        ("s,1e9,COPY", "256"),
        ("s,s,150,2,PERCENT", "0 to 100"),
        ("1,60,TREND", "name of a DEF or CDEF"),
        ("s,1,+,60,TREND", "name of a DEF or CDEF"),
        ("60,1,60,5,PREDICT", "name of a DEF"),
        ("60,-5000,60,s,PREDICT", "from -400"),
        ("-60,1,60,s,PREDICT", "0 or more"),
        ("s,1,60,s,PREDICT", "same in every row"),
        ("60,1,60,200,s,PREDICTPERC", "-100 to 100"),
        ("PREV(q)", "'q'"),
        ("s,PREV,TREND", "no PREV"),
        ("s,nan,+", "'nan'"),
        ("s,s,1,INF,ROLL", "roll by"),
        (",".join(["s", *["DUP"] * 300]), "at most 256 values"),
        (",".join(["s"] * 2000), "at most 1000 parts"),
        ("s,Ⅷ,+", "'Ⅷ'"),
    ],
)
def test_an_expression_that_cannot_be_is_an_error_that_names_the_token(rpn: str, expected: str) -> None:
    with pytest.raises(ValueError, match="line 2") as error:
        parse(f"DEF:s=s:n:AVERAGE\nCDEF:x={rpn}\nLINE:x#ff0000")
    assert expected in str(error.value)


def test_rows_and_start_of_the_test_data_fit_all_steps() -> None:
    assert START % 3600 == 0
    assert ROWS % 5 == 0


@pytest.mark.parametrize(
    "rpn",
    ["600,1,300,early,PREDICT", "900,300,2,120,early,PREDICT", "b,POP,600,1,300,early,PREDICT",
     "b,POP,early,600,TREND", "b,POP,early,600,TRENDNAN", "b,POP,PREV(early)", "early,PREV,ADDNAN",
     "COUNT,early,0,*,+", "early,b,+"],
)  # fmt: skip
def test_a_variable_that_begins_before_the_graph_is_looked_back_at_as_by_rrdtool(peers: Peers, rpn: str) -> None:
    peer, start = peers[0], START + 1800
    names = [f"DEF:early=a.rrd:n:AVERAGE:start={START}", "DEF:b=b.rrd:n:AVERAGE", f"CDEF:x={rpn}"]
    answer = "".join(peer.ask(f"xport -s {start} -e {START + 3599} --json -m 99999 {' '.join(names)} XPORT:x"))
    rows = answer[answer.index('"data"') + 7 :]
    found = re.findall(r"\[\s*(null|[-+.e0-9]+)\s*\]", rows)
    theirs = np.array([math.nan if one == "null" else float(one) for one in found])
    tracks = {
        Read("a.rrd", start=str(START)): Track(START, 60, np.array(peer.data["a"])),
        Read("b.rrd"): Track(start, 60, np.array(peer.data["b"][30:])),
    }
    data = Data({}, start=start, end=START + 3600, step=60, tracks=tracks)
    ours = drawn("\n".join([*names, "LINE1:x#ff0000"]), data)
    assert len(theirs) == 30
    assert equal(ours, theirs).all(), (ours, theirs)
