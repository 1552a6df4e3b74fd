"""/metrics: the appliance's own numbers, made in a thread for they may be many."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from monitor.metrics import Metrics, Web
from monitor.web.draw import DrawStats
from monitor.web.influx import InfluxStats
from monitor.web.push import PushStats
from monitor.web.services import Services


class Scrape:
    def __init__(
        self,
        services: Services,
        push: PushStats,
        influx: InfluxStats,
        draw: DrawStats,
        answers: Mapping[tuple[str, int], int],
    ) -> None:
        self.metrics_of = Metrics(services.parts, Web(push, influx, draw, answers))
        self._one = asyncio.Lock()

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with self._one:
            body = await asyncio.to_thread(encode, self.metrics_of.registry)
        return web.Response(body=body, headers={"Content-Type": content_type})
