"""Definitions in RRDtool's graph language: what they become, how they may be written, what is wrong with bad ones."""

from __future__ import annotations

import contextlib
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.batch import Source
from monitor.graph.data import Data, Read, Track
from monitor.graph.device import bind, devices
from monitor.graph.expr import Constant
from monitor.graph.layout import layout
from monitor.graph.model import (
    Align,
    Area,
    Comment,
    Element,
    Graph,
    HorizontalRule,
    Item,
    Line,
    Print,
    Stack,
    Tick,
    VerticalRule,
)
from monitor.graph.printing import words
from monitor.graph.rrd import parse

CASES = Path(__file__).with_name("cases") / "rrd"
DEF = "DEF:s=s:n:AVERAGE\n"


def case(name: str) -> Graph:
    return parse((CASES / f"{name}.txt").read_text())


def one(text: str) -> Element:
    return parse(DEF + text).items[-1]


def read(text: str) -> Read:
    (found,) = parse(f"DEF:{text}\nLINE1:a#ff0000").reads()
    return found


def test_the_manuals_definition_of_established_connections_draws_and_prints() -> None:
    graph = case("tcp_established")
    assert (graph.unit, graph.title, graph.warnings, graph.written) == ("TCP Established", "", (), True)
    (wanted,) = graph.reads()
    assert wanted == Read("tcp-established", kind="gauge")
    assert list(graph.names()) == ["tcp-established"]
    area = graph.items[0]
    assert isinstance(area, Area)
    assert (area.colour, area.legend) == ("00C000", "Established")
    data = Data({}, start=0, end=240, step=60, tracks={wanted: Track(0, 60, np.array([3.0, 7.0, math.nan, 5.0]))})
    assert words(graph, data) == ["Cur:     5", "Ave:     5", "Max:     7", "Min:     3"]
    assert [item.ending for item in graph.items] == ["", "", "", "", "l"]
    assert list(area.value.evaluate(data)[:2]) == [3, 7]


def test_the_manuals_definition_of_a_count_draws_and_prints() -> None:
    graph = case("count")
    assert graph.unit == "COUNT(*)"
    (wanted,) = graph.reads()
    assert wanted == Read("count", kind="gauge")
    line = graph.items[0]
    assert isinstance(line, Line)
    assert (line.colour, line.legend, line.width) == ("00C000", "Count", 1.0)
    data = Data({}, start=0, end=120, step=60, tracks={wanted: Track(0, 60, np.array([1e6, 12345.4]))})
    assert words(graph, data) == ["Cur:  12345", "Ave: 506173", "Max: 1000000"]


def test_a_definition_pasted_from_a_shell_script_works() -> None:
    graph = case("shell")
    assert (graph.title, graph.unit, graph.lower, graph.rigid) == ("Traffic of eth0", "bits per second", 0.0, True)
    assert list(graph.warnings) == [f"line 2: {name} has no effect here" for name in ("--start", "-w")]
    assert list(graph.names()) == ["eth0.rx_byte", "eth0.tx_byte"]
    area, line, number, time, comment = graph.items
    assert isinstance(area, Area)
    assert isinstance(line, Line)
    assert (area.legend, line.legend, line.width, line.colour) == ("in  ", "out", 2.0, "0000ffaa")
    assert isinstance(number, Print)
    assert (number.form, number.ending, number.when) == ("%6.2lf %Sbit/s", "n", False)
    assert isinstance(time, Print)
    assert (time.form, time.when) == ("at %H:%M", True)
    assert isinstance(comment, Comment)
    assert (comment.text, comment.ending) == ('it\'s "done" :)', "r")


def test_options_may_stand_behind_quoted_instructions_as_munin_writes_them() -> None:
    graph = parse(
        "/usr/bin/rrdtool graph /tmp/cpu.png --title 'CPU usage' -r --lower-limit 0 \\\n"
        " 'DEF:a=cpu-system-d.rrd:42:AVERAGE' 'AREA:a#00cc00:system' --end 1795266000 --base 1024 \\\n"
        " 'GPRINT:a:LAST:%6.2lf%s\\j' --upper-limit 100 'LINE1:a#000000' -u 90"
    )
    assert (graph.title, graph.lower, graph.upper, graph.base, graph.rigid) == ("CPU usage", 0.0, 90.0, 1024, True)
    assert list(graph.warnings) == ["line 2: --end has no effect here"]
    assert [type(item) for item in graph.items] == [Area, Print, Line]
    unquoted = parse("DEF:a=x:a:AVERAGE LINE1:a#ff0000:in -v out")
    assert [item.legend for item in unquoted.items if isinstance(item, Line)] == ["in -v out"]


