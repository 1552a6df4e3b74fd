"""Makes rates of what sources report, by RRDtool's rules over the time that truly passed; it does no I/O.

`Rates` knows the last report of every source. What it decides, beside the rules of the kinds (`rates.arithmetic`):

- A value covers the seconds since its own previous report. Values of one batch with different previous reports become
  rows of their own, each with its own `since`. The first gauge or absolute of a series covers one interval, the first
  counter or derive is unknown, and so is the one after an unknown.
- A report older than the newest of its series is late. Gauge and absolute are taken within the grace and cover their
  own interval, but reach back no further than the known report before them; counter and derive are refused. A time
  that is among the last reports of the source (up to 63) is a repeat, not late, and writes nothing anew.
- A repeat of the newest report: what was unknown may become known, what differs is refused as `conflict`.
- A batch with `interval` 0 (or NaN) does not tell it: the default holds until three deltas within 5 % of each other
  show another.
"""

from monitor.rates.known import RateStats
from monitor.rates.plan import wrong_text
from monitor.rates.rates import Rates, heartbeat
from monitor.rates.table import Undo

__all__ = ["RateStats", "Rates", "Undo", "heartbeat", "wrong_text"]
