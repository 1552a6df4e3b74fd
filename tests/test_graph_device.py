"""Graphs of devices, and the expressions they draw."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.graph.data import Data
from monitor.graph.device import bind, devices
from monitor.graph.expr import Name
from monitor.graph.layout import layout
from monitor.graph.model import Area, Graph, Line
from monitor.metric import Counter

RECEIVED = Counter("bytes/s", "received", name="*.rx_byte")
GRAPH = Graph(
    "traffic",
    "Traffic",
    Area(8 * RECEIVED, "in", "00cc00"),
    Line(8 * Name("*.tx_byte") / Name("links"), "* out"),
    unit="bit/s",
    base=1024,
    lower=None,
    upper=10,
    rigid=True,
    legend=("Max", "Average"),
)


def test_a_device_is_found_by_any_of_its_series_and_in_natural_order() -> None:
    names = ["eth10.rx_byte", "eth2.tx_byte", "eth2.rx_byte", "lo.rx_byte", "eth0.100.rx_byte", "load", "eth3.rx_drop"]
    assert devices(GRAPH, names) == ["eth0.100", "eth2", "eth10", "lo"]


def test_leading_zeros_do_not_count_in_the_order() -> None:
    assert devices(GRAPH, ["cpu010.rx_byte", "cpu8.rx_byte", "cpu007.rx_byte"]) == ["cpu007", "cpu8", "cpu010"]


def test_a_graph_without_a_star_has_no_devices() -> None:
    assert devices(Graph("g", "", Line("a"), Line("a.b")), ["a", "a.b", "axb"]) == []


def test_several_stars_in_a_name_stand_for_the_same_text() -> None:
    assert devices(Graph("g", "", Line("*.of.*")), ["a.of.a", "a.of.b", ".of."]) == ["a"]


def test_names_that_look_like_patterns_are_taken_literally() -> None:
    graph = Graph("g", "", Line("(*).rate+"))
    assert devices(graph, ["(a).rate+", "b.rate+", "(c).rateee", "(d\n).rate+"]) == ["a", "d\n"]


def test_devices_with_very_long_numbers_are_ordered_too() -> None:
    names = [f"{device}.rx_byte" for device in ("disk" + "9" * 5000, "disk" + "1" * 5001, "disk7", "disk²", "07")]
    assert [len(device) for device in devices(GRAPH, names)] == [2, 5, 5004, 5005, 5]


def test_a_bound_graph_draws_the_series_of_its_device_and_is_named_after_it() -> None:
    bound = bind(GRAPH, "eth0")
    assert (bound.name, bound.title) == ("traffic.eth0", "Traffic eth0")
    assert list(bound.names()) == ["eth0.rx_byte", "eth0.tx_byte", "links"]
    assert [item.legend for item in bound.items] == ["in", "eth0 out"]
    assert [type(item) for item in bound.items] == [Area, Line]
    series = {"eth0.rx_byte": np.array([1.0, 2.0]), "eth0.tx_byte": np.array([3.0, np.nan]), "links": np.array([2, 0])}
    values = [item.value.evaluate(Data(series, start=0, end=3, step=1)).tolist() for item in bound.items]
    assert values[0] == [8.0, 16.0]
    assert values[1] == pytest.approx([12.0, np.nan], nan_ok=True)


def test_a_bound_graph_keeps_all_else() -> None:
    bound = bind(GRAPH, "eth0")
    for name in ("unit", "base", "lower", "upper", "rigid", "legend"):
        assert getattr(bound, name) == getattr(GRAPH, name)
    assert [item.colour for item in bound.items] == ["00cc00", None]


def test_a_device_without_one_of_its_series_is_drawn_without_it() -> None:
    picture = layout(
        bind(GRAPH, "eth1"), {"eth1.rx_byte": np.array([1.0])}, start=0, end=60, step=60, width=580, height=203
    )
    assert picture.legend[0].texts == {"Max": "8.00 bit/s", "Average": "8.00 bit/s"}
    assert picture.legend[1].texts == {"Max": "-", "Average": "-"}


def test_expressions_combine_series_and_numbers_and_give_nan_where_nothing_is_known() -> None:
    series = {"a": np.array([1.0, 2.0, np.nan]), "b": np.array([2.0, 0.0, 1.0])}
    a, b = Name("a"), Name("b")
    for made, expected in [
        (a / b, [0.5, np.nan, np.nan]),
        (100 - a, [99.0, 98.0, np.nan]),
        (1 / b * 2 + a, [2.0, np.nan, np.nan]),
        (a - 1, [0.0, 1.0, np.nan]),
        (a + Name("nowhere"), [np.nan] * 3),
    ]:
        assert np.broadcast_to(made.evaluate(Data(series, start=0, end=3, step=1)), 3).tolist() == pytest.approx(
            expected, nan_ok=True
        )


def test_a_wrong_colour_or_limit_is_an_error_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="RRGGBB"):
        Line("a", colour="green")
    with pytest.raises(ValueError, match="lower limit"):
        Graph("g", "", lower=2, upper=1)
