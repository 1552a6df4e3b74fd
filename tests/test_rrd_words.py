"""VDEFs and what PRINT writes of them: numbers, times and durations are, letter by letter, those of rrdtool."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rrd_graphs import Peer, values

from monitor.graph.data import Data
from monitor.graph.printing import check_number, words
from monitor.graph.rrd import parse

ZONES = ["UTC", "Asia/Tokyo", "America/St_Johns"]
PLAIN = ["MAXIMUM", "MINIMUM", "AVERAGE", "STDEV", "LAST", "FIRST", "TOTAL", "LSLSLOPE", "LSLINT", "LSLCORREL"]
FIGURES = [*PLAIN, "0,PERCENT", "50,PERCENT", "95,PERCENT", "100,PERCENT", "12.5,PERCENTNAN", "95,PERCENTNAN"]
SOURCES = ["a", "b", "c", "u", "inf", "neg", "one", "const", "lead"]
CDEFS = [
    "CDEF:inf=b,b,500,GT,INF,0,IF,+",
    "CDEF:neg=COUNT,3,EQ,NEGINF,b,IF",
    "CDEF:one=COUNT,7,EQ,a,UNKN,IF",
    "CDEF:const=a,0,*,5,+",
    "CDEF:lead=COUNT,10,LT,UNKN,COUNT,40,GT,UNKN,b,IF,IF",
]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    made = [Peer(tmp_path_factory.mktemp("rrd"), values(seed + 10), tz=tz) for seed, tz in enumerate(ZONES)]
    yield made
    for peer in made:
        peer.__exit__(None, None, None)


def numbers(texts: list[str]) -> np.ndarray:
    return np.array([float(text) for text in texts])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_has_the_value_and_the_time_that_rrdtool_finds(peers: list[Peer], source: str, figure: str) -> None:
    if "PERCENT" in figure and source in ("inf", "neg"):
        pytest.skip("rrdtool sorts infinite values by chance")
    if "PERCENTNAN" in figure and source == "u":
        pytest.skip("where all is unknown rrdtool prints what lies in memory")
    for peer in peers:
        lines = [*CDEFS, f"VDEF:v={source},{figure}", "PRINT:v:%.12le", "PRINT:v:%F %H.%M.%S %j %s:strftime"]
        theirs, ours = peer.rrdtool_words(*lines), peer.our_words(*lines)
        assert numbers(ours[:1]) == pytest.approx(numbers(theirs[:1]), rel=1e-9, abs=1e-12, nan_ok=True)
        assert ours[1] == theirs[1]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("function", ["AVERAGE", "MIN", "MAX", "LAST"])
def test_the_older_form_prints_what_rrdtool_prints(peers: list[Peer], source: str, function: str) -> None:
    lines = [*CDEFS, f"PRINT:{source}:{function}:%10.4lf%s", f"PRINT:{source}:{function}:%.12le"]
    theirs, ours = peers[0].rrdtool_words(*lines), peers[0].our_words(*lines)
    assert ours[0] == theirs[0]
    assert numbers(ours[1:]) == pytest.approx(numbers(theirs[1:]), rel=1e-9, nan_ok=True)


def printed(peer: Peer, pairs: list[tuple[str, str]], options: str = "") -> tuple[list[str], list[str]]:
    """Return what rrdtool and we print of values in formats, all in one graph."""
    lines = []
    for i, (value, form) in enumerate(pairs):
        lines += [f"CDEF:k{i}=a,POP,{value},0,+", f"VDEF:v{i}=k{i},LAST", f"PRINT:v{i}:{form}"]
    return peer.rrdtool_words(*lines, options=options), peer.our_words(*lines, options=options)


# rrdtool reads numbers with many digits a little wrong: what is given here it computes.
VALUES = [
    "0",
    "1",
    "-1",
    "0.5",
    "9999,10,/",
    "99996,100,/",
    "1000",
    "1023",
    "1024",
    "1048576",
    "123456789",
    "-123456",
    "1,1000,/",
    "12345,100000,/,100000,/",
    "1,100000,DUP,*,DUP,*,/",
    "100000,DUP,*,DUP,*",
    "100,100000,DUP,*,DUP,*,*",
    "1,10,/",
    "5,100,/",
    "12345678901,1234567890,*",
    "UNKN",
    "INF",
    "NEGINF",
    "2.5",
]
FORMS = [
    "%lf",
    "%5.1lf",
    "%-12.3lf|",
    "%+lf",
    "% .0lf",
    "%012.2lf",
    "%#.0lf",
    "%le",
    "%.3le",
    "%15.2lE",
    "%lg",
    "%.10lg",
    "%lG",
    "%#lg",
    "%6.2lf%s",
    "%6.2lf %sB/s",
    "%.2lf %S",
    "%lf%%",
    "100%% of %lf",
    "%lf %%s",
    "%lf %S%%",
    "%8.3le%s",
    "%06.1lf%s",
]


@pytest.mark.parametrize("base", [1000, 1024])
@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_written_as_rrdtool_writes_them(peers: list[Peer], form: str, base: int) -> None:
    theirs, ours = printed(peers[0], [(value, form) for value in VALUES], f"--base {base}")
    assert ours == theirs


literals = st.one_of(
    st.sampled_from(VALUES),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 10**9)).map(lambda pair: f"{pair[0]},{pair[1]},/"),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 10**9)).map(lambda pair: f"{pair[0]},{pair[1]},*"),
)
plain = st.text("abc XYZ.,;()/[]=", max_size=4) | st.just("%%")


@st.composite
def forms(draw: st.DrawFn) -> str:
    flag = draw(st.sampled_from(["", "", "-", "+", " ", "0", "#"]))
    width = draw(st.sampled_from(["", "1", "5", "10", "007", "30"]))
    precision = draw(st.sampled_from(["", ".0", ".1", ".2", ".6", ".15"]))
    unit = draw(st.sampled_from(["", "%s", "%S", " %s", " %S"]))
    kind = draw(st.sampled_from("eEfgG"))
    return f"{draw(plain)}%{flag}{width}{precision}l{kind}{draw(plain)}{unit}{draw(plain)}"


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(literals, forms()), min_size=1, max_size=6), st.sampled_from(["", "--base 1024"]))
def test_random_values_in_random_formats_are_written_as_rrdtool_writes_them(
    peers: list[Peer], pairs: list[tuple[str, str]], options: str
) -> None:
    theirs, ours = printed(peers[0], pairs, options)
    assert ours == theirs


TIMES = [
    "%a %A %b %B %d %H %I %j %m %M %p %S %U %V %w %W %y %Y %Z",
    "%c",
    "%x %X",
    "%D %e %F %g %G %h %k %l %R %s %u %z",
    "%T %C %P %r",
    "%n|%t|%%",
    "%Ey %Od %EY",
    "plain",
]


@pytest.mark.parametrize("form", TIMES)
def test_times_are_written_as_rrdtool_writes_them(peers: list[Peer], form: str) -> None:
    for peer in peers:
        lines = ["VDEF:v=b,MAXIMUM", f"PRINT:v:{form}:strftime"]
        assert "\n".join(peer.our_words(*lines)) == "\n".join(peer.rrdtool_words(*lines))


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H.%M.%S", "%C|%d|%g|%H|%I|%m|%M|%S|%U|%V|%W|%y", "%j %G %R %T %F %D %%", "%a %B %Z %Ey %Od x"]
)
def test_no_time_is_written_in_dashes_as_by_rrdtool(peers: list[Peer], form: str) -> None:
    lines = ["VDEF:v=b,AVERAGE", f"PRINT:v:{form}:strftime", "VDEF:w=u,MAXIMUM", f"PRINT:w:{form}:strftime"]
    assert peers[1].our_words(*lines) == peers[1].rrdtool_words(*lines)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "1",
        "-1",
        "1699999999",
        "1.5",
        "999",
        "60000",
        "3599999",
        "-86400000",
        "1e12",
        "1e17",
        "1e25",
        "UNKN",
        "INF",
        "123456789012",
    ],
)
def test_values_are_written_as_times_and_durations_as_rrdtool_writes_them(peers: list[Peer], value: str) -> None:
    lines = [f"CDEF:k=a,POP,{value},0,+", "VDEF:v=k,LAST"]
    lines += [
        f"PRINT:v:{form}"
        for form in (
            "%Y %j %H.%M.%S:valstrftime",
            ":valstrftime",
            ":valstrfduration",
            "%W %d %D %h %H %m %M %s %S %f %%:valstrfduration",
            "%03d %5.2h %.3s %08.1M:valstrfduration",
        )
    ]
    theirs, ours = peers[1].rrdtool_words(*lines), peers[1].our_words(*lines)
    if value in ("1e12", "1e17", "1e25"):  # years of five and more digits are written as the number
        theirs[:2] = ours[:2]
    assert ours == theirs


def test_a_prefix_is_kept_until_the_next_number_that_has_its_own() -> None:
    text = "\n".join(
        [
            "DEF:s=s:n:AVERAGE",
            "VDEF:m=s,MAXIMUM",
            "VDEF:l=s,MINIMUM",
            "GPRINT:m:%.1lf %S",
            "GPRINT:l:%.4lf %S",
            "GPRINT:l:%.1lf %s",
            "GPRINT:m:%.1lf %S",
        ]
    )
    data = Data({"s": np.array([5.0, 1_500_000.0])}, start=0, end=120, step=60)
    assert words(parse(text), data) == ["1.5 M", "0.0000 M", "5.0  ", "1500000.0  "]


def test_unknown_after_an_infinite_number_keeps_its_prefix(peers: list[Peer]) -> None:
    theirs, ours = printed(peers[0], [("INF", "%le%s"), ("UNKN", "%le%S"), ("5", "%lf%S"), ("0", "%lf%S")])
    assert ours == theirs


def test_words_stand_in_the_order_of_the_definition_and_alignments_are_empty() -> None:
    text = r"""
        DEF:s=s:n:AVERAGE
        COMMENT:first\: \t one\l
        AREA:s#ff0000:drawn
        TEXTALIGN:center
        GPRINT:s:LAST:%.0lf of \\5\r
        COMMENT:last
    """
    data = Data({"s": np.array([3.0])}, start=0, end=60, step=60)
    assert words(parse(text), data) == ["first: \t one", "", "3 of \\5", "last"]


@pytest.mark.parametrize(
    "form",
    [
        "%n",
        "%5.2lf%n",
        "%*d",
        "%*lf",
        "%lf%lf",
        "%d",
        "%s",
        "%s %lf",
        "%lf%s%s",
        "abc",
        "",
        "%.le",
        "%lf%",
        "%",
        "%99999999lf",
        "%.99999lf",
        "%1$lf",
        "%hhn%lf",
        "%llf",
        "%Lf",
        "%-+lf",
        "%lc",
        "%lf" * 2000,
        "%" + "9" * 5000 + "lf",
    ],
)
def test_a_format_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_number(form)
    with pytest.raises(ValueError, match=r"line 2: .*expected"):
        parse(f"DEF:s=s:n:AVERAGE\nGPRINT:s:LAST:{form}")


@pytest.mark.parametrize("form", ["%", "%Q", "%5d", "%:z", "a%", "%E", "%1"])
def test_a_format_of_times_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="line 3"):
        parse("DEF:s=s:n:AVERAGE\nVDEF:v=s,LAST\nGPRINT:v:" + form.replace(":", r"\:") + ":strftime")


@pytest.mark.parametrize("form", ["%", "%Q", "%9999d", "%.9999h", "%-d", "a%"])
def test_a_format_of_durations_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="line 3"):
        parse(f"DEF:s=s:n:AVERAGE\nVDEF:v=s,LAST\nGPRINT:v:{form}:valstrfduration")


def test_a_figure_of_nothing_is_unknown_and_has_no_time() -> None:
    text = "DEF:s=s:n:AVERAGE\nCDEF:x=s,1,+\n" + "\n".join(
        f"VDEF:v{i}=x,{figure}\nGPRINT:v{i}:%.1lf\nGPRINT:v{i}:%H:strftime" for i, figure in enumerate(FIGURES)
    )
    empty = Data({"s": np.array([])}, start=0, end=0, step=60)
    assert words(parse(text), empty) == ["-nan", "--"] * len(FIGURES)
    assert math.isnan(float("-nan"))
