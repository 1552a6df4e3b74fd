"""The whole appliance before STON: what it answers over HTTP is what the servers told, whatever goes wrong."""

from __future__ import annotations

import html
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance import wait_for
from PIL import Image
from ston_server import Edge, Media
from ston_site import NOW, Site, site
from test_ston import CASES, INSTANCES, SERVER, WORDS, Oracle, trees_of

from collectors._ston.edge import as_media

WHOLE = ("filecount", "mem")
LIVE, CHANNEL = "www.example.com/bar", "/myLiveStream"
STEPS = {"5m": 12, "30m": 2, "1h": 1}


class Manual(Media):
    """Answers with the numbers of the case `ok`."""

    def __init__(self) -> None:
        super().__init__({})
        self.spoilt = {"JSON": (CASES / "ok/page").read_bytes(), "hwinfo": (CASES / "ok/hwinfo").read_bytes()}


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, Any]]]:
    """One server that tells the numbers of the case `ok` for an hour."""
    with site(tmp_path_factory.mktemp("ston"), Manual()) as one:
        one.poll(14)
        wait_for(lambda: len(one.figures(target="mem")[0]) >= STEPS["5m"], 20)
        yield one, json.loads((CASES / "ok/page").read_text())


def same(found: list[list[float]], expected: list[float], least: int, what: object) -> None:
    assert len(found) == len(expected), what
    for values, value in zip(found, expected, strict=True):
        if value == value:
            assert len(values) >= least, what
            assert values == pytest.approx([value] * len(values), rel=1e-9, abs=1e-12), what
        else:
            assert values == [], what


@pytest.mark.parametrize("target", SERVER)
def test_a_target_of_the_server_is_its_fields(manual: tuple[Site, dict[str, Any]], target: str) -> None:
    for step, least in STEPS.items():
        for query in ({}, {"host": "ston1"}, {"host": "*"}):
            same(manual[0].figures("/graph_global", target=target, step=step, **query), SERVER[target], least, step)


@pytest.mark.parametrize("target", INSTANCES)
def test_a_target_of_virtual_hosts_is_their_fields(manual: tuple[Site, dict[str, Any]], target: str) -> None:
    """Of all together, of each and of each channel, for each protocol; what is not told of one is a gap."""
    one, tree = manual
    trees, vhosts = trees_of(tree), tree["Host"]["VirtualHost"]
    assert (len(trees), len(vhosts)) == (4, 2)
    protocols, oracle = INSTANCES[target]
    for protocol in protocols:
        whole = oracle(Oracle(vhosts, protocol))
        for step, least in STEPS.items() if protocol == protocols[0] else [("5m", STEPS["5m"])]:
            ask = {"target": target, "protocol": protocol, "step": step}
            for more in ({}, {"host": "ston1"}, {"host": "*"}) if step == "5m" else ({},):
                same(one.figures(**ask, **more), whole, least, ask)
            if step != "5m":
                continue
            for name, fields in trees.items():
                if target in WHOLE and fields not in vhosts:
                    assert one.problem("/graph_vhost", 400, **ask, vhost=name)["parameter"] == "target"
                    continue
                expected = oracle(Oracle([fields], protocol))
                if target.startswith("origin_r") and "Rtmp" not in fields["OriginTraffics"]:
                    expected = [math.nan] * len(expected) if "rtmp" in (protocol, *target.split("_")) else expected
                same(one.figures(**ask, vhost=name), expected, least, (ask, name))


def test_request_hit_ratios_are_those_that_ston_tells_itself(manual: tuple[Site, dict[str, Any]]) -> None:
    one, tree = manual
    for name, fields in trees_of(tree).items():
        for protocol, word in WORDS.items():
            told = fields["ClientTraffics"][word]["RequestHitRatio"] / 100
            ratio, _ = one.figures(target="hitratio", protocol=protocol, vhost=name)
            assert told == 0 or ratio == pytest.approx([told] * len(ratio), abs=0.06), (name, protocol)
            assert len(ratio) >= 12 or told == 0


