"""STONCollector: what stands behind every line of STON's graphs, and what becomes of servers that fail."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from appliance import free_port
from hypothesis import given
from hypothesis import strategies as st
from ston_server import Edge, Media, Server, serving

from collectors._ston import lenient, pieces, xml
from collectors.ston import STONCollector
from monitor.batch import Batch
from monitor.collector import CollectError, Response, Target
from monitor.graph.data import Data
from monitor.graph.model import Graph, Line, Stack
from monitor.http import HttpClient
from monitor.runner import Job, Runner

CASES = Path(__file__).parent / "cases/ston"
WORDS = {"rtmp": "Rtmp", "http": "Http", "hls": "Hls", "mpegdash": "MpegDash"}
WEB = ("http", "hls", "mpegdash")
METHODS = (
    *(("NetConnection", method) for method in ("Connect", "CreateStream")),
    *(("NetStream", method) for method in ("Play", "Close", "Delete", "Seek", "Pause")),
)
Tree = dict[str, Any]


class Body:
    """Answers with a body, and with 404 where there is none."""

    def __init__(self, **bodies: bytes) -> None:
        self.bodies = bodies

    async def get(self, url: str, *, headers: object = None) -> Response:
        word = url.rpartition("/")[2].partition("?")[0]
        return Response(200, {}, self.bodies[word]) if word in self.bodies else Response(404, {}, b"")


async def read(body: bytes | Tree, **options: Any) -> dict[str, Batch]:
    """Return what the collector makes of an answer, by instance."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    http = Body(average=data, realtime=data, hwinfo=(CASES / "ok/hwinfo").read_bytes())
    one = STONCollector(Target("ston1", "192.0.2.1", "ston1"), http, **options)  # type: ignore[arg-type]
    return {batch.source.instance: batch for batch in await one.run(0)}


def case(name: str) -> Tree:
    tree: Tree = json.loads((CASES / name / "page").read_text())
    return tree


def drawn(graph: Graph, *found: Mapping[str, float]) -> list[float]:
    """Return what a graph draws of instances together."""
    values: dict[str, float] = {}
    for one in found:
        for name, value in one.items():
            values[name] = values.get(name, 0.0) + value
    data = Data({name: np.array([value]) for name, value in values.items()}, start=0, end=300, step=300)
    return [float(np.atleast_1d(item.value.evaluate(data))[0]) for item in graph.items]  # type: ignore[attr-defined]


def near(values: list[float]) -> Any:
    return pytest.approx(values, rel=1e-12, abs=1e-12, nan_ok=True)


# What the manual's fields give, line by line; the values are those of the case `ok`.
SERVER = {
    "cpu": [4.12 + 11.87, 4.12],
    "ston_media_server_cpu": [3.55 + 11.02, 3.55],
    "memory": [32 * 2**30 - 5914644 * 1024, 9785800 * 1024],
    "iowait": [0.57],
    "loadavg": [1.18],
    "ssockevent": [61, 58],
    "ssockusage": [4183, 4096],
    "csockevent": [11, 10],
    "csockusage": [49, 47],
    "acldenied": [2],
    "eq": [4],
    "wf2w": [2],
    "tcpsocket": [4402, 4170, 212, 3, 1290],
}


@pytest.mark.parametrize("form", ["ok", "xml"])
async def test_every_target_of_the_server_draws_its_fields(form: str) -> None:
    options = {"format": "xml"} if form == "xml" else {}
    found = await read((CASES / form / "page").read_bytes(), **options)
    values = found[""].values
    assert set(STONCollector.targets) == set(SERVER)
    for target, expected in SERVER.items():
        assert drawn(STONCollector.targets[target], values) == near([float(one) for one in expected]), target


def total(trees: list[Tree], *path: str) -> float:
    """Return the sum of a field, 0 where it is not there."""
    whole = 0.0
    for tree in trees:
        at: Any = tree
        for key in path:
            at = at.get(key, {}) if isinstance(at, dict) else {}
        whole += at if isinstance(at, int) else 0
    return whole


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


