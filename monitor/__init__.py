"""Watches media servers and the machines around them, in one process.

     monitor.conf ─► inventory       collectors/*.py                          handlers/*.py
                        │                │                                    graphite influxdb postgresql
                        ▼                ▼                                             ▲
                   scheduler ─► runner ─► Batch ─┐                                     │
                                one collection   ├─► pipeline ─► rates ─► journal ─► outlet, one per handler
                   receivers ──────────► Batch ──┘    checks      once    durable    cursor, batch, retry
                                                                                       ▼
      browser, curl ◄─ web (pages, api, png) ◄─ graph (layout, render) ◄─ query ◄── store (PostgreSQL)

Each box is the module or package of that name; `app` is the only one that knows them all.
"""

__version__ = "0.1.0"
