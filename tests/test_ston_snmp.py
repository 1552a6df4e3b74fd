"""STON by SNMP: the same server gives the same numbers as by JSON."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from snmp_agent import GET, Agent, Value
from ston_server import Edge, Media, serving

from collectors._ston import oids
from collectors._ston.snmp import Agent as Ston
from collectors._ston.snmp import of_channel
from collectors.ston import STONCollector
from monitor.cli import as_text
from monitor.collector import CollectError, SnmpAgent, Target
from monitor.http import HttpClient
from monitor.snmp import SnmpClient

MEDIA, EDGE = "1.3.6.1.4.1.40001.2", "1.3.6.1.4.1.40001.1"
CASES = Path(__file__).parent / "cases"
SKETCH: dict[str, Value] = json.loads((CASES / "ston_snmp" / "media.json").read_text())
"""Objects below MEDIA in the draft's layout, minute 5."""


def sketch(objects: dict[str, Value] = SKETCH) -> dict[str, Value]:
    return {f"{MEDIA}.{name}": value for name, value in objects.items()}


def shipped(numbers: dict[str, int], objects: dict[str, Value] = SKETCH) -> dict[str, Value]:
    """Lay the draft's objects out as the shipped servers do: without channels, the index last."""
    found: dict[str, Value] = {}
    for name, value in objects.items():
        words = name.split(".")
        if words[:2] != ["4", "3"]:
            found[f"{MEDIA}.{name}"] = value
        elif words[2] in numbers and words[3] != "5":
            found[f"{MEDIA}.4.3.1.{'.'.join(words[3:])}.{numbers[words[2]]}"] = value
    return found


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        return {name: leaf for key, inner in tree.items() for name, leaf in leaves(inner, f"{path}.{key}").items()}
    if isinstance(tree, list):
        return {name: leaf for inner in tree for name, leaf in leaves(inner, f"{path}[{inner.get('Name', 0)}]").items()}
    return {path: tree}


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    one = await Agent(sketch()).start()
    yield one
    await one.stop()


def ston(agent: Agent, server: oids.Server = "media", minute: int = 5) -> Ston:
    return Ston(SnmpClient(), SnmpAgent("127.0.0.1", agent.port, wait=0.5), server, minute)


async def test_the_drafts_layout_gives_hosts_virtual_hosts_and_their_channels(agent: Agent) -> None:
    host = await ston(agent).host()
    assert (host["Version"], host["Name"], host["State"], host["Uptime"]) == (
        "20.03.0", "stream_07", "Healthy", 155996,
    )  # fmt: skip
    assert host["System"]["Mem"] == {"Total": 32768000, "Free": 5914644, "STON": 9785800}
    vod, live = host["VirtualHost"]
    assert (vod["Name"], vod["Type"], vod["State"]) == ("www.example.com", "vod", "Healthy")
    assert (live["Name"], live["Type"]) == ("www.example.com/bar", "live")
    assert [channel["Name"] for channel in live["Channel"]] == ["/myLiveStream", "/sports_720p"]
    assert "Disk" in live
    assert "Disk" not in live["Channel"][0]


async def test_what_both_ways_tell_is_the_same(agent: Agent) -> None:
    by_json = leaves(json.loads((CASES / "ston_snmp" / "media_average.json").read_text())["Host"])
    by_snmp = leaves(await ston(agent).host())
    both = by_json.keys() & by_snmp.keys()
    different = {name: (by_snmp[name], by_json[name]) for name in both if by_snmp[name] != by_json[name]}
    # Of memory the agent tells KiB.
    assert {name.rpartition(".")[2] for name in different} == {"Memory"}
    assert all(0 <= told - kib < 1024 for kib, told in different.values())
    assert len(both) > 800
    more = {name for name in by_snmp.keys() - by_json.keys() if not name.endswith((".State", "].Type"))}
    assert more == {".System.Mem.Total"}


