"""What [retention] says is kept: presets, lines, classes of sources by patterns; what cannot be kept is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loading import loaded

from monitor import effective
from monitor.batch import Source
from monitor.config import Config, ConfigError
from monitor.retention import DAY, Retention, RetentionClass, Tier
from monitor.sample import sample
from monitor.tiers import COLLECTED, MOST_CLASSES, MOST_TIERS, PRESETS, faults, written

DEFAULT = "5m=90d 30m=120d 1h=180d 6h=365d 1d=1100d"


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    def write(text: str, name: str = "a.conf") -> Path:
        path = tmp_path / name
        path.write_text(f"[retention]\n{text}")
        return path

    return write


def shown(kept: RetentionClass) -> str:
    return " ".join(f"{tier.label}={tier.keep / DAY:g}d" for tier in kept.tiers)


def classes(config: Config) -> dict[str, RetentionClass]:
    return {one.name: one for one in config.retention_classes.classes}


def problems(*files: Path, **options: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as raised:
        loaded(*files, **options)
    return [(each.line, each.key, each.message) for each in raised.value.problems]


def test_the_presets_are_those_that_are_documented(conf: Any) -> None:
    assert classes(loaded())["default"] == RetentionClass()
    assert {name: shown(classes(loaded(conf(f"preset = {name}\n")))["default"]) for name in PRESETS} == {
        "default": DEFAULT,
        "ston": "5m=90d 30m=120d 1h=180d 6h=365d 1d=730d",
        "kurado": "1m=2d 5m=10d 1h=40d 1d=1100d",
        "none": "",
    }
    for name, tiers in PRESETS.items():
        functions = [written(tier).partition(", ")[2] for tier in tiers]
        assert set(functions) <= {"AVERAGE, MIN, MAX", "LAST"}
        assert functions.count("LAST") == (name == "ston")
        assert not list(faults(RetentionClass(tiers=tiers)))
        assert not loaded(conf(f"preset = {name}\n")).warnings


def test_a_line_replaces_a_tier_adds_one_or_takes_one_away(conf: Any) -> None:
    kept = classes(loaded(conf("30m = off\n300 = 9d, max\n2h = 200d, LAST\n")))["default"]
    assert shown(kept) == "5m=9d 1h=180d 2h=200d 6h=365d 1d=1100d"
    assert [written(tier) for tier in kept.tiers[:3]] == ["9d, MAX", "180d, AVERAGE, MIN, MAX", "200d, LAST"]


def test_without_a_preset_only_ones_own_lines_count(conf: Any) -> None:
    assert shown(classes(loaded(conf("preset = none\n1h = 400d, AVERAGE\n")))["default"]) == "1h=400d"


def test_a_sub_section_is_as_retention_but_for_what_it_says(conf: Any) -> None:
    config = loaded(
        conf(
            "collected = 3d\npack = False\n1h = off\n[[a*]]\n[[b*]]\npack = True\n5m = 20d, MAX\n30m = off\n"
            "[[c*]]\ncollected = 1d\npreset = kurado\n1m = 5d, MAX\n"
        )
    )
    found = classes(config)
    assert list(found) == ["a*", "b*", "c*", "default"]
    assert {name: (shown(one), one.collected / DAY, one.pack) for name, one in found.items()} == {
        "a*": ("5m=90d 30m=120d 6h=365d 1d=1100d", 3, False),
        "b*": ("5m=20d 6h=365d 1d=1100d", 3, True),
        "c*": ("1m=5d 5m=10d 1h=40d 1d=1100d", 1, False),
        "default": ("5m=90d 30m=120d 6h=365d 1d=1100d", 3, False),
    }


def test_the_first_pattern_that_matches_a_source_is_its_class(conf: Any) -> None:
    config = loaded(conf("[[web1:nginx]]\n[[web?]]\n[[redis]]\n[[*:ston:*/live]]\n[[2001:db8::*]]\n"))
    of = config.retention_classes.of
    assert {source: of(source).name for source in (
        Source("web1", "nginx"), Source("web1", "nginx", "second"), Source("web2", "nginx"), Source("web10", "nginx"),
        Source("db", "redis", "6379"), Source("s", "ston", "a/live"), Source("2001:db8::7", "snmp"),
    )} == {
        ("web1", "nginx", ""): "web1:nginx", ("web1", "nginx", "second"): "web1:nginx", ("web2", "nginx", ""): "web?",
        ("web10", "nginx", ""): "default", ("db", "redis", "6379"): "redis", ("s", "ston", "a/live"): "*:ston:*/live",
        ("2001:db8::7", "snmp", ""): "2001:db8::*",
    }  # fmt: skip


def test_a_later_file_and_the_environment_count_more_however_a_step_is_written(conf: Any) -> None:
    first = conf("5m = 10d, MAX\n1h = 11d, MAX\n[[web*]]\n2h = 300d, MAX\n", "1.conf")
    second = conf("300 = 20d, MAX\n", "2.conf")
    environ = {
        "MONITOR__RETENTION__60M": "30d, MAX", "MONITOR__RETENTION__WEB___2H": "OFF", "MONITOR__RETENTION__1D": "off",
    }  # fmt: skip
    found = classes(loaded(first, second, environ=environ))
    assert shown(found["default"]) == "5m=20d 30m=120d 1h=30d 6h=365d"
    assert shown(found["web*"]) == "5m=20d 30m=120d 1h=30d 6h=365d"


def test_a_step_that_is_written_twice_is_refused(conf: Any) -> None:
    path = conf("5m = 90d, MAX\n300s = 90d, MAX\n")
    assert problems(path) == [(3, "300s", f"5m is given twice; first as 5m in {path}:2")]
    environ = {"MONITOR__RETENTION__5M": "off", "MONITOR__RETENTION__300": "off"}
    assert [key for _, key, _ in problems(environ=environ)] == ["5m"]


def test_the_effective_configuration_loads_as_the_same_classes(conf: Any, tmp_path: Path) -> None:
    path = conf(
        "preset = kurado\n90s = 1d, MAX\n5m = off\n6h = 90d, MAX\n[[web*]]\n1h = off\n30m = 50d, LAST, MIN\n"
        '[["db[12]#"]]\npreset = ston\ncollected = 3d\n[[plain]]\n'
    )
    config = loaded(path, environ={"MONITOR__RETENTION__6H": "off", "MONITOR__RETENTION__PACK": "no"})
    lines = list(effective.lines(config))
    again = tmp_path / "again.conf"
    again.write_text("\n".join(lines))
    assert loaded(again).retention_classes.classes == config.retention_classes.classes
    for line in (
        f"preset = kurado  # {path}:2",
        "collected = 2d  # default",
        "pack = False  # $MONITOR__RETENTION__PACK",
        f"90s = 1d, MAX  # {path}:3; not stored: the collected rows reach as far",
        f"5m = off  # {path}:4",
        f"1h = 40d, AVERAGE, MIN, MAX  # preset kurado ({path}:2)",
        f"30m = 50d, MIN, LAST  # {path}:8",
        '[["db[12]#"]]',
        f"preset = ston  # {path}:10",
        f"1d = 730d, AVERAGE, MIN, MAX  # preset ston ({path}:10)",
        f"collected = 3d  # {path}:11",
    ):
        assert line in lines
    # Neither a tier that came and went, nor a preset where a sub-section has none of its own.
    assert not any(line.startswith("6h = off") for line in lines)
    assert sum(line.startswith("preset = ") for line in lines) == 2


def test_the_sample_has_the_lines_of_the_presets() -> None:
    lines = sample(loaded().registry).splitlines()
    start = lines.index("[retention]")
    text = "\n".join(lines[start : lines.index("[auth]")])
    for tier in PRESETS["default"]:
        assert f"\n#{tier.label} = {written(tier)}\n" in text
    joined = text.replace("\n#   ", " ")
    assert "preset = ston: 5m = 90d, LAST; 30m = 120d, AVERAGE, MIN, MAX;" in joined
    assert "preset = kurado: 1m = 2d, AVERAGE, MIN, MAX;" in joined
    assert "no effect" not in text


def tiers(*each: tuple[int, float]) -> tuple[Tier, ...]:
    return tuple(Tier(step, keep) for step, keep in each)


@pytest.mark.parametrize(
    ("collected", "kept", "blamed"),
    [
        # What a tier is made of is kept for twice its step and two hours, or it is not.
        (50 * 3600, tiers((DAY, 9 * DAY)), []),
        (50 * 3600 - 1, tiers((DAY, 9 * DAY)), [COLLECTED]),
        (DAY, tiers((300, 2 * DAY), (21600, 9 * DAY)), []),
        (DAY, tiers((300, 2 * DAY), (86400, 9 * DAY)), [300]),
        # A tier that the rows make needless is not what the next one is made of.
        (3 * DAY, tiers((420, 2 * DAY), (600, 9 * DAY)), []),
        (DAY, tiers((420, 2 * DAY), (600, 9 * DAY)), [600]),
        (DAY, tiers((10, 2 * DAY), (60, 9 * DAY)), []),
        (DAY - 1, tiers((300, 9 * DAY)), [COLLECTED]),
        (3600, (), []),
        (DAY, tiers(*((10 << n, 9 * DAY) for n in range(MOST_TIERS))), []),
        (DAY, tiers(*((10 << n, 9 * DAY) for n in range(MOST_TIERS + 1))), [10 << MOST_TIERS]),
    ],
)
def test_what_cannot_be_made_is_a_fault(collected: float, kept: tuple[Tier, ...], blamed: list[int]) -> None:
    found = list(faults(RetentionClass(collected=float(collected), tiers=kept)))
    assert [fault.steps[0] for fault in found] == blamed
    assert all(fault.grave for fault in found)


def test_a_coarse_tier_that_is_kept_shorter_is_odd_but_allowed(conf: Any) -> None:
    (warning,) = loaded(conf("1h = 30d, AVERAGE, MAX\n")).warnings
    assert (warning.line, warning.key) == (2, "1h")
    assert warning.message.startswith("1h is kept for a shorter time than 5m")
    # The finer one has no LAST, so this says more.
    assert not loaded(conf("1h = 30d, AVERAGE, LAST\n")).warnings


def test_a_fault_of_retention_is_told_once_and_one_of_a_sub_section_there(conf: Any) -> None:
    wrong = problems(conf("7m = 91d, MAX\n[[a]]\n[[b]]\npreset = ston\n[[c]]\n8m = 92d, MAX\n7m = off\n"))
    assert [(line, key) for line, key, _ in wrong] == [(2, "7m"), (2, "7m"), (7, "8m"), (7, "8m")]
    assert "7m is no multiple of 5m" in wrong[0][2] and "30m is no multiple of 7m" in wrong[1][2]


def test_a_pattern_that_another_hides_gives_a_warning(conf: Any) -> None:
    warnings = loaded(conf("[[web*]]\n[[w*]]\n[[web1*]]\n[[web?]]\n[[db?]]\n[[db1]]\n[[*]]\n[[x]]\n")).warnings
    assert [(warning.line, warning.message.split()[3]) for warning in warnings] == [
        (4, "[[web*]]"), (5, "[[web*]]"), (9, "[[*]]"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["default", '""', '" "'])
def test_a_sub_section_needs_a_pattern(conf: Any, name: str) -> None:
    ((line, _, message),) = problems(conf(f"[[{name}]]\npack = no\n"))
    assert line == 2 and message.startswith("expected a pattern of hosts or collectors")


def test_classes_are_bounded(conf: Any) -> None:
    text = "".join(f"[[web{n}]]\n" for n in range(MOST_CLASSES))
    assert len(loaded(conf(text)).retention_classes.classes) == MOST_CLASSES + 1
    assert problems(conf(f"{text}[[one more]]\n")) == [
        (MOST_CLASSES + 2, "", f"expected at most {MOST_CLASSES} patterns")
    ]


def test_pushes_that_the_store_would_refuse_give_a_warning(conf: Any) -> None:
    warning, *others = loaded(conf("[[web*]]\ncollected = 1d\n[receivers]\n[[push]]\npast = 3d\n")).warnings
    assert [other.section for other in others] == ["[receivers] [[influx]]"]
    assert (warning.line, warning.section, warning.key) == (6, "[receivers] [[push]]", "past")
    assert "collected = 1d" in warning.message
    within = "[[web*]]\ncollected = 1d\n[receivers]\n[[push]]\npast = 1d\n[[influx]]\npast = 1d\n"
    assert not loaded(conf(within)).warnings


WORDS = st.sampled_from(
    [
        "off",
        "90d",
        "1d",
        "0",
        "-5m",
        "1e9d",
        "nan",
        "inf",
        "MAX",
        "LAST",
        "average",
        "MEAN",
        "",
        '"',
        "'90d'",
        "#",
        " ",
        ",",
    ]
)
KEYS = st.sampled_from(
    ["5m", "300", "1D", "0s", "99999999999999999999d", "7min", "10s", "collected", "pack", "preset", "3"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([], "['")
@given(st.lists(st.tuples(KEYS, st.lists(WORDS, max_size=4)), max_size=6), st.text("[]*?a:' \"", max_size=6))
def test_whatever_is_written_is_understood_or_refused_with_its_line(
    conf: Any, lines: list[tuple[str, list[str]]], pattern: str
) -> None:
    text = "".join(f"{key} = {', '.join(words)}\n" for key, words in lines)
    try:
        config = loaded(conf(f"{text}[[{pattern}]]\n{text}"))
    except ConfigError as error:
        assert all(problem.line for problem in error.problems)
    else:
        assert isinstance(config.retention_classes, Retention)
        assert not [fault for spec in config.classes for fault in faults(spec.kept) if fault.grave]