CALL = "/graph_vhost?target=client_traffic&vhost=www.example.com/bar"
TIMES = (
    "Oct 12", "-1month", "-1m", "noon yesterday -3hours", "9am-1day", "23:59 31.12.1999", "12/31/99 11:59pm",
    "12am 01/01/01", "end-3weeks", "e-3w", "931225537", "19970703 12:45",
)  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        f"{CALL}&...",
        f"{CALL}/myLiveStream&...",
        f"{CALL}&protocol=hls&step=5m&start=19970703 12:45&end=start+6hours".replace(" ", "%20"),
        f"{CALL}&step=5m&start=-1d&end=s+6h",
        *(f"{CALL}&step=1d&start={at.replace(' ', blank)}&end=now" for at in TIMES for blank in ("+", "%20")),
        *(f"/graph_global?target=cpu&step=1d&end=now&start={at.replace(' ', '%20')}" for at in TIMES),
    ],
)
def test_the_calls_of_the_specification_are_answered_with_a_picture(
    manual: tuple[Site, dict[str, Any]], url: str
) -> None:
    status, body = manual[0].appliance.get(url)
    assert (status, body[:8]) == (200, b"\x89PNG\r\n\x1a\n"), body
    picture = Image.open(io.BytesIO(body))
    assert (picture.width, picture.height) == (580, 203)


@pytest.mark.parametrize(
    ("path", "query", "status", "parameter"),
    [
        ("/graph_global", {"target": "cpus"}, 404, "target"),
        ("/graph_vhost", {"target": "client_trafic"}, 404, "target"),
        ("/graph_vhost", {"target": "mem", "vhost": "www.example.net"}, 404, "vhost"),
        ("/graph_vhost", {"target": "client_res", "vhost": f"{LIVE}/other"}, 404, "vhost"),
        ("/graph_vhost", {"target": "client_res", "protocol": "rtsp"}, 400, "protocol"),
        ("/graph_vhost", {"target": "client_res_complete", "protocol": "rtmp"}, 400, "protocol"),
        ("/graph_global", {"target": "cpu", "step": "10m"}, 400, "step"),
        ("/graph_global", {"target": "cpu", "host": "ston9"}, 404, "host"),
        ("/graph_global", {"target": "cpu", "start": "now-1moonth"}, 400, "start"),
    ],
)
def test_what_is_not_known_is_answered_with_what_is(
    manual: tuple[Site, dict[str, Any]], path: str, query: dict[str, str], status: int, parameter: str
) -> None:
    found = manual[0].problem(path, status, **query)
    assert found["parameter"] == parameter
    assert parameter == "start" or found["allowed"]


def test_nothing_was_wrong_in_the_log(manual: tuple[Site, dict[str, Any]]) -> None:
    assert manual[0].complaints() == []