def test_a_definition_of_devices_is_bound_to_each_of_them() -> None:
    graph = case("disk")
    names = [f"disk-usage-{disk}-{what}" for disk in ("sda", "sdb") for what in ("used", "available")]
    assert devices(graph, names) == ["sda", "sdb"]
    bound = bind(graph.changed(name="disk", title="Disk"), "sdb")
    assert set(bound.names()) == {"disk-usage-sdb-used", "disk-usage-sdb-available"}
    count = 1440
    values = {"disk-usage-sdb-used": 1e6 + 1000 * np.arange(count), "disk-usage-sdb-available": np.full(count, 1e6)}
    tracks = {}
    for one_read in bound.reads():
        x = values[one_read.name]
        tracks[one_read] = Track(0, 60, x) if not one_read.start else Track(-86400 * 7, 60, np.tile(x, 8))
    data = Data({}, start=0, end=60 * count, step=60, tracks=tracks)
    assert words(bound, data) == ["Cur:    3.5GB", "Cur:    2.5GB", "(70.9%)", "Max:    2.5GB"]
    area, line, coming = (item for item in bound.items if isinstance(item, Item) and "Total" not in item.legend)
    assert area.legend == "Used sdb"
    # COUNT is 1 at the first value, the line's start stands at place 0
    assert line.value.evaluate(data) == pytest.approx(area.value.evaluate(data) + 1024 * 1000)
    assert np.isfinite(coming.value.evaluate(data)).all()
    picture = layout(bound, {}, start=0, end=60 * count, step=60, width=500, height=150, tracks=tracks, now=60 * count)
    assert picture.has_data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=<%RRD_FOR x.gauge %>:n:AVERAGE", Read("x", kind="gauge")),
        ("a=<%RRD cpu-user.derive%>:any:MAX", Read("cpu-user", "MAX", "derive")),
        ("a=<%= RRD_FOR a.b.counter %>:n:MIN", Read("a.b", "MIN", "counter")),
        ("a=<%RRD_FOR plain %>:n:LAST", Read("plain", "LAST")),
        (
            "a=<%RRD_EX nginx 10.0.0.1 reqs.derive %>:n:AVERAGE",
            Read("reqs", kind="derive", source=Source("10.0.0.1", "nginx")),
        ),
        (
            "a=<%RRD_EXTEND redis:6379 ::1 keys.gauge %>:n:AVERAGE",
            Read("keys", kind="gauge", source=Source("::1", "redis", "6379")),
        ),
        (
            "a=<%RRD_EX http%3A80%3A%2Fx h1 busy.gauge %>:n:AVERAGE",
            Read("busy", kind="gauge", source=Source("h1", "http", "80:/x")),
        ),
        (r"a=h1\:nginx\:\:conn:n:AVERAGE", Read("conn", source=Source("h1", "nginx"))),
        (r"a=fe80%3A%3A1\:snmp\:1\:x.gauge:n:AVERAGE", Read("x", kind="gauge", source=Source("fe80::1", "snmp", "1"))),
        ("a=eth0.rx_byte:n:AVERAGE", Read("eth0.rx_byte")),
        ("a=x:n:AVERAGE:step=300", Read("x", step=300)),
        ("a=x:n:MAX:step=300:reduce=AVERAGE", Read("x", "MAX", step=300, reduce="AVERAGE")),
        ("a=x:n:MAX:reduce=MAX", Read("x", "MAX")),
        (r"a=x:n:AVERAGE:start=end-8d:end=11\:00", Read("x", start="end-8d", end="11:00")),
        ("a=x:n:AVERAGE:end=start+1h:step=60", Read("x", step=60, end="start+1h")),
        ("a=x:n:AVERAGE  ", Read("x")),
    ],
)
def test_a_def_names_a_series_and_how_it_is_read(text: str, expected: Read) -> None:
    assert read(text) == expected