class Oracle:
    """What a graph has to draw of virtual hosts together, from their fields alone."""

    def __init__(self, trees: list[Tree], protocol: str) -> None:
        self.trees = trees
        self.x = "All" if protocol == "all" else WORDS[protocol]
        self.all = [self.x] if protocol != "all" else list(WORDS.values())
        self.web = [x for x in self.all if x != "Rtmp"]

    def flow(self, side: str, what: str) -> float:
        return total(self.trees, f"{self.x}{side}{what}")

    def requests(self, side: str, *, web: bool = False) -> float:
        return (
            sum(total(self.trees, f"{side}Traffics", x, "ReqCountSum") for x in (self.web if web else self.all)) / 300
        )

    def calls(self, side: str, group: str, method: str) -> float:
        path = (f"{side}Traffics", "Rtmp", group, method)
        return total(self.trees, *path, "Success") + total(self.trees, *path, "Fail")

    def responses(self, side: str, name: str = "ResTotal", key: str = "CountSum") -> float:
        return sum(total(self.trees, f"{side}Traffics", x, "Response", name, key) for x in self.web) / 300

    def answers(self, side: str) -> float:
        calls = sum(self.calls(side, *method) for method in METHODS) if "Rtmp" in self.all else 0
        return calls + self.responses(side)

    def mean(self, side: str, time: str, count: str) -> float:
        """Return the mean time in ms of everything, each weighted by how often it was."""
        seconds = count_of = 0.0
        for tree in self.trees:
            for x in self.web:
                one = tree.get(f"{side}Traffics", {}).get(x, {}).get("Response", {}).get("ResTotal", {})
                seconds += one.get(time, 0) / 100 * one.get(count, 0) / 300
                count_of += one.get(count, 0) / 300
            if "Rtmp" in self.all and time == "TimeRes":
                for group, method in METHODS:
                    call = tree.get(f"{side}Traffics", {}).get("Rtmp", {}).get(group, {}).get(method, {})
                    often = call.get("Success", 0) + call.get("Fail", 0)
                    seconds += call.get("TimeRes", 0) / 100 * often
                    count_of += often
        return ratio(seconds, count_of)

    def hit(self, *codes: str) -> float:
        return (
            sum(total(self.trees, "ClientTraffics", x, "RequestHitSum", f"TCP_{c}") for x in self.all for c in codes)
            / 300
        )

    def hits(self) -> list[float]:
        sent, got = self.flow("Client", "Outbound"), self.flow("Origin", "Inbound")
        good = self.hit("HIT", "IMS_HIT", "REFRESH_HIT", "REF_FAIL_HIT", "NEGATIVE_HIT", "REDIRECT_HIT")
        every = good + self.hit("NONE", "MISS", "REFRESH_MISS", "CLIENT_REFRESH_MISS", "DENIED", "ERROR")
        return [100 * ratio(good, every), 100 * ratio(sent - got, sent)]


LEGEND_CODES = ("HIT", "IMS_HIT", "REFRESH_HIT", "REF_FAIL_HIT", "NEGATIVE_HIT", "MISS", "REFRESH_MISS",
                "CLIENT_REFRESH_MISS", "DENIED", "ERROR")  # fmt: skip
A, B, F = ("all", *WORDS), ("all", *WEB), ("all",)


def both(side: str) -> dict[str, tuple[tuple[str, ...], Callable[[Oracle], list[float]]]]:
    low = side.lower()
    found: dict[str, tuple[tuple[str, ...], Callable[[Oracle], list[float]]]] = {
        f"{low}_session": (A, lambda o: [o.flow(side, "Session"), o.flow(side, "ActiveSession")]),
        f"{low}_traffic": (A, lambda o: [8 * o.flow(side, "Inbound"), 8 * o.flow(side, "Outbound")]),
        f"{low}_res": (A, lambda o: [o.answers(side), o.requests(side)]),
        f"{low}_res_time": (A, lambda o: [o.mean(side, "TimeRes", "CountSum")]),
        f"{low}_res_complete": (B, lambda o: [o.responses(side, key="CompletedSum"), o.requests(side, web=True)]),
        f"{low}_res_complete_time": (B, lambda o: [o.mean(side, "TimeComplete", "CompletedSum")]),
        f"{low}_rtmp_res_detail": (
            F,
            lambda o: [*(o.calls(side, *method) for method in METHODS), Oracle(o.trees, "rtmp").requests(side)],
        ),
    }
    for protocol in WEB:

        def detail(o: Oracle, protocol: str = protocol) -> list[float]:
            own = Oracle(o.trees, protocol)
            return [*(own.responses(side, f"Res{n}xx") for n in (2, 3, 4, 5)), own.requests(side)]

        found[f"{low}_{protocol}_res_detail"] = (F, detail)
    return found


def files(o: Oracle) -> list[float]:
    sizes = [f"U{n}{unit}" for unit in "KMG" for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)][:25]
    each = [total(o.trees, "Disk", "Distribution", size) for size in (*sizes, "O16G")]
    return [*each, sum(each)]


