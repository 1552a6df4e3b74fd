"""What the agent pushes as `base`: every series declared, in the kind that is sent, and drawn as Kurado draws it."""

from __future__ import annotations

import fnmatch
import math
from pathlib import Path

import numpy as np
import pytest

from collectors.kuradobase import KuradoBaseCollector
from monitor.batch import Kind
from monitor.collector import CollectError, Metric, Target
from monitor.graph.data import Data
from monitor.graph.device import bind, devices
from monitor.graph.model import Graph, Line
from monitor.graph.straight import Straight
from monitor.wire.kurado import Parser

CASES = Path(__file__).resolve().parent / "cases/kurado"
TIMES = {"agent_of_today": 1795234980, "sample_of_46_lines": 1404873350}
METRICS = {value.name: value for value in vars(KuradoBaseCollector).values() if isinstance(value, Metric)}
GRAPHS = {graph.name: graph for graph in KuradoBaseCollector.graphs}


def pushed(case: str) -> dict[str, Kind]:
    text = (CASES / case / "push.txt").read_bytes()
    (batch,) = Parser().parse(text, TIMES[case], lambda address: (address.decode(), "")).batches
    assert batch.source.collector == KuradoBaseCollector.path
    return batch.kinds


def bound(graph: Graph, names: set[str]) -> list[Graph]:
    return [bind(graph, device) for device in devices(graph, names)] if "*" in "".join(graph.names()) else [graph]


@pytest.mark.parametrize("case", TIMES)
def test_every_series_of_the_agent_is_declared_in_its_kind(case: str) -> None:
    for name, kind in pushed(case).items():
        declared = [metric for pattern, metric in METRICS.items() if fnmatch.fnmatchcase(name, pattern)]
        assert [metric.kind for metric in declared] == [kind], name


def test_every_declared_series_is_sent_by_some_agent() -> None:
    names = {name for case in TIMES for name in pushed(case)}
    assert not [pattern for pattern in METRICS if not fnmatch.filter(names, pattern)]


def test_the_graphs_of_the_sample_are_kurados() -> None:
    names = set(pushed("sample_of_46_lines"))
    found = [graph.name for declared in KuradoBaseCollector.graphs for graph in bound(declared, names)]
    lv_root, lv_swap = "mapper_VolGroup-lv_root", "mapper_VolGroup-lv_swap"
    assert found == [
        "traffic.eth0", "cpu", "loadavg-1", "memory-usage", "memory-rest", "tcp-established", f"disk-usage.{lv_root}",
        *(f"disk-io-byte.{device}" for device in (lv_root, lv_swap, "sda")),
        *(f"disk-io-count.{device}" for device in (lv_root, lv_swap, "sda")),
    ]  # fmt: skip
    assert set(KuradoBaseCollector.groups) == set(GRAPHS)
    assert list(dict.fromkeys(KuradoBaseCollector.groups.values())) == [
        "Traffic(*)", "CPU Memory", "Disk Usage(*)", "Disk IO(*)"
    ]  # fmt: skip


def drawn(graph: str, device: str = "", **series: float | list[float]) -> dict[str, list[float]]:
    """Return what the items of a graph draw, by their legend; `_` in a name stands for `-`."""
    values = {name.replace("_", "-"): np.atleast_1d(np.array(value, dtype=float)) for name, value in series.items()}
    one = bind(GRAPHS[graph], device) if device else GRAPHS[graph]
    data = Data(values, start=0, end=60 * len(next(iter(values.values()))), step=60)
    return {item.legend: np.atleast_1d(item.value.evaluate(data)).tolist() for item in one.items}  # type: ignore[attr-defined]


def test_the_ten_states_of_the_processors_are_stacked_to_100_percent() -> None:
    states = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    found = drawn("cpu", **{f"cpu_{state}": float(number) for number, state in enumerate(states)})
    assert len(found) == 10
    assert sum(value for (value,) in found.values()) == pytest.approx(100)
    assert found["Idle"] == [pytest.approx(100 * 3 / 45)]


def test_traffic_is_in_bits_and_disk_io_in_bytes() -> None:
    assert drawn("traffic", "eth0", traffic_eth0_rxbytes=100.0, traffic_eth0_txbytes=1.0) == {
        "Inbound": [800.0], "Outbound": [8.0]
    }  # fmt: skip
    found = drawn("disk-io-byte", "sda", disk_io_sda_read_sectors=2.0, disk_io_sda_write_sectors=3.0)
    assert found == {"Read": [1024.0], "Write": [1536.0]}


def test_disk_usage_is_in_bytes_with_its_share_and_the_straight_line() -> None:
    found = drawn(
        "disk-usage",
        "sda",
        disk_usage_sda_used=[10.0, 20.0, math.nan, 40.0],
        disk_usage_sda_available=[90.0, 80.0, 70, 60],
    )
    assert str(found["Total"]) == str([102400.0, 102400.0, math.nan, 102400.0])
    assert found["Used %"][3] == 40
    assert found["Prediction"] == pytest.approx([10240, 20480, 30720, 40960])


def test_a_straight_line_is_the_one_of_least_squares_and_needs_two_values() -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    data = Data({"a": np.array(values), "b": np.array([math.nan] * 7 + [1.0])}, start=0, end=480, step=60)
    slope, begin = np.polyfit(range(8), values, 1)
    found = Straight(Line("a").value).evaluate(data)
    assert found == pytest.approx([begin + slope * x for x in range(8)])
    assert np.isnan(Straight(Line("b").value).evaluate(data))
    assert list(Straight(Line("*.x").value).names()) == ["*.x"]


async def test_it_cannot_be_collected_and_says_so() -> None:
    with pytest.raises(CollectError, match="expected Kurado's agent to push"):
        await KuradoBaseCollector(Target("h", "h", "h"), None).collect()  # type: ignore[arg-type]