ODD, ODD_CHANNEL = "한국.example.com/100% a?b&c+d", "/방송/1%2F두 번째"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two Media Servers, one with names of all letters, and an Edge Server, for 15 minutes."""
    servers = Media({"a.example.com": [], LIVE: [CHANNEL, "/two"]}), Media({ODD: [ODD_CHANNEL, "/b"], LIVE: [CHANNEL]})
    with site(tmp_path_factory.mktemp("several"), *servers, Edge({"a.example.com": []})) as one:
        servers[1].window = 7
        one.poll(4)
        wait_for(lambda: all(len(one.figures(target="mem", host=f"ston{n}")[0]) >= 2 for n in (1, 2, 3)), 20)
        yield one


def told(one: Site, *numbers: int) -> list[dict[str, Any]]:
    """Return the virtual hosts that these servers tell of, as a Media Server would."""
    found = [vhost for n in numbers for vhost in one.stands[n - 1].server.tree()["Host"]["VirtualHost"]]
    return [as_media(vhost) | {"Name": vhost["Name"]} if "ClientSession" in vhost else vhost for vhost in found]


@pytest.mark.parametrize("target", INSTANCES)
def test_one_of_several_servers_is_chosen_and_all_are_added_up(several: Site, target: str) -> None:
    protocols, oracle = INSTANCES[target]
    for protocol in protocols:
        ask = {"target": target, "protocol": protocol}
        for numbers, host in (((1,), "ston1"), ((2,), "192.0.2.2"), ((1, 2, 3), "*")):
            if host == "*" and protocol != "http" and target not in ("mem", "client_http_res_detail"):
                continue
            same(several.figures(**ask, host=host), oracle(Oracle(told(several, *numbers), protocol)), 2, (ask, host))
        shared = [vhost for vhost in told(several, 1, 2) if vhost["Name"] == LIVE]
        assert len(shared) == 2
        same(several.figures(**ask, host="*", vhost=LIVE), oracle(Oracle(shared, protocol)), 2, ask)


def test_which_of_several_servers_has_to_be_said(several: Site) -> None:
    for path, target in (("/graph_global", "cpu"), ("/graph_vhost", "mem"), ("/graph/vhost/mem_day.png", "")):
        found = several.problem(path, 400, target=target)
        assert (found["parameter"], found["allowed"]) == ("host", ["*", "192.0.2.1", "192.0.2.2", "192.0.2.3"])
        assert all(name in found["detail"] for name in ("ston1", "ston2", "ston3"))


def test_targets_of_all_servers_are_added_up_and_their_processors_averaged(several: Site) -> None:
    system = [stand.server.tree()["Host"]["System"] for stand in several.stands]

    def total(group: str, *keys: str) -> float:
        return sum(one[group][key] for one in system for key in keys)

    for target, expected in {
        "ssockusage": [total("ServerSocket", "Total"), total("ServerSocket", "Established")],
        "csockevent": [total("ClientSocket", "Connected"), total("ClientSocket", "Closed")],
        "acldenied": [total("ServiceAccess", "Deny")],
        "cpu": [total("CPU", "Kernel", "User") / 300, total("CPU", "Kernel") / 300],
        "iowait": [total("CPU", "IOWait") / 300],
        "memory": [2 * 32 * 2**30 + 8106168 * 1024 - 3 * 5914644 * 1024, 3 * 9785800 * 1024],
    }.items():
        same(several.figures("/graph_global", target=target, host="*"), expected, 2, target)


@pytest.mark.parametrize(("vhost", "channel"), [(ODD, ""), (ODD, ODD_CHANNEL), (ODD, "/b")])
def test_names_of_all_letters_are_found_drawn_and_shown(several: Site, vhost: str, channel: str) -> None:
    name = vhost + channel
    (fields,) = (one for key, one in trees_of(several.stands[1].server.tree()).items() if key == name)
    ask = {"target": "client_session", "host": "ston2", "vhost": name}
    same(several.figures(**ask), INSTANCES["client_session"][1](Oracle([fields], "all")), 2, name)
    assert name in several.appliance.json("/graph_vhost", **ask, format="json")["title"]
    assert html.escape(name) in several.page("/vhost", vhost=name, host="ston2")
    assert html.escape(ODD) in several.page("/server", address="ston2")
    found = several.problem("/graph_vhost", 404, target="mem", host="ston2", vhost=f"{name}%2F")
    assert name in found["allowed"]


def calls_on(page: str) -> list[str]:
    """Return what a page's pictures are drawn by."""
    return [html.unescape(url) for url in re.findall(r'src="(/graph[^"]*)"', page)]


def test_every_picture_of_a_page_is_there(several: Site) -> None:
    pages = (
        several.page("/vhost", vhost=ODD, host="ston2"),
        several.page("/vhost", vhost=ODD + ODD_CHANNEL, host="ston2", protocol="hls"),
        several.page("/server", address="ston2"),
    )
    for page in pages:
        urls = calls_on(page)
        assert len(urls) > 5
        for url in urls:
            status, body = several.appliance.get(url)
            assert (status, body[:4]) == (200, b"\x89PNG"), (url, body[:300])