async def test_the_shipped_layout_gives_the_same_but_channels(agent: Agent) -> None:
    expected = leaves(await ston(agent).host())
    agent.serve(shipped({"10000": 1, "20000": 7}))
    found = leaves(await ston(agent).host())
    assert found == {name: value for name, value in expected.items()
                     if ".Channel[" not in name and not name.endswith(".Type")}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "oid"),
    [
        ("ClientTraffics.Http.RequestHitSum.TCP_HIT", "11.11.10.8.1"),
        ("ClientTraffics.Http.RequestHitSum.TCP_DENIED", "11.11.10.8.9"),
        ("ClientTraffics.MpegDash.RequestHitSum.TCP_REDIRECT_HIT", "11.11.12.8.11"),
        ("ClientTraffics.Rtmp.RequestHitSum.TCP_MISS", "11.11.20.8.6"),
        ("ClientTraffics.Hls.Response.Res4xx.CountSum", "11.11.11.44"),
        ("ClientTraffics.Hls.Response.Res4xx.CompletedSum", "11.11.11.45"),
        ("OriginTraffics.MpegDash.Response.ResTotal.CompletedSum", "11.10.12.85"),
        ("ClientTraffics.Rtmp.ReqCountSum", "11.11.20.15"),
        ("ClientTraffics.Rtmp.NetConnection.CreateStream.SuccessSum", "11.11.20.21.2"),
        ("ClientTraffics.Rtmp.NetStream.Pause.FailSum", "11.11.20.34.4"),
        ("OriginTraffics.Rtmp.NetStream.Play.TimeRes", "11.10.20.30.5"),
        ("Disk.Distribution.O16G", "10.35"),
    ],
)
async def test_fields_that_the_sample_lacks_are_read_of_their_objects(path: str, oid: str, agent: Agent) -> None:
    for table in (
        {**sketch(), f"{MEDIA}.4.3.10000.{oid}.5": 987654},
        {**shipped({"10000": 3}), f"{MEDIA}.4.3.1.{oid}.5.3": 987654},
    ):
        agent.serve(table)
        assert leaves((await ston(agent).host())["VirtualHost"][0])[f".{path}"] == 987654


async def test_an_edge_server_has_its_own_objects(agent: Agent) -> None:
    row, objects = f"{EDGE}.4.3.1", {
        "2": "image.example.com", "3": "Healthy", "4": 155966, "10.1.5": 767325, "11.11.3.5": 260, "11.10.1.5": 246000,
        "11.11.10.8.5": 154, "11.11.10.9.5": 46200, "11.11.10.10.5": 154, "11.11.10.12.5": 940, "11.11.10.14.5": 46200,
        "11.11.10.15.5": 46201, "11.11.10.24.5": 27900, "11.11.13.1.5": 123, "11.11.14.1.5": 36900,
        "11.10.10.9.5": 1800, "11.10.10.55.5": 4,
    }  # fmt: skip
    agent.serve({
        f"{EDGE}.1.3.0": "2.12.9", f"{EDGE}.2.9": 8106168, f"{EDGE}.3.31.5": 2, f"{EDGE}.4.1.11.11.3.5": 520,
        **{f"{row}.{oid}.2": value for oid, value in objects.items()},
    })  # fmt: skip
    host = await ston(agent, "edge").host()
    assert (host["Version"], host["ClientSession"], host["System"]["ServiceAccess"]) == ("2.12.9", 520, {"Deny": 2})
    (vhost,) = host["VirtualHost"]
    assert vhost == {
        "Name": "image.example.com", "State": "Healthy", "Uptime": 155966, "Memory": 767325 * 1024,
        "ClientSession": 260, "OriginInbound": 246000,
        "ClientTraffic": {"Traffic": [{
            "HttpReqCountSum": 46200,
            "Response": {"ResTotal": {"CountSum": 46200, "CompletedSum": 46201, "TimeRes": 940},
                         "Res2xx": {"CountSum": 27900}},
            "RequestHitSum": {"TCP_HIT": 36900},
        }]},
        "OriginTraffic": {"HttpReqCountSum": 1800, "Response": {"Res5xx": {"CompletedSum": 4}}},
    }  # fmt: skip


