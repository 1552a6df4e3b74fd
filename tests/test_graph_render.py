"""PNGs: what stands in the file is the picture."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.graph import png
from monitor.graph.colour import Colour, colour
from monitor.graph.columns import Columns, polygon, polyline
from monitor.graph.expr import Name
from monitor.graph.glyph import NARROW, find, image, installed
from monitor.graph.layout import layout
from monitor.graph.model import Area, Graph, Line, Stack
from monitor.graph.picture import Fill, Font, Picture, Rect, Stroke
from monitor.graph.png import encode
from monitor.graph.raster import _mixed
from monitor.graph.render import pixels, render

TRAFFIC = Graph("traffic", "Traffic", Area(8 * Name("tx"), "Out", "00cc00b4"), Line("rx", "In", "0000ff"), unit="bit/s")


def decode(data: bytes) -> np.ndarray:
    """Read back a PNG as encode writes it: RGB as (height, width, 3)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + content)
        parts[name], at = content, at + 12 + length
    assert list(parts)[-1] == b"IEND"
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), dtype=np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    if kind == 3:
        return np.frombuffer(parts[b"PLTE"], dtype=np.uint8).reshape(-1, 3)[rows[:, 1:]]
    return rows[:, 1:].reshape(height, width, 3)


def picture(graph: Graph = TRAFFIC, **more: object) -> Picture:
    count = 288
    series = {"tx": np.full(count, 1e6), "rx": np.full(count, 4e6)}
    asked = {"start": 0, "end": 86400, "step": 300, "width": 580, "height": 203} | more
    return layout(graph, series, **asked)  # type: ignore[arg-type]


def colour_at(drawn: np.ndarray, x: int, y: int) -> str:
    return bytes(drawn[y, x, :3]).hex()


def test_the_png_shows_the_surfaces_in_their_exact_colours() -> None:
    made = picture()
    drawn = decode(render(made))
    assert drawn.shape == (203, 580, 3)
    plot = made.plot
    assert colour_at(drawn, 3, 3) == "f3f3f3"
    found = {bytes(one).hex() for one in drawn[plot.top : plot.bottom, plot.left : plot.right].reshape(-1, 3)}
    assert {"ffffff", "4bdb4b", "0000ff"} <= found


def test_areas_and_lines_are_drawn_where_the_layout_says() -> None:
    made = picture()
    drawn = pixels(made)
    area, line = made.shapes
    x = made.plot.left + 10
    top = area.points[0, 1]
    assert colour_at(drawn, x, int(top) + 2) != colour_at(drawn, x, int(top) - 2)
    assert colour_at(drawn, x, int(line.points[0, 1])) == "0000ff"
    assert colour_at(drawn, x, int(line.points[0, 1]) - 1) != "0000ff"
    assert colour_at(drawn, x, int(line.points[0, 1]) + 1) != "0000ff"


def test_nothing_is_drawn_outside_the_plot() -> None:
    graph = Graph("g", "", Area("tx", colour="ff0000"), Line("rx", colour="0000ff"), upper=2e6, rigid=True)
    made = picture(graph)
    drawn = pixels(made)[:, :, :3].astype(int)
    drawn[made.plot.top : made.plot.bottom, made.plot.left : made.plot.right] = 0
    drawn[made.plot.bottom + 1 :] = 0  # the legend's boxes
    assert not ((drawn[:, :, 0] - drawn[:, :, 1]) > 60).any()
    assert not ((drawn[:, :, 2] - drawn[:, :, 1]) > 60).any()


def test_stacked_areas_meet_without_a_seam() -> None:
    graph = Graph("g", "", *(Stack("a", colour="336699") for _ in range(5)), upper=100)
    made = layout(graph, {"a": np.linspace(3, 19, 300)}, start=0, end=300, step=1, width=580, height=203)
    drawn = pixels(made)
    for x in range(made.plot.left + 1, made.plot.right - 1, 7):
        column = [colour_at(drawn, x, y) for y in range(made.plot.top, made.plot.bottom)]
        first = column.index("336699")
        assert set(column[first:]) == {"336699"}


def test_text_is_drawn_in_its_place_and_nowhere_else() -> None:
    made = picture()
    drawn = pixels(made)
    title = made.texts[0]
    box = title.box
    part = drawn[box.top : box.bottom, box.left : box.right, 0]
    assert part.min() < 80
    assert (drawn[box.top : box.bottom, box.right + 5 : -5, 0] > 0xC0).all()


@pytest.mark.parametrize("text", ["日本語", "😀", "e\u0301\u200b", "\u202eabc", "\ud800", "\U0010ffff", ""])
def test_any_character_is_drawn_or_replaced_by_a_box(text: str) -> None:
    assert image(text, Font(11)).shape[0] == Font(11).line
    assert render(picture(title=text)).startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["配", "サ", "트", "流"])
def test_a_wide_character_is_no_box_when_a_font_has_it(text: str) -> None:
    if find(text) is None:
        pytest.skip(f"no font of this machine has {text}: Debian's fonts-noto-cjk has it")
    ink = image(text, Font(12))
    assert len(np.unique(ink)) > 5  # a box has two shades
    columns = np.flatnonzero(ink.any(axis=0))
    assert ink.shape[1] == 2 * Font(12).advance
    assert columns[-1] - columns[0] >= 6
    assert abs((columns[0] + columns[-1]) / 2 - (ink.shape[1] - 1) / 2) <= 2


