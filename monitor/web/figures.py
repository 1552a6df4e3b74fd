"""Graphs as numbers: what a picture shows, as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from aiohttp import web

from monitor.graph.data import Data
from monitor.graph.model import Rule
from monitor.graph.shapes import Drawn, evaluate
from monitor.web.answers import listing
from monitor.web.draw import Drawing
from monitor.web.targets import hexadecimal


async def figures(request: web.Request, drawing: Drawing, tier: str, headers: Mapping[str, str]) -> web.StreamResponse:
    """Answer with the lines of a graph: values[i] is the bucket that ends at start + (i + 1) * step, null is unknown.

    Where there are peaks a line has them too: the largest value within each bucket.
    """
    drawn, high = await asyncio.to_thread(_evaluated, drawing)

    async def items() -> AsyncIterator[list[Any]]:
        for number, one in enumerate(drawn):
            if not isinstance(one.item, Rule):
                line: dict[str, Any] = {
                    "legend": one.item.legend,
                    "unit": drawing.graph.unit,
                    "colour": hexadecimal(one.colour),
                    "values": one.values,
                }
                yield [line | ({"peaks": high[number].values} if high else {})]

    response = await listing(
        request, "lines", items(), title=drawing.title, start=drawing.start, end=drawing.end, step=drawing.step,
        tier=tier,
    )  # fmt: skip
    if not response.prepared:
        response.headers.update(headers)
    return response


def _evaluated(drawing: Drawing) -> tuple[list[Drawn], list[Drawn]]:
    def data(series: Mapping[str, Any]) -> Data:
        return Data(
            series, start=drawing.start, end=drawing.end, step=drawing.step, now=drawing.now, tz=drawing.tz,
            tracks=drawing.tracks,
        )  # fmt: skip

    with np.errstate(all="ignore"):
        drawn = evaluate(drawing.graph, data(drawing.series), None)
        high = evaluate(drawing.graph, data(drawing.peaks), None) if drawing.peaks is not None else []
    return drawn, high
