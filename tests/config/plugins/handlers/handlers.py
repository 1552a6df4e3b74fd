"""Handlers for the tests of the configuration."""

from __future__ import annotations

from typing import Literal

from monitor.handler import Handler, Store, option


class GraphiteHandler(Handler):
    host: str = option("localhost", "where carbon listens")
    port: int = option(2003, "its port", min=1, max=65535)


class InfluxDBHandler(Handler):
    hostname: str = option("localhost", "where InfluxDB listens")
    password: str = option("", "the password", secret=True)
    precision: Literal["s", "ms"] = "s"


class PostgreSQLHandler(Store):
    pass
