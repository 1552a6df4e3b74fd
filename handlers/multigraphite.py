"""Several Graphites: each gets everything, at its own pace.

    [server]
    handlers = MultiGraphiteHandler
    [handlers]
    [[MultiGraphiteHandler]]
    host = graphite1.example.com, graphite2.example.com:2103

Every target is a handler of its own, with its own cursor: one that is down holds up no other and gets later what it
missed. In the log and in /metrics they are called `MultiGraphiteHandler graphite1.example.com:2003` and so on; a target
that is added later begins with what comes from then on, unless `replay = True`.
"""

from __future__ import annotations

from handlers._graphite.delivery import LineOptions, PickleOptions
from handlers._graphite.targets import Targets
from handlers.graphite import GraphiteHandler
from handlers.graphitepickle import GraphitePickleHandler


class MultiGraphiteHandler(Targets, LineOptions):
    """As GraphiteHandler, to each of several."""

    each = GraphiteHandler


class MultiGraphitePickleHandler(Targets, PickleOptions):
    """As GraphitePickleHandler, to each of several."""

    each = GraphitePickleHandler