def test_series_of_other_sources_are_read_but_are_no_names_of_its_own() -> None:
    graph = parse("DEF:a=<%RRD_EX x h y.gauge %>:n:AVERAGE\nDEF:b=own:n:AVERAGE\nCDEF:c=a,b,+\nLINE1:c#ff0000")
    assert [one.name for one in graph.reads()] == ["y", "own"]
    assert list(graph.names()) == ["own"]
    line = graph.items[0]
    assert isinstance(line, Line)
    assert list(line.value.names()) == ["own"]


def test_lines_and_areas_have_their_style() -> None:
    line = one("LINE2.5:s#f008:a\\:b\\l:STACK:dashes=3:dash-offset=2")
    assert isinstance(line, Line)
    assert (line.width, line.colour, line.legend, line.ending) == (2.5, "ff000088", "a:b", "l")
    assert (line.stacked, line.dashes, line.dash_offset, line.visible) == (True, (3.0, 3.0), 2.0, True)
    area = one("AREA:s::STACK")
    assert type(area) is Stack
    assert (area.visible, area.legend) == (False, "")
    assert type(one("AREA:s#00ff00")) is Area
    dashed = one("LINE:s#ff0000::dashes")
    assert isinstance(dashed, Line)
    assert (dashed.dashes, dashed.legend) == ((5.0, 5.0), "")
    constant = one("LINE:100#ff0000")
    assert isinstance(constant, Line)
    assert isinstance(constant.value, Constant)
    assert constant.value.value == 100


def test_the_older_stack_is_what_it_stands_on() -> None:
    graph = parse(f"{DEF}AREA:s#ff0000\nSTACK:s#00ff00:x\nLINE3:s#ff0000\nSTACK:s#00ff00")
    _, area, _, line = graph.items
    assert type(area) is Stack
    assert area.legend == "x"
    assert isinstance(line, Line)
    assert (line.stacked, line.width) == (True, 3.0)


def test_ticks_rules_and_alignments() -> None:
    tick = one("TICK:s#ff000080:-0.5:bad")
    assert isinstance(tick, Tick)
    assert (tick.fraction, tick.legend) == (-0.5, "bad")
    tick = one("TICK:s#ff0000")
    assert isinstance(tick, Tick)
    assert tick.fraction == 0.1
    rule = one("HRULE:95.5#ff0000:limit\\r:dashes=2,1")
    assert isinstance(rule, HorizontalRule)
    assert (rule.legend, rule.ending, rule.dashes) == ("limit", "r", (2.0, 1.0))
    vertical = one("VDEF:m=s,MAXIMUM\nVRULE:m#ff0000:peak")
    assert isinstance(vertical, VerticalRule)
    data = Data({"s": np.array([1.0, 9.0, 3.0])}, start=0, end=180, step=60)
    assert vertical.value.when(data) == 120  # type: ignore[attr-defined]
    align = one("TEXTALIGN:center")
    assert isinstance(align, Align)
    assert align.side == "centre"


def test_a_rule_at_a_figure_of_a_device_stands_at_its_time() -> None:
    text = "DEF:s=*.x:n:AVERAGE\nVDEF:m=s,MAXIMUM\nVRULE:m#ff0000\nHRULE:m#00ff00\nGPRINT:m:%.0lf"
    graph = bind(parse(text), "b")
    assert list(graph.names()) == ["b.x"]
    vertical, horizontal, number = graph.items
    data = Data({"a.x": np.array([9.0, 1.0]), "b.x": np.array([1.0, 5.0])}, start=0, end=120, step=60)
    assert isinstance(vertical, VerticalRule)
    assert vertical.value.when(data) == 120  # type: ignore[attr-defined]
    assert isinstance(horizontal, HorizontalRule)
    assert horizontal.value.evaluate(data) == 5
    assert words(graph, data) == ["5"]
    assert isinstance(number, Print)