async def test_an_index_that_another_virtual_host_got_is_not_remembered(agent: Agent) -> None:
    agent.serve(shipped({"10000": 1, "20000": 2}))
    first = await ston(agent).host()
    agent.serve(shipped({"20000": 1}))
    (vhost,) = (await ston(agent).host())["VirtualHost"]
    assert leaves(vhost).keys() >= leaves(first["VirtualHost"][1]).keys()
    assert vhost["AllClientInbound"] == first["VirtualHost"][1]["AllClientInbound"] == 74132
    assert vhost["Name"] == "www.example.com/bar"


async def test_indices_that_are_kept_free_are_no_virtual_hosts(agent: Agent) -> None:
    table = shipped({"10000": 1})
    agent.serve({**table, f"{MEDIA}.4.3.1.2.2": "", f"{MEDIA}.4.3.1.2.3": ""})
    assert [vhost["Name"] for vhost in (await ston(agent).host())["VirtualHost"]] == ["www.example.com"]


async def test_the_previous_second_has_no_sums(agent: Agent) -> None:
    agent.serve({**shipped({"10000": 1}), f"{MEDIA}.4.3.1.11.11.10.14.0.1": 71, f"{MEDIA}.4.3.1.11.11.10.15.0.1": 0})
    (vhost,) = (await ston(agent, minute=0).host())["VirtualHost"]
    assert vhost["ClientTraffics"] == {"Http": {"ReqCount": 71}}


async def test_means_are_asked_for_only_where_there_is_no_sum(agent: Agent) -> None:
    agent.serve(
        sketch({
            "1.5": "Healthy",
            **{f"4.3.{i}0000.2": f"www{i}.example.com" for i in range(1, 21)},
            **{f"4.3.{i}0000.11.11.10.14.5": i for i in range(1, 21)},
            **{f"4.3.{i}0000.11.11.10.15.5": 300 * i for i in range(1, 21)},
            **{f"4.3.{i}0000.11.10.10.14.5": i for i in range(1, 21)},
        })
    )  # fmt: skip
    vhosts = (await ston(agent).host())["VirtualHost"]
    assert [vhost["ClientTraffics"]["Http"] for vhost in vhosts] == [{"ReqCountSum": 300 * i} for i in range(1, 21)]
    assert [vhost["OriginTraffics"]["Http"] for vhost in vhosts] == [{"ReqCount": i} for i in range(1, 21)]
    assert agent.asked[f"{MEDIA}.4.3.10000.11.11.10.14.5"] == 1
    assert agent.asked[f"{MEDIA}.4.3.20000.11.11.10.14.5"] == 0
    assert agent.asked[f"{MEDIA}.4.3.20000.11.10.10.14.5"] == 1


async def test_only_the_memory_is_asked_for_where_the_rest_comes_by_json(agent: Agent) -> None:
    assert await ston(agent).memory() == 32768000 * 1024
    assert agent.requests == [GET]


async def test_another_agent_is_not_taken_for_stons(agent: Agent) -> None:
    agent.serve({"1.3.6.1.2.1.1.1.0": "Linux"})
    with pytest.raises(CollectError, match=r"tells nothing below 1\.3\.6\.1\.4\.1\.40001\.2 \(media\)$"):
        await ston(agent).host()


@pytest.mark.parametrize(
    ("name", "vhost", "own"),
    [
        ("www.example.com/bar/live", "www.example.com/bar", "/live"),
        ("/trip/myLive_720p", "www.example.com/trip", "/myLive_720p"),
        ("/live", "www.example.com/bar", "/live"),
        ("/live", "www.example.com", "/live"),
        ("/트립/생방송", "/트립", "/생방송"),
    ],
)
def test_a_channels_own_name_is_found(name: str, vhost: str, own: str) -> None:
    assert of_channel(name, vhost) == own


PROTOCOLS = {"Http": "10", "Hls": "11", "MpegDash": "12", "Rtmp": "20"}
HITS = (
    "HIT", "IMS_HIT", "REFRESH_HIT", "REF_FAIL_HIT", "NEGATIVE_HIT", "MISS", "REFRESH_MISS", "CLIENT_REFRESH_MISS",
    "DENIED", "ERROR", "REDIRECT_HIT",
)  # fmt: skip
CALLS = {"Connect": 20, "CreateStream": 21, "Play": 30, "Close": 31, "Delete": 32, "Seek": 33, "Pause": 34}


