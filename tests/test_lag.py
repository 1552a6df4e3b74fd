import asyncio
import time

from monitor.lag import Lag


async def until(condition, deadline=5.0):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def test_a_blocked_loop_shows_as_lag():
    lag = Lag(interval=0.01)
    lag.start()
    await until(lambda: len(lag._late) > 3)
    time.sleep(0.2)
    await until(lambda: lag.worst > 0.1)
    lag.stop()
    assert lag.quantile(1.0) == lag.worst
    assert lag.quantile(0.0) < 0.1


async def test_nothing_measured_yet_is_no_lag():
    assert Lag().quantile(0.99) == 0.0