INSTANCES: dict[str, tuple[tuple[str, ...], Callable[[Oracle], list[float]]]] = {
    "hitratio": (A, lambda o: o.hits()),
    "client_res_hit": (A, lambda o: [*(o.hit(code) for code in LEGEND_CODES), o.requests("Client")]),
    **both("Client"),
    **both("Origin"),
    "filecount": (F, files),
    "mem": (F, lambda o: [total(o.trees, "Memory")]),
}


def test_the_targets_of_virtual_hosts_and_their_protocols_are_those_of_the_specification() -> None:
    offered = {target: set(by_protocol) for target, by_protocol in STONCollector.instance_targets.items()}
    assert offered == {target: set(protocols) for target, (protocols, _) in INSTANCES.items()}
    assert STONCollector.whole_targets == {"filecount", "mem"}


def trees_of(tree: Tree) -> dict[str, Tree]:
    """Return virtual hosts and channels by the names of their instances."""
    found = {}
    for vhost in tree["Host"]["VirtualHost"]:
        found[vhost["Name"]] = vhost
        found |= {vhost["Name"] + channel["Name"]: channel for channel in vhost.get("Channel", [])}
    return found


@pytest.mark.parametrize("target", INSTANCES)
@pytest.mark.parametrize("source", ["ok", "stand-in"])
async def test_every_line_of_every_target_and_protocol_is_what_the_fields_give(source: str, target: str) -> None:
    """Of each virtual host and channel, and of all virtual hosts together: counts added, ratios and times weighted."""
    vhosts = {"www.example.com": [], "live.example.com/한국": ["/하나", "/두 번째"], "/foo": []}
    tree = case("ok") if source == "ok" else Media(vhosts).tree()
    found = await read(tree)
    trees = trees_of(tree)
    assert set(found) == {"", *trees}
    protocols, oracle = INSTANCES[target]
    for protocol in protocols:
        graph = STONCollector.instance_targets[target][protocol]
        for name, fields in trees.items():
            if target in STONCollector.whole_targets and "channel" in found[name].meta:
                continue
            expected = oracle(Oracle([fields], protocol))
            got = drawn(graph, found[name].values)
            if "Rtmp" not in fields["OriginTraffics"] and (protocol == "rtmp" or "rtmp" in target):
                continue
            assert got == near(expected), (name, protocol)
        whole = [one for name, one in trees.items() if "channel" not in found[name].meta]
        if all("Rtmp" in one["OriginTraffics"] for one in whole) or "rtmp" not in (protocol, *target.split("_")):
            together = drawn(graph, *(found[one["Name"]].values for one in whole))
            assert together == near(oracle(Oracle(whole, protocol))), protocol
            # The server's own series are the same sums.
            assert drawn(graph, found[""].values) == near(together)
            assert any(value > 0 for value in together) or source == "ok"


async def test_the_ratio_of_all_virtual_hosts_is_not_the_mean_of_their_ratios() -> None:
    tree = Media({"a.example.com": [], "b.example.com": []}).tree()
    found = await read(tree)
    graph = STONCollector.instance_targets["hitratio"]["all"]
    each = [drawn(graph, found[name].values)[0] for name in ("a.example.com", "b.example.com")]
    together = drawn(graph, found["a.example.com"].values, found["b.example.com"].values)[0]
    assert min(each) < together < max(each)
    assert together != pytest.approx(sum(each) / 2, rel=1e-6)


async def test_a_rate_below_one_per_second_is_read_from_its_sum() -> None:
    vhost = case("ok")["Host"]["VirtualHost"][0]
    assert vhost["OriginTraffics"]["Http"]["Response"]["Res4xx"]["Count"] == 0
    found = await read(case("ok"))
    assert found["www.example.com"].values["http.origin.4xx"] == 12 / 300