def of_row(tree: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the objects of a virtual host or channel, by the manual's tables."""
    if "Memory" in tree:
        yield "10.1", tree["Memory"] // 1024
        for n, size in enumerate(tree["Disk"]["Distribution"].values(), 10):
            yield f"10.{n}", size
    for side, at in ("Origin", "11.10"), ("Client", "11.11"):
        for protocol, below in {"All": at, **{x: f"{at}.{n}" for x, n in PROTOCOLS.items()}}.items():
            for n, what in enumerate(("Inbound", "Outbound", "Session", "ActiveSession"), 1):
                yield f"{below}.{n}", tree[f"{protocol}{side}{what}"]
        for protocol, traffic in tree[f"{side}Traffics"].items():
            below = f"{at}.{PROTOCOLS[protocol]}"
            yield f"{below}.14", traffic["ReqCount"]
            yield f"{below}.15", traffic["ReqCountSum"]
            for n, code in enumerate(HITS if side == "Client" else (), 1):
                yield f"{below}.7.{n}", traffic["RequestHit"][f"TCP_{code}"]
                yield f"{below}.8.{n}", traffic["RequestHitSum"][f"TCP_{code}"]
            for name, base in {"2xx": 20, "3xx": 30, "4xx": 40, "5xx": 50, "Total": 80}.items():
                for n, what in enumerate(("Count", "Completed", "TimeRes", "TimeComplete", "CountSum", "CompletedSum")):
                    if protocol != "Rtmp":
                        yield f"{below}.{base + n}", traffic["Response"][f"Res{name}"][what]
            for method, base in CALLS.items() if protocol == "Rtmp" else ():
                call = {**traffic["NetConnection"], **traffic["NetStream"]}[method]
                yield f"{below}.{base}.1", call["Success"]
                yield f"{below}.{base}.3", call["Fail"]
                yield f"{below}.{base}.5", call["TimeRes"]


def of_server(host: dict[str, Any], *, draft: bool) -> dict[str, Value]:
    """Return all objects of a Media Server, in the draft's layout or the shipped one."""
    system = host["System"]
    cpu = ("Kernel", 4), ("User", 6), ("Idle", 8), ("ProcKernel", 21), ("ProcUser", 23), ("Nice", 28), ("IOWait", 30), \
          ("IRQ", 32), ("SoftIRQ", 34), ("Steal", 36)  # fmt: skip
    sockets = ("Total", "Established", "Accepted", "Closed")
    timed: dict[str, int] = {
        **{f"2.{n}": system["CPU"][name] for name, n in cpu},
        "2.11": system["Mem"]["Free"], "2.12": system["Mem"]["STON"],
        **{f"2.{n}": system["SystemLoadAverage"][name] for n, name in ((24, "Min1"), (25, "Min5"), (26, "Min15"))},
        **{f"2.{n}": system["TCPSocket"][name]
           for n, name in enumerate(("Established", "Timewait", "Orphan", "Alloc", "Mem"), 40)},
        "3.5": system["EQ"], "3.6": system["RQ"], "3.7": system["WaitingFiles2Write"],
        **{f"3.{n}": system["ServerSocket"][name] for n, name in enumerate(sockets, 10)},
        **{f"3.{n}": system["ClientSocket"][name.replace("Accepted", "Connected")]
           for n, name in enumerate(sockets, 20)},
        "3.30": system["ServiceAccess"]["Allow"], "3.31": system["ServiceAccess"]["Deny"],
        **{f"4.1.{name}": value for name, value in of_row({**host, "OriginTraffics": {}, "ClientTraffics": {}})},
    }  # fmt: skip
    found: dict[str, Value] = {f"{name}.5": value for name, value in timed.items()}
    found |= {"1.3": host["Version"], "1.4": host["Name"], "1.5": host["State"], "1.6": host["Uptime"], "2.9": 32 << 20}
    for index, vhost in enumerate(host["VirtualHost"], 1):
        facts = {"2": vhost["Name"], "3": "Healthy", "4": vhost["Uptime"]}
        if not draft:
            found |= {f"4.3.1.{name}.{index}": value for name, value in facts.items()}
            found |= {f"4.3.1.{name}.5.{index}": value for name, value in of_row(vhost)}
            continue
        found |= {f"4.3.{index}0000.{name}": value for name, value in {**facts, "5": vhost["Type"].upper()}.items()}
        found |= {f"4.3.{index}0000.{name}.5": value for name, value in of_row(vhost)}
        for n, channel in enumerate(vhost.get("Channel", ()), index * 10000 + 1):
            facts = {"2": vhost["Name"] + channel["Name"], "3": "Healthy", "4": channel["Uptime"], "5": "LIVE"}
            found |= {f"4.3.{n}.{name}": value for name, value in facts.items()}
            found |= {f"4.3.{n}.{name}.5": value for name, value in of_row(channel)}
    return sketch(found)


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    await client.open()
    yield client
    await client.close()


def collector(http: HttpClient, url: str, agent: Agent, **options: Any) -> STONCollector:
    """Return a collector of a server with both ways; both on ports of their own."""
    port = int(url.rpartition(":")[2].strip("/"))
    target = Target("ston1", "127.0.0.1", "ston1")
    return STONCollector(
        target, http.bound(), snmp=SnmpClient(), req_port=port, snmp_port=agent.port, **options
    )  # fmt: skip


async def values(one: STONCollector) -> dict[str, dict[str, float]]:
    batches = await one.run(0)
    assert {kind for batch in batches for kind in batch.kinds.values()} <= {"gauge"}
    return {batch.source.instance: batch.values for batch in batches}


@pytest.mark.parametrize("draft", [True, False], ids=["draft", "shipped"])
async def test_a_server_gives_the_same_series_and_values_either_way(
    draft: bool, agent: Agent, http: HttpClient
) -> None:
    channels = {"/myLiveStream": 1, "/생방송": 2} if draft else {}
    server = Media({"www.example.com": [], "www.example.com/bar": list(channels), "/트립": []})
    agent.serve(of_server(server.tree()["Host"], draft=draft))
    async with serving(server):
        by_json = await values(collector(http, server.url, agent))
        asked = len(server.asked)
        by_snmp = await values(collector(http, server.url, agent, use_snmp="only", memory_unit="bytes", load_scale=7))
    assert len(server.asked) == asked
    assert list(by_snmp) and by_snmp.keys() == by_json.keys()
    assert len(by_json) == 4 + len(channels)
    for instance, told in by_json.items():
        found = by_snmp[instance]
        lacks = told.keys() - found.keys()
        # The agent has neither the code NONE nor URLs rewritten.
        assert {name for name in lacks if not name.endswith(".hit.none")} <= {"urlrewrite"}
        assert found.keys() <= told.keys()
        for name, value in found.items():
            if name.endswith(".lookups"):
                value += told[name.replace("lookups", "hit.none")]
            near = pytest.approx(told[name], rel=1e-9, abs=4096 if name == "memory" else 1e-9)
            assert value == near, f"{instance} {name}"
    assert len(by_snmp["www.example.com"]) > 200


async def test_the_memory_alone_is_asked_for_beside_the_json(agent: Agent, http: HttpClient) -> None:
    server = Media({"www.example.com": []})
    async with serving(server):
        plain = await values(collector(http, server.url, agent))
        more = await values(collector(http, server.url, agent, use_snmp="memory"))
    assert plain[""]["memory.total"] == 32 << 30
    assert more[""]["memory.total"] == 32768000 * 1024
    assert {**more[""], "memory.total": 0} == {**plain[""], "memory.total": 0}
    assert [what.partition("?")[0].rpartition("/")[2] for what in server.asked] == ["average", "hwinfo", "average"]


async def test_an_agent_that_does_not_answer_costs_the_memory_only(agent: Agent, http: HttpClient) -> None:
    server = Media({"www.example.com": []})
    async with serving(server):
        one = collector(http, server.url, agent, use_snmp="memory", snmp_community="s3cret")
        one.snmp = SnmpClient(timeout=0.3)
        batches = {batch.source.instance: batch for batch in await one.run(0)}
    assert math.isnan(batches[""].values["memory.total"])
    assert "memory.free" in batches[""].values
    assert batches[""].meta["memory"].startswith("its size is not known: no answer from snmp://127.0.0.1:")
    assert "s3cret" not in batches[""].meta["memory"]


async def test_without_http_an_agent_that_does_not_answer_is_a_failure(agent: Agent, http: HttpClient) -> None:
    one = collector(http, "http://127.0.0.1:1", agent, use_snmp="only", snmp_community="wrong")
    one.snmp = SnmpClient(timeout=0.3)
    with pytest.raises(CollectError, match=r"^no answer from snmp://127\.0\.0\.1:\d+ to 3 requests"):
        await one.run(0)


async def test_collecting_once_by_hand_shows_the_gauges_of_all_instances(agent: Agent, http: HttpClient) -> None:
    shown = as_text(await collector(http, "http://127.0.0.1:1", agent, use_snmp="only").run(0)).splitlines()
    assert {line for line in shown if not line.startswith(" ")} == {
        "ston1 ston", "ston1 ston www.example.com", "ston1 ston www.example.com/bar",
        "ston1 ston www.example.com/bar/myLiveStream", "ston1 ston www.example.com/bar/sports_720p",
    }  # fmt: skip
    assert "  all.client.session 4183 gauge" in shown[shown.index("ston1 ston") :]
    assert "  channel = /myLiveStream" in shown


async def test_an_edge_server_gives_the_same_series_either_way(agent: Agent, http: HttpClient) -> None:
    server = Edge({"image.example.com": []})
    (vhost,) = server.tree()["Host"]["VirtualHost"]
    (entry,) = vhost["ClientTraffic"]["Traffic"]
    objects: dict[str, Value] = {"10.1": vhost["Memory"] // 1024}
    for side, at, traffic in ("Origin", "11.10", vhost["OriginTraffic"]), ("Client", "11.11", entry):
        for n, what in enumerate(("Inbound", "Outbound", "Session", "ActiveSession"), 1):
            objects[f"{at}.{n}"] = vhost[f"{side}{what}"]
        objects |= {f"{at}.10.8": traffic["HttpReqCount"], f"{at}.10.9": traffic["HttpReqCountSum"]}
        for name, base in {"Total": 10, "2xx": 20, "3xx": 30, "4xx": 40, "5xx": 50}.items():
            for n, what in enumerate(("Count", "Completed", "TimeRes", "TimeComplete", "CountSum", "CompletedSum")):
                objects[f"{at}.10.{base + n}"] = traffic["Response"][f"Res{name}"][what]
    for n, code in enumerate(HITS, 1):
        objects |= {f"11.11.13.{n}": entry["RequestHit"][f"TCP_{code}"]}
        objects |= {f"11.11.14.{n}": entry["RequestHitSum"][f"TCP_{code}"]}
    agent.serve({
        f"{EDGE}.1.5": "Healthy", f"{EDGE}.2.9": 8106168, f"{EDGE}.4.3.1.2.4": vhost["Name"],
        f"{EDGE}.4.3.1.4.4": vhost["Uptime"], **{f"{EDGE}.4.3.1.{name}.5.4": value for name, value in objects.items()},
    })  # fmt: skip
    async with serving(server):
        by_json = (await values(collector(http, server.url, agent, server="edge")))[vhost["Name"]]
        by_snmp = (await values(collector(http, server.url, agent, server="edge", use_snmp="only")))[vhost["Name"]]
    lacks = {name.partition(".")[0] for name in by_json.keys() - by_snmp.keys() if not name.endswith(".hit.none")}
    assert lacks <= {"files"}
    assert by_snmp.keys() <= by_json.keys()
    for name, value in by_snmp.items():
        if name.endswith(".lookups"):
            value += by_json[name.replace("lookups", "hit.none")]
        assert value == pytest.approx(by_json[name], rel=1e-9, abs=1024 if name == "memory" else 1e-9), name
    assert len(by_snmp) > 40
