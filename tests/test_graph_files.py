"""Graphs of the operator's own: files in RRDtool's graph language, on pages, as pictures, and with their errors."""

from __future__ import annotations

import io
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from appliance import appliance, wait_for
from debian import need
from PIL import Image
from test_web_pages import page
from web_parts import OWN, Parts, configured, serving

from monitor.batch import Source
from monitor.cli import main
from monitor.graph.data import Data, Read
from monitor.graph.model import Item
from monitor.graphfiles import read
from monitor.registry import Registry
from monitor.web.catalogue import find
from monitor.web.reading import Span, read_graph

EXAMPLES = Path(__file__).parent / "examples" / "graphs"
LOAD = "DEF:a=01:n:AVERAGE\nLINE1:a#ff0000:load\n"
REGISTRY = Registry()


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def told(folder: Path, most: int = 100) -> list[str]:
    return [str(problem).replace(f"{folder}/", "") for problem in read([folder], REGISTRY, most).problems]


# what files become


def test_a_file_is_a_graph_called_after_it_with_the_title_that_it_gives(tmp_path: Path) -> None:
    write(tmp_path, {"loadavg/plain.graph": LOAD, "loadavg/titled.graph": f"--title 'My load'\n{LOAD}"})
    found = read([tmp_path], REGISTRY, 100)
    assert [(graph.name, graph.title) for graph in found.graphs("loadavg")] == [
        ("plain", "plain"),
        ("titled", "My load"),
    ]
    assert list(found.graphs("loadavg")[0].reads()) == [Read("01")]
    assert not found.graphs("cpu")
    assert not found.problems and not found.warnings


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"loadavg/.hidden.graph": "x", "loadavg/a.graph~": "x", "README": "x", ".git/a.graph": "x"})
    (tmp_path / "loadavg" / "folder.graph").mkdir()
    found = read([tmp_path], REGISTRY, 100)
    assert not found.graphs("loadavg") and not found.problems


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"loadavg/a.graph": "DEF:a=01:n:AVERAGE\n\nCDEF:b=c,2,*\nLINE1:a#f00\n"}, "loadavg/a.graph:3: 'CDEF:b=c,2,*'"),
        ({"loadavg/a.graph": ""}, "loadavg/a.graph: expected at least one instruction"),
        ({"loadavg/a.graph": b"# ok\n" + LOAD.encode() + b"COMMENT:\xff"}, "loadavg/a.graph:4: expected UTF-8"),
        ({"loadavg/a.graph": "#" * 65537}, "loadavg/a.graph: expected at most 65536 bytes"),
        ({"loadavg/a.b.graph": LOAD}, "loadavg/a.b.graph: expected a name of at most 100 letters, digits, - and _"),
        ({"loadavg/load.graph": LOAD}, "loadavg/load.graph: a graph of loadavg is called 'load' already, by LoadAv"),
        ({"a.graph": LOAD}, "a.graph: expected a folder named after its collector: COLLECTOR/a.graph"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_disables_its_graph_only(
    tmp_path: Path, files: dict[str, str | bytes], problem: str
) -> None:
    write(tmp_path, {**files, "loadavg/good.graph": LOAD})
    (text,) = told(tmp_path)
    assert text.startswith(problem)
    assert [graph.name for graph in read([tmp_path], REGISTRY, 100).graphs("loadavg")] == ["good"]


def test_a_second_graph_of_a_name_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    write(tmp_path, {"one/app/a.graph": LOAD, "two/App/a.graph": LOAD})
    found = read([tmp_path / "one", tmp_path / "two"], REGISTRY, 100)
    (problem,) = map(str, found.problems)
    assert problem.startswith(f"{tmp_path}/two/App/a.graph: ") and f"{tmp_path}/one/app/a.graph" in problem
    assert len(found.graphs("app")) == 1


def test_a_collectors_name_that_looks_misspelt_gives_a_warning(tmp_path: Path) -> None:
    write(tmp_path, {"ngnix/a.graph": LOAD, "ngnix/b.graph": LOAD, "shop/a.graph": LOAD})
    (warning,) = map(str, read([tmp_path], REGISTRY, 100).warnings)
    assert warning == f"{tmp_path}/ngnix: there is no collector of this name; did you mean nginx?"


def test_no_more_files_are_read_than_the_setting_says(tmp_path: Path) -> None:
    write(tmp_path, {f"app/{name}.graph": LOAD for name in "abc"})
    assert told(tmp_path, 3) == []
    assert told(tmp_path, 2) == ["app/c.graph: is not read, nor any after it: max_graph_files = 2"]
    assert len(read([tmp_path], REGISTRY, 2).graphs("app")) == 2


def test_values_computed_of_values_computed_before_take_no_longer_for_being_many(tmp_path: Path) -> None:
    chain = "".join(f"CDEF:v{i}=v{i - 1},v{max(0, i - 2)},+\n" for i in range(1, 90))
    write(tmp_path, {"app/a.graph": f"DEF:v0=a:n:AVERAGE\n{chain}LINE1:v89#ff0000\n"})
    assert told(tmp_path) == []


def test_definitions_nested_too_deeply_are_an_error_of_the_file(tmp_path: Path) -> None:
    chain = "".join(f"CDEF:v{i}=v{i - 1},v{max(0, i - 2)},+\n" for i in range(1, 900))
    write(tmp_path, {"app/a.graph": f"DEF:v0=a:n:AVERAGE\n{chain}LINE1:v899#ff0000\n"})
    assert told(tmp_path) == ["app/a.graph: expected definitions nested less deeply"]


# check


def conf(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    write(folder / "graphs", files)
    path = folder / "a.conf"
    path.write_text(f"[server]\ndata_dir = {folder}/data\ngraphs_path = {folder / 'graphs'}\n")
    return path


def test_check_prints_file_line_and_error_and_ends_with_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf(tmp_path, {"loadavg/a.graph": f"{LOAD}AREA:b#ff0000\n", "cpu/b.graph": "XPORT:a"})
    assert main(["check", "-c", str(path)]) == 78
    out, err = capsys.readouterr()
    assert f"{tmp_path}/graphs/loadavg/a.graph:3: 'AREA:b#ff0000': expected a variable" in err
    assert "b.graph" in err and "OK" not in out


def test_check_warns_of_what_has_no_effect_and_ends_with_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", str(conf(tmp_path, {"loadavg/a.graph": f"{LOAD}--watermark shop\n"}))]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("OK\n")
    assert err.strip() == f"warning: {tmp_path}/graphs/loadavg/a.graph:3: --watermark has no effect here"


def test_a_directory_that_is_not_there_is_an_error_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.conf").write_text(f"[server]\ngraphs_path = {tmp_path}/nowhere\n")
    assert main(["check", "-c", str(tmp_path / "a.conf")]) == 78
    assert f"a.conf:2: [server] graphs_path: {tmp_path}/nowhere is not a directory" in capsys.readouterr().err


# pages, pictures and the API


def graphs_at(folder: Path, files: Mapping[str, str | bytes]) -> str:
    return f"[server]\ndata_dir = {folder}\ntimezone = UTC\ngraphs_path = {write(folder / 'graphs', files)}\n"


async def listed(client: Any, **query: str) -> list[str]:
    answer = await client.get("/api/v1/graphs", params=query)
    return [graph["graph"] for graph in (await answer.json())["graphs"]]


def drawn(parts: Parts) -> None:
    parts.fill(Source(OWN, "loadavg"), {"01": lambda i: 1.0 + i % 7})
    parts.fill(Source("shop1", "app", "one"), {"reqs.gauge": lambda i: i, "lat": lambda i: 5.0, "x": lambda i: 1.0})
    parts.fill(Source("shop1", "app", "two"), {"other": lambda i: 1.0})
    parts.fill(Source("shop1", "link"), {"eth0.rx": lambda i: 1.0, "eth1.rx": lambda i: 1.0, "eth1.tx": lambda i: 9.0})


APP = (
    "requests\n--title Requests\nDEF:r=<%RRD_FOR reqs.gauge %>:n:AVERAGE\nDEF:l=lat:n:AVERAGE\n"
    "AREA:r#33a02c:r\nLINE1:l#e31a1c:l\n"
)
LINK = "DEF:r=*.rx:n:AVERAGE\nDEF:t=*.tx:n:AVERAGE\nAREA:r#33a02c:in of *\nLINE1:t#e31a1c:out of *\n"


async def test_graphs_of_files_stand_on_pages_in_the_api_and_are_drawn(tmp_path: Path) -> None:
    text = graphs_at(tmp_path, {"loadavg/mine.graph": LOAD, "app/all.graph": APP, "link/both.graph": LINK})
    async with serving(tmp_path, text) as (client, parts):
        drawn(parts)
        assert await listed(client, host=OWN) == ["load", "mine"]
        # Series that a file's graph draws have none of their own beside it; sources without them have no such graph.
        assert await listed(client, host="shop1", instance="one") == ["all", "x"]
        assert await listed(client, host="shop1", instance="two") == ["other"]
        assert await listed(client, host="shop1", collector="link") == ["both.eth0", "both.eth1"]
        for host in (OWN, "shop1"):
            found = await page(client, "/server", address=host)
            shown = [image for image in found.images if str(image["src"]).startswith("/graph?")]
            assert len(shown) == {OWN: 4, "shop1": 10}[host]  # of a day and a week each
            for image in shown:
                answer = await client.get(str(image["src"]))
                assert answer.status == 200, await answer.text()
                body = await answer.read()
                width, height = (int.from_bytes(body[at : at + 4], "big") for at in (16, 20))
                assert (str(width), str(height)) == (image["width"], image["height"])
                assert any(sum(pixel) < 400 for _, pixel in colours(body))
        assert "Requests" in str([image["alt"] for image in found.images])


async def test_a_series_without_a_graph_of_its_own_is_drawn_by_its_address_still(tmp_path: Path) -> None:
    async with serving(tmp_path, graphs_at(tmp_path, {"app/all.graph": APP})) as (client, parts):
        drawn(parts)
        query = {"address": "shop1", "plugin_identifier": "app:one", "graph": "lat"}
        assert (await client.get("/graph", params=query)).status == 200
        answer = await client.get("/graph", params={**query, "graph": "nope"})
        assert answer.status == 404
        assert "all" in (await answer.json())["detail"]


async def test_a_page_shows_what_is_wrong_with_a_file_in_place_of_its_graph(tmp_path: Path) -> None:
    files = {
        "loadavg/bad.graph": "DEF:a=01:n:AVERAGE\nLINE1:b#ff0000:<b>\n",
        "loadavg/noted.graph": f"{LOAD}--border 3\n",
        "app/other.graph": "nonsense",
    }
    async with serving(tmp_path, graphs_at(tmp_path, files)) as (client, parts):
        drawn(parts)
        found = await page(client, "/server", address=OWN)
        assert f"{tmp_path}/graphs/loadavg/bad.graph:2: 'LINE1:b#ff0000:<b>': expected a variable" in found.text
        assert f"{tmp_path}/graphs/loadavg/noted.graph:3: --border has no effect here" in found.text
        assert "other.graph" not in found.text
        assert await listed(client, host=OWN) == ["load", "noted"]
        assert "other.graph" in (await page(client, "/server", address="shop1")).text


async def test_a_graph_of_steps_that_do_not_fit_each_other_is_400_and_says_why(tmp_path: Path) -> None:
    far = (
        "DEF:a=01:n:AVERAGE:step=9960:start=end-999d\nDEF:b=01:n:AVERAGE:step=10020:start=end-999d\n"
        "CDEF:c=a,b,+\nLINE1:c#ff0000\n"
    )
    text = graphs_at(tmp_path, {"loadavg/far.graph": far}) + "[retention]\npreset = none\ncollected = 1000d\n"
    async with serving(tmp_path, text) as (client, parts):
        parts.store.keep(parts.config.retention_classes)
        drawn(parts)
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "far"}
        answer = await client.get("/graph", params=query)
        assert answer.status == 400
        assert "expected at most 500000 values" in (await answer.json())["detail"]


async def test_a_reload_draws_the_file_as_it_is_then(tmp_path: Path) -> None:
    text = graphs_at(tmp_path, {"loadavg/mine.graph": LOAD})
    async with serving(tmp_path, text) as (client, parts):
        drawn(parts)
        query = {"address": OWN, "plugin_identifier": "loadavg", "graph": "mine", "term": "custom"}
        query |= {"from": str(int(time.time()) - 7200), "to": str(int(time.time()) - 600)}
        before = await (await client.get("/graph", params=query)).read()
        write(tmp_path / "graphs", {"loadavg/mine.graph": LOAD.replace("ff0000", "0000ff")})
        parts.config = configured(tmp_path, text)
        after = await (await client.get("/graph", params=query)).read()
        assert near(before, (255, 0, 0)) and not near(before, (0, 0, 255))
        assert near(after, (0, 0, 255)) and not near(after, (255, 0, 0))


def colours(png: bytes) -> list[tuple[int, tuple[int, int, int]]]:
    return Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24) or []