async def test_legends_colours_and_columns_are_stons() -> None:
    legends = json.loads((CASES / "legends.json").read_text())
    of = STONCollector.instance_targets

    def shown(graph: Graph) -> list[list[str]]:
        assert all(type(item) is Stack for item in graph.items[:-1])
        assert type(graph.items[-1]) is Line
        return [[item.legend, item.colour.removesuffix("b4")] for item in graph.items]  # type: ignore[attr-defined]

    for side in ("client", "origin"):
        assert shown(of[f"{side}_rtmp_res_detail"]["all"]) == legends["rtmp_detail"]
        for protocol in WEB:
            assert shown(of[f"{side}_{protocol}_res_detail"]["all"]) == legends["rescode_detail"]
    for graph in of["client_res_hit"].values():
        assert shown(graph) == legends["filehit"]
    assert shown(of["filecount"]["all"]) == legends["filecount"]
    sockets = STONCollector.targets["tcpsocket"].items
    assert [[item.legend, item.colour.removesuffix("b4")] for item in sockets] == legends["tcpsocket"]  # type: ignore[attr-defined]
    every = [*STONCollector.targets.values(), *(graph for each in of.values() for graph in each.values())]
    assert {graph.legend for graph in every} == {("Max", "Average", "Current")}
    assert all(item.colour.endswith("b4") for graph in every for item in graph.items)  # type: ignore[attr-defined]
    assert {graph.name for graph in every if graph.base == 1024} == {"memory", "mem"}
    assert {graph.unit for graph in every if "time" in graph.name} == {"ms"}
    assert {graph.unit for graph in every if "traffic" in graph.name} == {"bits/s"}


def test_it_polls_every_five_minutes_at_the_boundary() -> None:
    one = STONCollector(Target("ston1", "192.0.2.1", "ston1"), Body())  # type: ignore[arg-type]
    assert (one.interval, one.align) == (300, True)


async def test_units_that_differ_by_version_are_options() -> None:
    usual = await read(case("ok"))
    other = await read(case("ok"), memory_unit="bytes", load_scale=1.0, time_unit="ms")
    for name, factor in (("memory.free", 1 / 1024), ("memory.ston", 1 / 1024), ("load.1", 100), ("memory.total", 1)):
        assert other[""].values[name] == pytest.approx(usual[""].values[name] * factor), name
    for name in ("http.client.response_seconds", "hls.client.complete_seconds", "rtmp.client.response_seconds"):
        both = [found["www.example.com"].values[name] for found in (usual, other)]
        assert both[1] == pytest.approx(both[0] * 100), name


async def test_realtime_statistics_are_read_from_their_means() -> None:
    found = (await read(case("realtime"), statistics="realtime"))["www.example.com"].values
    assert (found["http.client.requests"], found["http.client.2xx"], found["http.client.hit.refresh_hit"]) == (
        72,
        68,
        8,
    )
    graph = STONCollector.instance_targets["client_res_time"]["http"]
    assert drawn(graph, found) == near([18.45])


@pytest.mark.parametrize("kind", [Media, Edge])
async def test_xml_gives_what_json_gives(kind: type[Server]) -> None:
    server = kind({"www.example.com": [], "q\"<&>'ü": ["/one", "/two"]})
    server.spoilt = {}
    form = {"server": "edge"} if kind is Edge else {}
    one, other = await read(server.body("JSON"), **form), await read(server.body("XML"), format="xml", **form)
    assert {name: (batch.values, batch.meta) for name, batch in one.items()} == {
        name: (batch.values, batch.meta) for name, batch in other.items()
    }


async def test_an_edge_server_tells_all_and_http() -> None:
    found = await read(case("edge"), server="edge")
    vhost, host = found["image.example.com"], found[""]
    assert host.meta == {"server": "edge", "version": "2.12.9", "name": "edge_01", "state": "Healthy"}
    assert vhost.meta == {"server": "edge", "vhost": "image.example.com"}
    assert host.values["memory.total"] == 8106168 * 1024
    of = STONCollector.instance_targets
    for protocol in ("all", "http"):
        assert drawn(of["client_session"][protocol], vhost.values) == [260, 116]
        assert drawn(of["client_res_time"][protocol], vhost.values) == near([9.4])
        assert drawn(of["client_res_complete"][protocol], vhost.values) == near([154, 154])
        assert drawn(of["hitratio"][protocol], vhost.values)[0] == pytest.approx(100 * 41730 / 46530)
    assert not [name for name in vhost.values if name.startswith(("rtmp.", "hls.", "mpegdash."))]


def directories(*parts: Tree, accum: str = "OFF") -> Tree:
    tree = case("edge")
    tree["Host"]["VirtualHost"][0]["ClientTraffic"] = {"Accum": accum, "Traffic": list(parts)}
    return tree


def directory(path: str, count: int, time: int) -> Tree:
    whole = {"CountSum": count, "CompletedSum": count, "TimeRes": time, "TimeComplete": 2 * time}
    return {
        "Path": path, "HttpReqCountSum": count, "RequestHitSum": {"TCP_HIT": count}, "Response": {"ResTotal": whole},
    }  # fmt: skip


