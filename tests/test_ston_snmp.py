"""STON by SNMP: the same server gives the same numbers as by JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from snmp_agent import GET, Agent, Value

from collectors._ston import oids
from collectors._ston.snmp import Agent as Ston
from collectors._ston.snmp import of_channel
from monitor.collector import CollectError, SnmpAgent
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
