"""RRDtool's graph language: definitions as text become the graphs that collectors declare in Python."""

from monitor.graph.rrd.definition import parse

__all__ = ["parse"]