def test_nothing_was_wrong_in_the_log_of_several(several: Site) -> None:
    assert several.complaints() == []


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "disconnected": ({"allowed": False}, "does not name"),
    "looker": ({"looker": True}, "status 401 instead of 200"),
    "slow": ({"delay": 5.0}, "no answer within"),
    "cut off": ({"spoilt": {"JSON": lambda body: body[: len(body) // 2], "XML": b"<Host"}}, "expected JSON to its end"),
    "malformed": ({"spoilt": {"JSON": b'{"Host": }}', "XML": b"<html></body>"}}, "expected"),
}


def reason(one: Site) -> str:
    """Return what a failing server's page says of it."""
    page = html.unescape(one.page("/server", address="ston1"))
    said = str(one.job()["reason"])
    assert said
    assert said in page
    return said


def check_gap(one: Site, since: float, vhost: str, sessions: int) -> None:
    """Nothing but what the server told is drawn, and where it was not asked for ten minutes a gap."""
    ask = {"target": "client_session", "vhost": vhost, "start": NOW, "end": int(one.clock.now()), "format": "json"}
    wait_for(lambda: one.appliance.json("/graph_vhost", **ask)["lines"][0]["values"][-2] is not None, 20)
    found = one.appliance.json("/graph_vhost", **ask)
    values = found["lines"][0]["values"]
    assert {value for value in values if value is not None} == {float(sessions)}
    gap = int((since - found["start"]) // 300)
    assert None in values[gap:], values


@pytest.mark.slow
def test_faults_are_gaps_with_a_reason_and_never_a_zero(tmp_path: Path) -> None:
    server = Media({"a.example.com": [], LIVE: [CHANNEL]})
    sessions = server.tree()["Host"]["VirtualHost"][0]["AllClientSession"]
    assert sessions > 0
    with site(tmp_path, server) as one:
        one.poll(3)
        for word, (fault, said) in FAULTS.items():
            since, before = one.clock.now(), {key: getattr(server, key) for key in fault}
            for key, value in fault.items():
                setattr(server, key, value)
            one.poll(2)
            assert said in reason(one), word
            assert one.job()["up"] is False
            for key, value in before.items():
                setattr(server, key, value)
            one.poll(2)
            assert one.job()["up"] is True, (word, one.job())
            check_gap(one, since, "a.example.com", sessions)
            check_gap(one, since, "", sum(one["AllClientSession"] for one in server.tree()["Host"]["VirtualHost"]))
        assert one.complaints() == []


def test_a_server_that_restarts_and_virtual_hosts_that_come_and_go_are_gaps(tmp_path: Path) -> None:
    server = Media({"a.example.com": [], LIVE: [CHANNEL]})
    first, live = server.tree()["Host"]["VirtualHost"]
    with site(tmp_path, server) as one:
        one.poll(2)
        since = one.clock.now()
        one.stands[0].stop()
        one.poll(2)
        assert "connection refused" in reason(one)
        server.uptime = 4
        one.stands[0].start()
        one.poll(2)
        check_gap(one, since, "a.example.com", first["AllClientSession"])
        since = one.clock.now()
        server.vhosts = {"a.example.com": []}
        one.poll(4)
        assert one.job()["up"] is True
        gone = one.figures(target="client_session", vhost=LIVE + CHANNEL)
        assert set(gone[0]) == {float(live["AllClientSession"])}
        assert "gone since" in one.page("/vhost", vhost=LIVE)
        assert "gone" in one.page("/server", address="ston1")
        # together are those that are there: no gap, and nothing of the one that is gone
        ask = {"target": "client_session", "start": int(since) + 600}
        wait_for(lambda: one.figures(**ask)[0], 20)
        assert set(one.figures(**ask)[0]) == {float(first["AllClientSession"])}
        server.vhosts = {"a.example.com": [], LIVE: [CHANNEL]}
        one.poll(2)
        check_gap(one, since, LIVE, live["AllClientSession"])
        check_gap(one, since, LIVE + CHANNEL, live["AllClientSession"])
        assert "gone since" not in one.page("/vhost", vhost=LIVE)
        assert one.complaints() == []


@pytest.mark.slow
def test_a_clock_that_is_set_back_an_hour_changes_no_value(tmp_path: Path) -> None:
    server = Media({"a.example.com": []})
    sessions = server.tree()["Host"]["VirtualHost"][0]["AllClientSession"]
    with site(tmp_path, server) as one:
        one.poll(14)
        one.clock.set(one.clock.now() - 3600)
        one.poll(3)
        assert one.job()["up"] is True
        (active, *_) = one.figures(target="client_session", vhost="a.example.com", end=NOW + 4500)
        assert set(active) == {float(sessions)}
        one.poll(12)
        (later, *_) = one.figures(target="client_session", vhost="a.example.com")
        assert set(later) == {float(sessions)}
        assert len(later) >= 14
        assert one.complaints() == []