def test_values_of_two_devices_are_not_mixed_up_in_one_answer() -> None:
    graph = parse("DEF:s=*.x:n:AVERAGE\nCDEF:d=s,2,*\nLINE1:d#ff0000")
    data = Data({"a.x": np.array([1.0]), "b.x": np.array([5.0])}, start=0, end=60, step=60)
    found = []
    for device in ("a", "b", "a"):
        line = bind(graph, device).items[0]
        assert isinstance(line, Line)
        found.append(float(line.value.evaluate(data)[0]))  # type: ignore[index]
    assert found == [2, 10, 2]


def test_what_follows_a_shift_is_shifted() -> None:
    graph = parse(f"{DEF}LINE1:s#ff0000\nSHIFT:s:120\nLINE1:s#00ff00")
    data = Data({"s": np.array([1.0, 2.0, 3.0, 4.0])}, start=0, end=240, step=60)
    before, after = graph.items
    assert isinstance(before, Line)
    assert isinstance(after, Line)
    assert list(before.value.evaluate(data)) == [1, 2, 3, 4]
    assert np.array_equal(after.value.evaluate(data), [math.nan, math.nan, 1, 2], equal_nan=True)


def test_what_has_no_effect_is_warned_of_with_its_line() -> None:
    graph = parse(
        f"{DEF}AREA:s#ff0000#00ff00:x:gradheight=20\nLINE:s#ff0000::skipscale\n--lazy\nXPORT:s:x\nPRINT:s:LAST:%lf"
    )
    assert graph.warnings == (
        "line 2: a gradient is drawn in its first colour",
        "line 2: gradheight has no effect here",
        "line 3: skipscale has no effect here",
        "line 4: --lazy has no effect here",
        "line 5: XPORT has no effect here",
        "line 6: what PRINT writes stands in the legend",
    )


def test_options_may_stand_together_and_the_later_wins() -> None:
    graph = parse(f"--title My graph of things\n-b1024 -u 10.5 --lazy\n-t Other title -r\n{DEF}LINE:s#ff0000")
    assert (graph.title, graph.base, graph.lower, graph.upper, graph.rigid) == ("Other title", 1024, None, 10.5, True)


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--title=A b c", "title", "A"),
        ('--title="A b c"', "title", "A b c"),
        ("-t 'A b'", "title", "A b"),
        ("--title A b c", "title", "A b c"),
        ("-v bytes per second", "unit", "bytes per second"),
        ("--vertical-label x", "unit", "x"),
        ("-l -5", "lower", -5.0),
        ("--lower-limit=0", "lower", 0.0),
        ("-u1e3", "upper", 1000.0),
        ("--upper-limit 7", "upper", 7.0),
        ("--base 1024", "base", 1024),
        ("-r", "rigid", True),
        ("--rigid", "rigid", True),
    ],
)
def test_an_option_sets_its_field(option: str, field: str, value: object) -> None:
    if option == "--title=A b c":
        with pytest.raises(ValueError, match="line 1: 'b'"):
            parse(f"{option}\n{DEF}LINE:s#ff0000")
        return
    assert getattr(parse(f"{option}\n{DEF}LINE:s#ff0000"), field) == value


def test_a_first_line_that_is_no_instruction_is_the_vertical_label() -> None:
    assert parse(f"\n# a comment\n  Free: space \n{DEF}LINE:s#ff0000").unit == "Free: space"
    assert parse(f"{DEF}LINE:s#ff0000").unit == ""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_comments_blank_lines_and_any_line_ends_are_accepted(newline: str) -> None:
    text = "label\n\n# one\n// two\n  DEF:s=s:n:AVERAGE\n\tLINE1:s#ff0000:x\n"
    graph = parse(text.replace("\n", newline))
    assert (graph.unit, len(graph.items)) == ("label", 1)