def test_fonts_are_found_by_the_names_of_their_files(tmp_path: Path) -> None:
    for place in ("opentype/noto/NotoSansCJK-Regular.ttc", "truetype/nanum/NanumGothic.ttf", "a/NotoSansCJK-Bold.ttc"):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        file.write_bytes(NARROW[0].read_bytes())
    found = installed((tmp_path, tmp_path / "nowhere"))
    assert [path.name for path in found] == ["NotoSansCJK-Regular.ttc", "NanumGothic.ttf"]


def test_letters_keep_their_places() -> None:
    font = Font(11)
    one, three = image("l", font), image("lll", font)
    assert three.shape == (font.line, 3 * font.advance)
    assert (three == np.hstack([one, one, one])).all()
    high, low = (np.flatnonzero(image(letter, font).any(axis=1)) for letter in ("T", "g"))
    assert high[0] < low[0]
    assert high[-1] < low[-1] < font.line


def test_threads_draw_the_same_picture_side_by_side() -> None:
    made = [picture(title=f"graph {i} üß漢", zoom=1 + i % 2) for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(render, made))
    assert together == [render(one) for one in made]


def test_few_colours_make_a_palette_and_many_do_not() -> None:
    few = np.full((40, 60, 4), 255, dtype=np.uint8)
    few[10:20, 10:50, :3] = (75, 219, 75)
    few[20:30, 10:50, :3] = (0xF3, 0xF3, 0xF3)
    assert encode(few)[25] == png.PALETTE
    assert (decode(encode(few)) == few[:, :, :3]).all()
    many = np.random.default_rng(1).integers(0, 255, (64, 64, 4), dtype=np.uint8)
    assert encode(many)[25] == png.RGB
    assert (decode(encode(many)) == many[:, :, :3]).all()


def test_colours_of_edges_change_by_less_than_the_eye_sees() -> None:
    ramp = np.full((8, 256, 4), 255, dtype=np.uint8)
    ramp[:, :, 0] = ramp[:, :, 1] = np.arange(256)
    assert np.abs(decode(encode(ramp)).astype(int) - ramp[:, :, :3]).max() <= 7


def test_rendering_loads_no_figures_and_searches_no_fonts() -> None:
    code = "import sys, monitor.graph.layout, monitor.graph.render; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"matplotlib.pyplot", "matplotlib.figure", "matplotlib.font_manager", "matplotlib.backend_bases"}
    assert not heavy & set(loaded)


def drawn(shape: Fill | Stroke, width: int = 30, height: int = 20) -> np.ndarray:
    plot = Rect(5, 4, width - 5, height - 4)
    made = replace(picture(), width=width, height=height, plot=plot, boxes=(), frame=(), texts=(), shapes=(shape,))
    return pixels(made)[:, :, :3].astype(int)


@given(
    st.lists(st.floats(-5, 25) | st.just(math.nan), min_size=1, max_size=60),
    st.floats(-5, 25),
    st.sampled_from(["336699", "33669980"]),
)
@settings(max_examples=66, deadline=None)
def test_even_areas_are_drawn_as_a_general_rasteriser_draws_them(
    values: list[float], bottom: float, shade: str
) -> None:
    columns = Columns.of(len(values), 5, 20, len(values), 1)
    top = columns.largest(np.array(values))
    low = np.full(len(top), float(round(bottom)))
    points = polygon(columns, np.where(np.isfinite(top), top, low), low)
    even, general = drawn(Fill(points, colour(shade), even=True)), drawn(Fill(points, colour(shade)))
    assert np.abs(even - general).max() <= 4


@given(st.lists(st.integers(-3, 22) | st.none(), min_size=1, max_size=60), st.sampled_from([1, 2, 3]))
@settings(max_examples=66, deadline=None)
def test_an_even_line_passes_through_all_values_without_a_hole(values: list[int | None], width: int) -> None:
    wanted = np.array([math.nan if value is None else value + 0.5 for value in values])
    columns = Columns.of(len(values), 5, 20, len(values), 1)
    points = polyline(columns, *columns.ends(wanted), shortest=3)
    found = (drawn(Stroke(points, colour("000000"), width, even=True)) == 0).all(axis=2)
    assert not found[:4].any()
    assert not found[16:].any()
    pairs = points.reshape(-1, 2, 2)
    for i, ((x, y), (_, leave)) in enumerate(pairs):
        if math.isfinite(y) and 5 <= x < 25:
            follows = i and math.isfinite(pairs[i - 1, 1, 1])
            ends = [y, leave, pairs[i - 1, 1, 1] if follows else y]
            column = found[max(4, int(min(ends))) : max(4, min(16, int(max(ends)) + 1)), int(x)]
            assert column.all()


@pytest.mark.parametrize("shades", [3, 100_000])
def test_a_picture_of_many_bands_is_one_picture(shades: int) -> None:
    many = np.full((700, 900, 4), 255, dtype=np.uint8)
    many[:, :, :3] = (
        np.random.default_rng(1).integers(0, 255, (shades, 3))[np.arange(700 * 900) % shades].reshape(700, 900, 3)
    )
    assert many.size // 4 > 2 * png.BAND
    assert (decode(encode(many)) == many[:, :, :3]).all()


def test_a_colour_is_laid_over_pixels_as_the_channels_alone_would_be() -> None:
    chance = np.random.default_rng(1)
    for _ in range(200):
        words = chance.integers(0, 2**32, 500, dtype=np.uint32)
        colour = Colour(*map(int, chance.integers(0, 256, 4)))
        below = words.view(np.uint8).reshape(-1, 4).astype(int)
        above = np.array([*colour[:3], 255])
        mixed = (below * (255 - colour.alpha) + above * colour.alpha + 127) // 255
        np.testing.assert_array_equal(_mixed(words, colour).view(np.uint8).reshape(-1, 4), mixed)