def near(png: bytes, colour: tuple[int, int, int]) -> int:
    """Return how many pixels have a colour, about."""
    return sum(n for n, rgb in colours(png) if all(abs(a - b) < 40 for a, b in zip(rgb, colour, strict=True)))


# the examples

COLOURS = {
    "cpu": "e3e8ed", "diskspace": "9cc5e0", "loadavg": "f6d494", "memory": "9cc5e0", "network": "5bb974",
}  # fmt: skip
"""A colour of which there is much as soon as an example has data."""


def test_the_examples_need_no_correction() -> None:
    found = read([EXAMPLES], REGISTRY, 100)
    assert not found.problems and not found.warnings
    assert {path.parent.name for path in EXAMPLES.glob("*/*.graph")} == set(COLOURS)


def test_the_examples_are_drawn_from_what_is_collected_of_this_host_and_a_reload_takes_other_files(
    tmp_path: Path,
) -> None:
    every_second = "[collectors]\n[[default]]\ninterval = 1\n"
    shutil.copytree(EXAMPLES, tmp_path / "graphs")
    names = {path.stem for path in EXAMPLES.glob("*/*.graph")}
    with appliance(tmp_path / "one", f"graphs_path = {tmp_path}/graphs\n{every_second}") as one:

        def own() -> dict[str, str]:
            found = one.json("/api/v1/graphs")["graphs"]
            return {each["collector"]: each["url"] for each in found if each["graph"].split(".")[0] in names}

        def collected() -> set[str]:
            series = one.json("/api/v1/latest")["series"]
            return {each["collector"] for each in series if each["value"] is not None}

        wait_for(lambda: {"cpu", "memory", "loadavg"} <= collected())
        there = collected()
        for collector in set(COLOURS) & there:
            colour = Image.new("RGB", (1, 1), f"#{COLOURS[collector]}").getpixel((0, 0))

            def drawn(collector: str = collector, colour: Any = colour) -> bool:
                url = own().get(collector)
                status, png = one.get(f"{url}&term=custom&from=end-20s&to=now") if url else (0, b"")
                return status == 200 and near(png, colour) > (20 if collector == "network" else 300)

            wait_for(drawn)
        host = one.json("/api/v1/hosts")["hosts"][0]["host"]
        assert "graph=states&amp;" in one.get(f"/server?address={host}")[1].decode()

        def logged(event: str) -> list[str]:
            return [line for line in one.log.read_text().splitlines() if f"event={event}" in line]

        other = "DEF:i=total.idle:n:AVERAGE\nLINE1:i#f00\n"
        write(tmp_path / "graphs", {"cpu/states.graph": "DEF:a=b\n", "cpu/other.graph": other})
        assert one.process is not None
        one.process.send_signal(signal.SIGHUP)
        wait_for(lambda: logged("reloaded"))
        (failed,) = logged("graph_file.failed")
        text = one.get(f"/server?address={host}")[1].decode()
        for place in (failed, text):
            assert f"{tmp_path}/graphs/cpu/states.graph:1: " in place
        assert "graph=states&amp;" not in text and "graph=other&amp;" in text
        assert not logged("reload.needs_restart")


