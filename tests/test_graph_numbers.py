"""The legend's numbers are those of `rrdtool graph` PRINT over the same data."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from rrd import Rrd

from monitor.graph.expr import Name
from monitor.graph.layout import layout
from monitor.graph.model import Area, Graph, Line

START = 1_795_000_200  # a multiple of 300
COUNT = 400
FUNCTIONS = {"Cur": "LAST", "Ave": "AVERAGE", "Max": "MAXIMUM", "Min": "MINIMUM"}
GRAPH = Graph(
    "g",
    "",
    Area(8 * Name("rx"), "bits"),
    Line(100 * Name("rx") / (Name("rx") + Name("tx")), "share"),
    Line("tx", "tx"),
    lower=None,
)
RPN = ("rx,8,*", "rx,100,*,rx,tx,+,/", "tx")


def values(seed: int) -> list[tuple[float, float]]:
    """Return gauges with gaps: single unknowns, a long one, and one at the end."""
    source = random.Random(seed)
    rows = [(source.uniform(0, 1e6), source.expovariate(1e-3)) for _ in range(COUNT)]
    for i in (3, 50, *range(100, 140), COUNT - 2, COUNT - 1):
        rows[i] = (math.nan, math.nan)
    rows[200] = (math.nan, rows[200][1])
    return rows


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("cf", "step"), [("AVERAGE", 60), ("AVERAGE", 300), ("MAX", 300)])
def test_the_numbers_of_the_legend_are_those_that_rrdtool_prints(tmp_path: Path, seed: int, cf: str, step: int) -> None:
    end = START + 60 * COUNT
    with Rrd(tmp_path / "g.rrd", start=START, kinds=("gauge", "gauge")) as rrd:
        rrd.update((START + 60 * (i + 1), row) for i, row in enumerate(values(seed)))
        fetched = rrd.fetch(cf, step, START, end)
        words = [f"DEF:{name}={rrd.path}:v{i}:{cf}:step={step}" for i, name in enumerate(("rx", "tx"))]
        words += [f"CDEF:c{i}={rpn}" for i, rpn in enumerate(RPN)]
        for i in range(len(RPN)):
            for name, function in FUNCTIONS.items():
                words += [f"VDEF:d{i}{name}=c{i},{function}", f"PRINT:d{i}{name}:%.10le"]
        # as wide as there are buckets, so that rrdtool does not consolidate them for its pixels
        lines = rrd.command(
            "graph", str(tmp_path / "g.png"), "-s", str(START), "-e", str(end), "-w", str(2 * COUNT), *words
        )
    theirs = np.array([float(line) for line in lines if line != "0x0" and "x" not in line]).reshape(len(RPN), 4)

    picture = layout(
        GRAPH,
        {"rx": fetched[:, 0], "tx": fetched[:, 1]},
        start=START,
        end=end,
        step=step,
        width=580,
        height=203,
    )
    ours = np.array([[row.numbers[name] for name in FUNCTIONS] for row in picture.legend])
    assert ours == pytest.approx(theirs, rel=1e-9)