async def test_directories_of_an_edge_server_are_added_and_their_times_weighted() -> None:
    tree = directories(directory("/a", 300, 1000), directory("/b", 900, 2000))
    values = (await read(tree, server="edge"))["image.example.com"].values
    assert (values["http.client.requests"], values["http.client.hit.hit"]) == (4, 4)
    assert drawn(STONCollector.instance_targets["client_res_time"]["http"], values) == near([17.5])
    assert drawn(STONCollector.instance_targets["client_res_complete_time"]["all"], values) == near([35.0])


async def test_directories_that_hold_those_below_them_are_counted_once() -> None:
    parts = (directory("/", 1200, 1750), directory("/a", 300, 1000))
    values = (await read(directories(*parts, accum="ON"), server="edge"))["image.example.com"].values
    assert values["http.client.requests"] == 4


async def test_origins_of_an_edge_server_may_be_a_list() -> None:
    tree = case("edge")
    vhost = tree["Host"]["VirtualHost"][0]
    vhost["OriginTraffic"] = [{"Name": "a", **vhost["OriginTraffic"]}, {"Name": "b", **vhost["OriginTraffic"]}]
    assert (await read(tree, server="edge"))["image.example.com"].values["http.origin.requests"] == 12


async def test_an_old_edge_server_is_read_from_its_flat_fields() -> None:
    tree = case("edge")
    del tree["Host"]["VirtualHost"][0]["ClientTraffic"], tree["Host"]["VirtualHost"][0]["OriginTraffic"]
    values = (await read(tree, server="edge"))["image.example.com"].values
    assert (values["http.client.requests"], values["http.client.2xx"], values["all.origin.responses"]) == (154, 93, 6)
    assert drawn(STONCollector.instance_targets["client_res_time"]["http"], values) == near([9.4])


async def test_what_cannot_be_is_unknown_and_what_is_missing_is_not_told() -> None:
    tree = case("ok")
    host, vhost = tree["Host"], tree["Host"]["VirtualHost"][0]
    host["System"]["CPU"] |= {"Kernel": 640001, "User": -1, "Idle": None, "Nice": "many", "IRQ": 10**400, "Steal": "9"}
    del host["System"]["TCPSocket"]
    vhost["AllClientSession"] = -5
    vhost["ClientTraffics"]["Http"]["RequestHitSum"]["TCP_MISS"] = -1
    vhost["ClientTraffics"]["Hls"] = None
    vhost["Disk"] = []
    found = await read(json.dumps(tree).encode())
    cpu = {name: value for name, value in found[""].values.items() if name.startswith("cpu.")}
    unknown = {name for name, value in cpu.items() if math.isnan(value)}
    assert unknown == {f"cpu.{name}" for name in ("kernel", "user", "idle", "nice", "irq")}
    assert cpu["cpu.steal"] == 0.09
    assert not [name for name in found[""].values if name.startswith("tcp.")]
    values = found["www.example.com"].values
    # A sum with an unknown part is unknown, not too small.
    for name in ("all.client.session", "http.client.hit.miss", "http.client.lookups", "all.client.lookups"):
        assert math.isnan(values[name]), name
    assert values["http.client.hits"] == 67.82333333333334
    assert not [name for name in values if name.startswith(("hls.client.re", "files."))]
    assert "hls.client.session" in values


async def test_unknown_keys_and_hit_codes_do_no_harm() -> None:
    tree = case("ok")
    vhost = tree["Host"]["VirtualHost"][0]
    vhost["Novelty"] = {"Deep": [1, {"a": None}]}
    sums = vhost["ClientTraffics"]["Http"]["RequestHitSum"]
    sums |= {"TCP_NOVEL_HIT": 300, "TCP_NOVEL": 600}
    values = (await read(tree))["www.example.com"].values
    before = (await read(case("ok")))["www.example.com"].values
    assert values["http.client.hits"] == pytest.approx(before["http.client.hits"] + 1)
    assert values["http.client.lookups"] == pytest.approx(before["http.client.lookups"] + 3)


async def test_a_virtual_host_counts_more_than_a_channel_that_happens_to_make_its_name() -> None:
    found = await read(Media({"www.example.com": ["/live"], "www.example.com/live": []}).tree())
    assert set(found) == {"", "www.example.com", "www.example.com/live"}
    assert "channel" not in found["www.example.com/live"].meta
    assert "memory" in found["www.example.com/live"].values


NAMES = ["한국.example.com", "007", "a/b/c", "/foo", "100%25", 'quo"te\\', "br}ace{s", "b]r[a,c:k", " blank ", "🎬"]


