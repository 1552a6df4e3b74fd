"""Where all receivers that have a port of their own, or drain a queue, are opened."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from typing import Protocol

from monitor import ports
from monitor.config import Config
from monitor.handler import Store
from monitor.liveness import Liveness
from monitor.pipeline import Pipeline
from monitor.receivers.graphite import GraphiteReceiver
from monitor.receivers.graphite_intake import GraphiteIntake
from monitor.receivers.kurado import KuradoReceiver
from monitor.receivers.kurado_intake import KuradoIntake
from monitor.receivers.kurado_redis import KuradoRedis
from monitor.receivers.rels import RelsReceiver
from monitor.receivers.rels_intake import RelsIntake
from monitor.receivers.rels_series import RelsSeries
from monitor.receivers.rels_tables import OtherTables
from monitor.settings import Address

GRACE = 2.0
"""Seconds that a receiver has to answer those who wait."""


class Parts(Protocol):
    """What receivers need of the appliance, which may put another configuration in its place at any time."""

    @property
    def config(self) -> Config: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def liveness(self) -> Liveness: ...
    @property
    def store(self) -> Store: ...


class Receivers:
    """Made before anything is opened, to take the ports; `open` when there is where to put what comes."""

    def __init__(self, parts: Parts, stack: AsyncExitStack) -> None:
        self._parts = parts
        config = parts.config
        self._kurado_port = _take(stack, config.kurado.listen, "kurado")
        self._graphite_ports = (
            _take(stack, config.graphite.listen, "graphite"),
            _take(stack, config.graphite.udp, "graphite", "udp", datagrams=True),
            _take(stack, config.graphite.pickle, "graphite", "pickle"),
        )
        self._rels_port = _take(stack, config.rels.listen, "rels")

    async def open(self, stack: AsyncExitStack) -> None:
        """Receive; `stack` closes the receivers, the last one first."""
        await self._open_kurado(stack)
        await self._open_graphite(stack)
        await self._open_rels(stack)

    async def _open_kurado(self, stack: AsyncExitStack) -> None:
        """Receive what Kurado's agents push, to us or into a Redis."""
        parts = self._parts
        self.kurado = KuradoIntake(
            parts.pipeline.accept, parts.liveness.report, lambda: parts.config.kurado, lambda: parts.config.inventory
        )
        if self._kurado_port is not None:
            receiver = KuradoReceiver(self.kurado, lambda: parts.config.kurado)
            stack.push_async_callback(receiver.close)
            await receiver.start(self._kurado_port)
        if parts.config.kurado.redis:
            drain = KuradoRedis(parts.config.kurado, self.kurado, parts.config.inventory.own.host)
            stack.push_async_callback(drain.close)
            drain.start()
        stack.push_async_callback(self.kurado.close, GRACE)

    async def _open_graphite(self, stack: AsyncExitStack) -> None:
        """Receive what is sent to a carbon-cache."""
        parts = self._parts
        self.graphite = GraphiteIntake(parts.pipeline.accept, lambda: parts.config.graphite)
        stack.push_async_callback(self.graphite.close, GRACE)
        if any(self._graphite_ports):
            receiver = GraphiteReceiver(self.graphite, lambda: parts.config.graphite)
            stack.push_async_callback(receiver.close)
            await receiver.start(*self._graphite_ports)

    async def _open_rels(self, stack: AsyncExitStack) -> None:
        """Receive the events of WCS servers."""
        parts = self._parts
        series = RelsSeries(parts.pipeline.accept, lambda: parts.config.inventory)
        stack.push_async_callback(series.close)
        others = OtherTables(parts.config.data_dir)
        self.rels = RelsIntake(parts.pipeline.accept_records, lambda: parts.config.rels, series=series, others=others)
        if self._rels_port is not None:
            # Only a store of a kind that holds events answers SELECTs.
            reading = getattr(parts.store, "reading", None)
            receiver = RelsReceiver(self.rels, lambda: parts.config.rels, reading)
            stack.push_async_callback(receiver.close, GRACE)
            await receiver.start(self._rels_port)


def _take(
    stack: AsyncExitStack, address: str, name: str, key: str = "listen", *, datagrams: bool = False
) -> socket.socket | None:
    """Take the port that a key of [receivers] [[name]] gives; None where it gives none."""
    if not address:
        return None
    taken = ports.take(Address.parse(address), f"[receivers] [[{name}]]", key, datagrams=datagrams)
    stack.callback(taken.close)
    return taken
