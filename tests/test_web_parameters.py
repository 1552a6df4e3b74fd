"""Names in query strings: misspelt and repeated ones are refused, foreign ones are not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from hypothesis import given
from hypothesis import strategies as st
from web_parts import OWN, serving

from monitor.batch import Source
from monitor.web import api, png
from monitor.web.params import distance, misspelt
from monitor.web.routes import MANY, TAKEN

Client = TestClient[Any, Any]
PATHS = [
    "/graph?address=10.0.0.1&plugin_identifier=nginx&graph=requests",
    "/graph_global?target=cpu",
    f"/api/v1/query?series={OWN}:cpu::total.user&series={OWN}:cpu::total.idle&step=60",
    "/api/v1/series?host=10.0.0.1",
    "/api/v1/latest?host=10.0.0.1",
    "/api/v1/graphs?host=10.0.0.1",
    "/api/v1/hosts?",
    "/api/v1/hosts/10.0.0.1?",
]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path) as (one, parts):
        parts.fill(Source("10.0.0.1", "nginx"), {"req_handled": lambda i: 1.0})
        yield one


@pytest.mark.parametrize("path", PATHS)
async def test_what_scripts_add_against_caches_is_let_through(client: Client, path: str) -> None:
    for name in ("_", "v", "t", "ts", "nocache", "rnd", "rand", "random", "timestamp", "cb", "vhost", "type"):
        answer = await client.get(f"{path}&{name}=1795230000&{name}=2")
        assert answer.status == 200, (name, await answer.text())


@pytest.mark.parametrize(
    ("path", "wrong", "meant"),
    [
        ("/graph_global?target=cpu", "strat=-1d", "start"),
        ("/graph_global?target=cpu", "Start=-1d", "start"),
        ("/graph_global?target=cpu", "witdh=500", "width"),
        ("/graph_global?target=cpu", "stepp=5m", "step"),
        ("/graph_global?target=cpu", "hieght=100", "height"),
        (PATHS[0], "form=-1d", "from"),
        (PATHS[0], "terms=week", "term"),
        (PATHS[0], "plugin_idenitfier=cpu", "plugin_identifier"),
        (f"/api/v1/query?series={OWN}:cpu::total.user", "serie=x", "series"),
        (f"/api/v1/query?series={OWN}:cpu::total.user", "END=now", "end"),
        ("/api/v1/latest?", "colector=cpu", "collector"),
        ("/api/v1/latest?", "hosts=a", "host"),
    ],
)
async def test_a_misspelt_name_is_refused_with_the_one_that_is_meant(
    client: Client, path: str, wrong: str, meant: str
) -> None:
    answer = await client.get(f"{path}&{wrong}")
    found = await answer.json()
    name = wrong.partition("=")[0]
    assert (answer.status, found["parameter"]) == (400, name)
    assert found["detail"] == f"{name}: there is no such parameter; did you mean {meant}?"
    assert meant in found["allowed"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/graph_global?target=cpu&target=memory", "target"),
        (f"{PATHS[2]}&start=-1d&start=-2d", "start"),
        (f"{PATHS[2]}&cf=MAX&cf=MAX", "cf"),
        (f"{PATHS[0]}&width=300&width=400", "width"),
        ("/api/v1/latest?host=a&host=b", "host"),
    ],
)
async def test_what_can_be_given_once_is_refused_when_given_twice(client: Client, path: str, name: str) -> None:
    answer = await client.get(path)
    found = await answer.json()
    assert (answer.status, found["parameter"]) == (400, name)
    assert found["detail"] == f"{name}: expected once, got 2 times"


def test_every_parameter_that_is_read_is_known() -> None:
    read = {
        name
        for module in (api, png)
        for name in re.findall(
            r'(?:query\.get(?:all)?\(|(?:whole|required|duration|times|flag)\(request, (?:self\.services, )?)"(\w+)"',
            Path(str(module.__file__)).read_text(),
        )
    }
    assert {"address", "collector", "series", "from", "width"} <= read
    known = frozenset().union(*TAKEN.values())
    assert read <= known
    assert known > MANY


def test_no_known_name_is_a_misspelling_of_another() -> None:
    for names in TAKEN.values():
        assert not [(one, other) for one in names for other in names if one != other and misspelt(one, other)]


@pytest.mark.parametrize(
    ("one", "other", "changes"),
    [("", "", 0), ("a", "", 1), ("form", "from", 1), ("strat", "start", 1), ("kitten", "sitting", 3), ("ab", "ba", 1)],
)
def test_the_distance_of_two_words_counts_changes_and_swaps(one: str, other: str, changes: int) -> None:
    assert distance(one, other) == distance(other, one) == changes


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_the_distance_is_within_its_bounds(one: str, other: str) -> None:
    found = distance(one, other)
    assert abs(len(one) - len(other)) <= found <= max(len(one), len(other))
    assert (found == 0) == (one == other)