async def test_names_of_any_characters_are_kept_as_they_are() -> None:
    server = Media({name: [f"/{name}", "/live"] for name in NAMES})
    for form in ("JSON", "XML"):
        found = await read(server.body(form), format=form.lower())
        assert set(found) == {"", *NAMES, *(f"{name}/{name}" for name in NAMES), *(f"{name}/live" for name in NAMES)}
        assert found["/foo//foo"].meta["vhost"] == "/foo"
        assert found["/foo//foo"].meta["channel"] == "//foo"


async def test_a_large_answer_is_read_in_pieces_to_the_same_numbers() -> None:
    """None of them is as large as what one call may take."""
    server = Media({f"vhost{i}": [f"/channel{j}" for j in range(30)] for i in range(6)})
    body = json.dumps(server.tree(), indent=1).encode()
    assert len(body) > 2_000_000
    head, vhosts = pieces.cut(body, "VirtualHost")
    assert len(head) < pieces.SMALL
    assert len(vhosts) == 6
    parts = [part for vhost in vhosts for cut in [pieces.cut(vhost, "Channel")] for part in (cut[0], *cut[1])]
    assert max(map(len, parts)) < pieces.SMALL
    whole = await read(server.body("XML"), format="xml")
    found = await read(body)
    assert {name: batch.values for name, batch in found.items()} == {
        name: batch.values for name, batch in whole.items()
    }


@given(st.lists(st.fixed_dictionaries({"Name": st.text(), "AllClientSession": st.integers(0, 9)}), max_size=5))
def test_cutting_changes_nothing_whatever_the_names_are(vhosts: list[Tree]) -> None:
    body = json.dumps({"Host": {"Version": "1", "VirtualHost": vhosts, "View": []}}, ensure_ascii=False)
    host, found = asyncio.run(pieces.read(body.encode("utf-8", "surrogatepass"), lambda vhost: vhost))
    if not any("\ud800" <= letter <= "\udfff" for letter in body):
        assert found == vhosts
    assert host["Version"] == "1"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text().map(lambda text: text.rstrip("= ")), values, max_size=4))
def test_good_json_is_read_leniently_to_the_same_value(tree: Tree) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key.rstrip("= "): plain(one) for key, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, list) else value

    assert lenient.forgiving(json.dumps({"root": tree})) == plain({"root": tree})


async def test_a_byte_order_mark_and_bytes_that_are_no_utf8_are_no_fault() -> None:
    server = Media({"www.example.com": []})
    plain = await read(server.body("JSON"))
    for body in (b"\xef\xbb\xbf" + server.body("JSON"), server.body("JSON").replace(b"stream_07", b"str\xe9am")):
        found = await read(body)
        assert found["www.example.com"].values == plain["www.example.com"].values
    assert found[""].meta["name"] == "str\ufffdam"


@pytest.mark.parametrize("size", [0, 1, 10, 500, 5_000, 20_000, -1])
@pytest.mark.parametrize("form", ["JSON", "XML"])
async def test_what_was_cut_off_is_refused(form: str, size: int) -> None:
    body = Media({"www.example.com": ["/live"], "b.example.com": []}).body(form)[:size]
    with pytest.raises(CollectError, match=r"^expected "):
        await read(body, format=form.lower())


@pytest.mark.parametrize("size", [65_540, 100_000, 400_000, -10])
async def test_a_large_xml_that_was_cut_off_is_refused(size: int) -> None:
    body = Media({f"{n}.example.com": ["/live"] for n in range(20)}).body("XML")[:size]
    assert len(body) > pieces.SMALL
    with pytest.raises(CollectError, match=r"^expected "):
        await read(body, format="xml")


@pytest.mark.parametrize("wrong", [b"</VirtualHost>", b"</virtualhost>", b"</Virtual>"])
async def test_a_large_xml_is_what_its_json_is_whatever_its_tags_are_closed_by(wrong: bytes) -> None:
    server = Media({f"{n}.example.com": ["/live", "/<a&b>"] for n in range(10)})
    body = server.body("XML").replace(b"</VirtualHost>", wrong, 3)
    assert len(pieces.cut_xml(body)[1]) == (10 if wrong == b"</VirtualHost>" else 7)
    one, other = await read(server.body("JSON")), await read(body, format="xml")
    assert one.keys() == other.keys()
    for name, batch in one.items():
        assert batch.meta == other[name].meta
        assert other[name].values == pytest.approx(batch.values)