async def test_the_disks_example_foretells_by_the_last_week_and_by_a_line(tmp_path: Path) -> None:
    now = time.time() // 86400 * 86400
    text = f"[server]\ndata_dir = {tmp_path}\ntimezone = UTC\ngraphs_path = {EXAMPLES}\n"
    async with serving(tmp_path, text, lambda: now) as (_, parts):
        source, days = Source(OWN, "diskspace"), 9

        def used(i: int) -> float:
            return 2.0**30 * (20 + 10 * (i % 1440 < 720) + i / 1440)

        parts.fill(source, {"root.byte_used": used, "root.byte_avail": lambda i: 100 * 2.0**30 - used(i)}, days * 1440)
        names = ["root.byte_used", "root.byte_avail"]
        graph = find(parts.config, source, names, "forecast.root")
        assert graph is not None
        found = await read_graph(parts.services, source, names, graph, Span(int(now) - 86400, int(now), 60))
        data = Data(found.series, start=found.start, end=found.end, step=found.step, now=int(now), tracks=found.tracks)
        values = {item.legend.strip(): item.value.evaluate(data) for item in graph.items if isinstance(item, Item)}
        gib = {name: np.asarray(each) / 2**30 for name, each in values.items()}
        # The mean of seven days, each a GiB below the next, is four below today.
        assert gib["expected"][600] == pytest.approx(gib["used"][600] - 4, abs=0.2)
        assert gib["expected"][900] == pytest.approx(gib["used"][900] - 4, abs=0.2)
        assert np.isfinite(gib["mean of 2 h"][-1])
        slope = np.polyfit(np.arange(len(gib["used"])), gib["used"], 1)
        assert gib["straight line"][-1] == pytest.approx(np.polyval(slope, len(gib["used"])), rel=1e-3)