@pytest.mark.parametrize(
    ("written", "text", "ending"),
    [
        ("plain", "plain", ""),
        (r"a\l", "a", "l"),
        (r"a\r", "a", "r"),
        (r"a\c", "a", "c"),
        (r"a\j", "a", "j"),
        (r"a\n", "a", "n"),
        (r"\s", "", "s"),
        (r"\u", "", "u"),
        (r"a \g", "a ", "g"),
        (r"a\.", "a", ""),
        (r"a\tb", "a\tb", ""),
        (r"a\t", "a\t", ""),
        (r"a\:b", "a:b", ""),
        (r"a\\b", r"a\b", ""),
        (r"a\\", "a\\", ""),
        (r"a\\l", r"a\l", ""),
        (r"a\\\l", "a\\", "l"),
        (r"a\l  ", "a", "l"),
        (r"a\qb", r"a\qb", ""),
        ("a  ", "a  ", ""),
        (r"x\:", "x:", ""),
        (r"x\\: y", "x: y", ""),
        ("it's", "it's", ""),
        ('"quoted"', "quoted", ""),
        ("'a  b'", "a  b", ""),
        ("日本 \U0001f600", "日本 \U0001f600", ""),
    ],
)
def test_texts_have_their_escapes(written: str, text: str, ending: str) -> None:
    comment = one(f"COMMENT:{written}")
    assert isinstance(comment, Comment)
    assert (comment.text, comment.ending) == (text, ending)


REFUSED = [line.split("\t") for line in (CASES / "refused.txt").read_text().splitlines()]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_a_bad_line_is_an_error_that_names_line_and_token(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^line 3: '.*': .*(expected|time)") as error:
        parse(f"label\n{DEF}{text}\nLINE1:s#ff0000")
    assert expected in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("piece", ["<%", '="', ":'", " ", "\\\\", "<", '"a', "s,", "%>", "<% "])
def test_long_nonsense_is_read_in_no_time(piece: str) -> None:
    for prefix in ("COMMENT:", "--title ", "CDEF:x=", "DEF:a="):
        begin = time.process_time()
        with contextlib.suppress(ValueError):
            parse(prefix + piece * (60_000 // len(piece)))
        assert time.process_time() - begin < 0.5


def test_definitions_have_limits() -> None:
    with pytest.raises(ValueError, match="at most 1000 lines"):
        parse("\n" * 1000)
    with pytest.raises(ValueError, match="at most 65536 characters"):
        parse("x" * 70_000)
    with pytest.raises(ValueError, match="at least one instruction"):
        parse("")
    with pytest.raises(ValueError, match="at least one instruction"):
        parse(DEF)
    with pytest.raises(ValueError, match="lower limit below"):
        parse(f"-l 5 -u 3\n{DEF}LINE:s#ff0000")


PIECES = st.sampled_from(
    [
        ":",
        "=",
        "#",
        ",",
        "\\",
        "\\l",
        " ",
        "\n",
        '"',
        "'",
        "<%",
        "%>",
        "<%RRD_FOR x.gauge %>",
        "%lf",
        "%s",
        "%",
        "DEF",
        "CDEF",
        "VDEF",
        "LINE",
        "AREA",
        "STACK",
        "TICK",
        "HRULE",
        "VRULE",
        "GPRINT",
        "PRINT",
        "COMMENT",
        "SHIFT",
        "TEXTALIGN",
        "XPORT",
        "s",
        "a",
        "b",
        "1",
        "-7",
        "60",
        "ff0000",
        "AVERAGE",
        "LAST",
        "PREDICT",
        "TREND",
        "PREV",
        "DUP",
        "SORT",
        "COPY",
        "+",
        "dashes=",
        "start=",
        "end-1d",
        "strftime",
        "--title",
        "-l",
        "-b",
        "rrdtool graph x ",
        "DEF:s=s:n:AVERAGE\n",
        "LINE1:s#ff0000\n",
        "VDEF:v=s,MAXIMUM\n",
        "CDEF:a=s,",
        "GPRINT:v:",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)), st.booleans())
def test_any_text_is_a_graph_or_an_error(text: str, defined: bool) -> None:
    try:
        graph = parse(DEF + "VDEF:m=s,LAST\n" + text if defined else text)
    except ValueError:
        return
    data = Data({"s": np.array([1.0, math.nan, 3.0])}, start=0, end=180, step=60)
    assert len(words(graph, data)) == sum(not isinstance(item, Item) for item in graph.items)
    for item in graph.items:
        if isinstance(item, Item):
            assert np.broadcast_to(item.value.evaluate(data), 3).shape == (3,)


def test_the_refusals_are_about_the_line_that_is_shown() -> None:
    assert all(re.match(r"\S", text) for text, _ in REFUSED)
