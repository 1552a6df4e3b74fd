from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import settings

settings.register_profile("quick", max_examples=40)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--slow"):
        settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="rewrite the expected files with what the tests got")
    parser.addoption("--slow", action="store_true", help="run also what takes long, and more of what is random")


# What runs whole appliances and other servers goes first where several processes share the work, so that none of them
# is left with a long file at the end.
LONG = (
    "test_ston_appliance", "test_diamond_config", "test_kill", "test_chain", "test_handler_contract", "test_code",
    "test_rels_appliance", "test_web_events", "test_appliance", "test_web_vhost", "test_clickhouse_formats",
    "test_history", "test_events_appliance", "test_clickhouse_handler", "test_clickhouse_appliance", "test_web_ston",
    "test_kurado_appliance", "test_setup", "test_store", "test_graphite_receiver", "test_graphite_ways", "test_agents",
    "test_collected", "test_rels_captures", "test_rels_receiver", "test_rels_node", "test_rels_others",
    "test_handler_appliance", "test_events_search", "test_embedded", "test_graph_files", "test_web_browser",
    "test_image", "test_liveness_kill", "test_import_sorabeat", "test_reload", "test_signals", "test_ston_snmp",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        place = {name: number for number, name in enumerate(LONG)}
        items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long: --slow runs it"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--golden"))


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