async def test_a_browser_shows_graphs_of_files_and_their_errors(tmp_path: Path) -> None:
    chromium = need("chromium")
    playwright = pytest.importorskip("playwright.async_api")
    files = {
        "loadavg/mine.graph": f"{LOAD}--border 3\n", "loadavg/bad.graph": f"{LOAD}AREA:nothing#ff0000\n" + "# " * 900,
    }  # fmt: skip
    async with serving(tmp_path, graphs_at(tmp_path, files)) as (client, parts):
        drawn(parts)
        async with playwright.async_playwright() as running:
            browser = await running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            complaints: list[str] = []
            for width in (390, 1280):
                shown = await browser.new_page(viewport={"width": width, "height": 800})
                shown.on("console", lambda message: complaints.append(message.text))
                shown.on("requestfailed", lambda request: complaints.append(request.url))
                await shown.goto(str(client.make_url(f"/server?address={OWN}")), wait_until="networkidle")
                assert await shown.evaluate("document.documentElement.scrollWidth") <= width
                assert await shown.locator("img[src*='graph=mine']").first.evaluate("image => image.naturalWidth") > 0
                assert await shown.get_by_text("bad.graph:3: ").is_visible()
                note = shown.get_by_text("--border has no effect here")
                assert not await note.is_visible()
                await shown.get_by_text("mine: 1 note").click()
                assert await note.is_visible()
                await shown.close()
            await browser.close()
            assert complaints == []