async def test_reading_xml_lets_others_run() -> None:
    body = Media({f"{n}.example.com": ["/a", "/b"] for n in range(10)}).body("XML")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    await xml.loads(body)
    counting.cancel()
    assert turns >= body.count(b"<") // xml.SLICE - 1 > 20


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:=<>/ab1 \\', max_size=200).map(str.encode))
def test_whatever_comes_is_read_or_refused_in_words(body: bytes) -> None:
    for what in (lenient.loads, lambda body: asyncio.run(xml.loads(body))):
        try:
            what(body)
        except CollectError as error:
            assert str(error).startswith("expected ")


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"Host": []}', b"null", b"1", b'"text"', b"<html><b>no</b></html>", b"[" * 9999]
)
async def test_json_of_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(CollectError, match=r"^expected "):
        await read(body, format="json")


# The stand-in, over HTTP.


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient()
    await one.open()
    yield one
    await one.close()


class Watched:
    """A server and what its collections give."""

    def __init__(self, client: HttpClient, watched: Server, **options: Any) -> None:
        self.batches: dict[str, Batch] = {}
        port = int(watched.url.rpartition(":")[2]) if watched.url else free_port()
        target = Target("ston1", "127.0.0.1", "ston1")
        given = {"req_port": port, **options}
        one = STONCollector(target, client.bound(timeout=options.get("timeout") or 5), **given)
        self.job, self.runner = Job(target, one), Runner(self.accept)

    async def accept(self, found: Any) -> list[str | None]:
        self.batches = {batch.source.instance: batch for batch in found}
        return [None] * len(found)

    async def poll(self) -> bool:
        self.batches = {}
        return await self.runner.run(self.job, 1500)


async def test_a_media_server_is_polled_over_http(client: HttpClient) -> None:
    async with serving(Media({"www.example.com": [], "live": ["/one"]})) as server:
        watched = Watched(client, server)
        assert await watched.poll(), watched.job.reason
        assert await watched.poll()
    assert set(watched.batches) == {"", "www.example.com", "live", "live/one"}
    assert {(batch.time, batch.interval) for batch in watched.batches.values()} == {(1500, 300)}
    # The machine's memory does not change: it is asked for once.
    assert server.asked == ["/monitoring/average?type=JSON", "/monitoring/hwinfo", "/monitoring/average?type=JSON"]
    assert watched.batches[""].values["memory.total"] == 32 * 2**30


async def test_an_edge_server_is_polled_over_http(client: HttpClient) -> None:
    async with serving(Edge({"www.example.com": []}, version="2.12.9")) as server:
        watched = Watched(client, server, server="edge", statistics="realtime")
        assert await watched.poll(), watched.job.reason
    assert server.asked == ["/monitoring/realtime?type=JSON"]
    assert watched.batches[""].values["memory.total"] == 8106168 * 1024


async def test_ports_are_those_of_the_kind_of_server() -> None:
    asked = []

    class Asked(Body):
        async def get(self, url: str, *, headers: object = None) -> Response:
            asked.append(url)
            return await super().get(url)

    for target, options in (
        (Target("10.0.0.1", "10.0.0.1", "ston1"), {}),
        (Target("10.0.0.1", "10.0.0.1", "ston1"), {"server": "edge", "req_host": "edge1"}),
        (Target("v6", "2001:db8::1", "v6"), {"req_port": 80}),
        (Target("own", "127.0.0.1", "own", local=True), {}),
    ):
        one = STONCollector(target, Asked(average=Edge({}).body("JSON")), **options)  # type: ignore[arg-type]
        await one.run(0)
    assert [url.removesuffix("/monitoring/average?type=JSON") for url in asked] == [
        "http://10.0.0.1:20040", "http://edge1:10040", "http://[2001:db8::1]:80", "http://localhost:20040",
    ]  # fmt: skip


