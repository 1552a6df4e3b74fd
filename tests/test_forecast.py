"""The disk space that `monitor check` foretells, from what is declared and kept."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from loading import PLUGINS, loaded

from monitor import forecast as module
from monitor.cli import main
from monitor.collector import Collector, Counter, Gauge
from monitor.config import load
from monitor.forecast import DEVICES, UNDECLARED, Forecast, Room, forecast, row_bytes, series_of
from monitor.retention import DAY
from monitor.store.builder import GRACE

WATCHED = "[roles]\n[[web]]\ncollectors = NginxCollector\n[hosts]\n"
System = namedtuple("System", "f_bavail f_frsize")


class Declared(Collector):
    path = "declared"
    up = Gauge("", "one series")
    down = Counter("requests/s", "another")
    free = Gauge("bytes", "of each disk", name="*.free")


class Derived(Declared):
    down = Gauge("", "under the same name")
    more = Gauge("", "one more")


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "a.conf"
        path.write_text(
            f"[server]\ndata_dir = {tmp_path / 'new/data'}\ncollectors_path = {PLUGINS / 'collectors'}\n"
            f"handlers_path = {PLUGINS / 'handlers'}\n[collectors]\n[[CPUCollector]]\nenabled = False\n" + text
        )
        return path

    return write


def hosts(number: int, role: str = "web") -> str:
    return "".join(f"[[10.0.{n // 250}.{n % 250}]]\nhostname = h{n}\nrole = {role}\n" for n in range(number))


def sizes(found: Forecast, name: str = "default") -> dict[str, float]:
    (one,) = [one for one in found.classes if one.name == name]
    return {part.name: part.bytes for part in one.parts}


def test_series_are_counted_from_the_declared_metrics() -> None:
    assert series_of(Declared) == 2 + DEVICES
    assert series_of(Derived) == 3 + DEVICES
    assert series_of(Collector) == UNDECLARED


def test_a_row_is_as_large_as_it_was_measured_and_a_wider_one_larger() -> None:
    assert [round(row_bytes(width) / width, 1) for width in (1, 3, 8, 20, 40, 50)] == [
        99.5, 38.6, 19.7, 12.6, 10.7, 10.3,
    ]  # fmt: skip
    assert row_bytes(40) < row_bytes(45) < row_bytes(50) < row_bytes(60) < row_bytes(50) * 60 / 50


def test_each_tier_takes_its_cells_and_functions(conf: Any) -> None:
    text = "[retention]\npreset = none\n5m = 90d, AVERAGE\n1h = 180d, AVERAGE, MAX\n1d = 1100d, LAST, MIN\n"
    found = forecast(loaded(conf(text + WATCHED + hosts(10))))
    series = 10 * UNDECLARED
    assert found.series == series
    # What the day shows must be in the finer tiers that it is made of: mean, least, most and last.
    assert sizes(found) == pytest.approx(
        {
            "rows": 10 * row_bytes(UNDECLARED) * 26 * 60,
            "packed": series * 2 * 1440 * 3,
            "5m": series * 90 * 288 * 4 * 3,
            "1h": series * 180 * 24 * 4 * 3,
            "1d": series * 1100 * 3 * 3,
        }
    )
    assert found.bytes == pytest.approx(sum(sizes(found).values()))


def test_plain_rows_are_counted_for_all_their_time_and_a_day(conf: Any) -> None:
    text = "[retention]\npreset = none\ncollected = 9d\npack = False\n"
    found = forecast(loaded(conf(text + WATCHED + hosts(2))))
    assert sizes(found) == pytest.approx({"rows": 2 * row_bytes(UNDECLARED) * 10 * 1440})


def test_an_interval_counts_and_cells_are_never_finer_than_it(conf: Any) -> None:
    text = "[[NginxCollector]]\ninterval = {}\n[retention]\npreset = none\n10s = 5d, MAX\n5m = 90d, MAX\n"
    (fast, slow) = (sizes(forecast(loaded(conf(text.format(each) + WATCHED + hosts(1))))) for each in (10, 600))
    assert fast["rows"] == pytest.approx(60 * slow["rows"])
    # Cells of a single value hold it once.
    assert fast["10s"] == pytest.approx(UNDECLARED * 5 * 8640 * 3)
    assert fast["5m"] == pytest.approx(UNDECLARED * 90 * 288 * 2 * 3)
    assert slow["5m"] == pytest.approx(UNDECLARED * 90 * 144 * 3)


def test_a_source_is_counted_in_its_class_and_rows_that_reach_as_far_are_the_tier(conf: Any) -> None:
    text = "[retention]\npreset = kurado\n[[10.0.0.1]]\npreset = none\n[[nothing]]\ncollected = 20d\n"
    found = forecast(loaded(conf(text + WATCHED + hosts(3))))
    assert [(one.name, one.series) for one in found.classes] == [
        ("10.0.0.1", UNDECLARED), ("nothing", 0), ("default", 2 * UNDECLARED),
    ]  # fmt: skip
    lines = [line.split() for line in found.lines()]
    assert ["1m", "2d", "as", "rows"] in lines
    assert [line[:2] for line in lines if line[0] in ("nothing", "10.0.0.1")] == [["10.0.0.1", "20"], ["nothing", "0"]]
    assert lines[[line[0] for line in lines].index("nothing") + 1][0] == "default"
    assert sizes(found)["1m"] == 0 < sizes(found)["5m"]
    assert sizes(found, "nothing") == dict.fromkeys(("rows", "packed", "1m", "5m", "1h", "1d"), 0.0)


def test_rows_are_packed_within_the_time_that_is_foretold() -> None:
    assert DAY + GRACE <= module.OPEN


def test_check_prints_an_aligned_table_and_ok_last(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", str(conf(WATCHED + hosts(30)))]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[-1] == "OK" and not err
    head = next(number for number, line in enumerate(lines) if line.split()[:2] == ["class", "series"])
    total = next(number for number, line in enumerate(lines) if number > head and line.split()[0] == "total")
    assert len({len(line) for line in lines[head : total + 1]}) == 1
    name, series, tier, *_ = lines[head + 1].split()
    assert (name, tier) == ("default", "rows") and int(series) > 30
    assert lines[total].split()[-1] in ("MiB", "GiB")
    assert " free" in lines[total + 1]


def test_a_disk_that_is_too_small_gives_a_warning_and_is_no_error(
    conf: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "statvfs", lambda path: System(1000, 4096))
    assert main(["check", "-c", str(conf(WATCHED + hosts(30)))]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("\nOK\n")
    assert err.startswith("warning: [retention]: ") and "3.91 MiB" in err


def test_what_the_database_has_already_counts_as_room(conf: Any, tmp_path: Path) -> None:
    path = conf(WATCHED + hosts(1))
    (tmp_path / "new/data/postgres/base").mkdir(parents=True)
    (tmp_path / "new/data/postgres/base/1").write_bytes(b"x" * 100_000)
    found = forecast(loaded(path))
    assert found.room is not None and found.room.used >= 100_000
    full = Forecast(found.classes, Room(tmp_path, 0.0, found.bytes))
    assert not full.warning
    assert Forecast(found.classes, Room(tmp_path, 0.0, found.bytes - 1)).warning


def test_a_database_elsewhere_has_room_that_is_not_known(conf: Any) -> None:
    found = forecast(loaded(conf(WATCHED + hosts(1)), overrides={"database": "postgresql://u@h/db"}))
    assert found.room is None and not found.warning
    assert not any("free" in line for line in found.lines())


def test_the_own_host_is_counted_by_its_collectors(tmp_path: Path) -> None:
    config = load([], {"HOME": str(tmp_path)})
    assert forecast(config).series == sum(series_of(job.cls) for job in config.inventory.jobs) > 100