async def test_what_vanishes_is_a_gap_and_what_returns_goes_on(client: HttpClient) -> None:
    async with serving(Media({"a": ["/one", "/two"], "b": []})) as server:
        watched = Watched(client, server)
        assert await watched.poll()
        assert set(watched.batches) == {"", "a", "a/one", "a/two", "b"}
        server.vhosts = {"a": ["/two", "/three"]}
        server.window = 2
        assert await watched.poll()
        assert set(watched.batches) == {"", "a", "a/two", "a/three"}
        assert not [batch for batch in watched.batches.values() if math.isnan(batch.values["all.client.session"])]
        server.vhosts = {}
        assert await watched.poll()
        assert set(watched.batches) == {""}
        server.vhosts = {"b": [], "a": ["/one"]}
        assert await watched.poll()
        assert set(watched.batches) == {"", "a", "a/one", "b"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"allowed": False}, "<Manager><Allow>"),
        ({"looker": True}, "status 401 instead of 200"),
        ({"delay": 30.0}, "no answer within 0.5 s"),
        ({"spoilt": {"JSON": b"", "XML": b""}}, "expected JSON to its end"),
        ({"spoilt": {"JSON": lambda body: body[: len(body) // 2], "XML": b"<Host"}}, "expected JSON to its end"),
        ({"spoilt": {"JSON": b"<html>busy</html>", "XML": b"busy"}}, "expected STON's statistics, got"),
        ({"spoilt": {"JSON": lambda body: body.replace(b"}", b"", 3), "XML": b""}}, "expected "),
    ],
    ids=["disconnected", "looker", "slow", "empty", "cut off", "html", "malformed"],
)
async def test_a_fault_is_a_failure_with_its_reason_and_without_values(
    fault: dict[str, Any], reason: str, client: HttpClient
) -> None:
    async with serving(Media({"www.example.com": ["/live"]})) as server:
        watched = Watched(client, server, timeout=0.5)
        assert await watched.poll(), watched.job.reason
        usual = {name: getattr(server, name) for name in fault}
        vars(server).update(fault)
        assert not await watched.poll()
        assert watched.batches == {}
        assert reason in watched.job.reason
        assert "Error" not in watched.job.reason
        vars(server).update(usual)
        assert await watched.poll()
        assert set(watched.batches) == {"", "www.example.com", "www.example.com/live"}


async def test_a_refused_connection_is_a_failure(client: HttpClient) -> None:
    watched = Watched(client, Media({}))
    assert not await watched.poll()
    assert watched.job.reason.endswith("connection refused")


async def test_json_that_cannot_be_read_is_asked_for_as_xml(client: HttpClient) -> None:
    async with serving(Media({"www.example.com": []})) as server:
        server.spoilt = {"JSON": lambda body: body.replace(b"{", b"", 2)}
        watched = Watched(client, server)
        assert await watched.poll(), watched.job.reason
        assert server.asked[:2] == ["/monitoring/average?type=JSON", "/monitoring/average?type=XML"]
        only = Watched(client, server, format="json")
        assert not await only.poll()
        assert "www.example.com" in watched.batches


async def test_a_machine_whose_memory_is_not_told_has_all_but_that(client: HttpClient) -> None:
    async with serving(Media({"www.example.com": []})) as server:
        server.spoilt = {"hwinfo": b'{"result": {"Memory": "much"}}'}
        watched = Watched(client, server)
        assert await watched.poll()
        assert math.isnan(watched.batches[""].values["memory.total"])
        assert (
            watched.batches[""].meta["memory"] == "its size is not known: expected result.Memory of hwinfo, got 'much'"
        )
        drawn_now = drawn(STONCollector.targets["memory"], watched.batches[""].values)
        assert (math.isnan(drawn_now[0]), drawn_now[1]) == (True, 9785800 * 1024)
        server.spoilt = {}
        assert await watched.poll()
        assert watched.batches[""].values["memory.total"] == 32 * 2**30


async def test_a_restart_is_no_fault(client: HttpClient) -> None:
    async with serving(Media({"www.example.com": []})) as server:
        watched = Watched(client, server)
        assert await watched.poll()
        server.uptime, server.window = 3, 9
        assert await watched.poll()
        assert watched.batches["www.example.com"].values["uptime"] == 3
        assert not [name for name, value in watched.batches["www.example.com"].values.items() if math.isnan(value)]


async def test_after_a_restart_the_size_of_the_memory_is_asked_for_again(client: HttpClient) -> None:
    async with serving(Media({"www.example.com": []})) as server:
        watched = Watched(client, server)
        assert await watched.poll()
        server.spoilt = {"hwinfo": b'{"result": {"Memory": "64 GB"}}'}
        server.uptime += 300
        assert await watched.poll()
        assert watched.batches[""].values["memory.total"] == 32 * 2**30
        server.uptime = 20
        assert await watched.poll()
        assert watched.batches[""].values["memory.total"] == 64 * 2**30


async def test_removed_virtual_hosts_say_on_demand_that_their_history_goes() -> None:
    for removed, told in (("keep", None), ("delete", "600")):
        found = await read(Media({"a": (), "b": ("/c",)}).tree(), removed_vhosts=removed)
        assert {name: batch.meta.get("forget_after") for name, batch in found.items()} == {
            "": None, "a": told, "b": told, "b/c": told,
        }  # fmt: skip
