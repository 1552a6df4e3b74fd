"""Pictures become PNGs: shapes by matplotlib's Agg renderer, without its figures; texts from cached glyphs."""

from __future__ import annotations

import numpy as np
from matplotlib.backends._backend_agg import RendererAgg  # type: ignore[attr-defined]
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.graph.colour import Colour
from monitor.graph.glyph import image
from monitor.graph.picture import Box, Fill, Picture, Rect, Stroke, Text
from monitor.graph.png import encode

Pixels = NDArray[np.uint8]


def render(picture: Picture) -> bytes:
    """Return the picture as a PNG. Threads may call it side by side; it takes a few milliseconds of one core."""
    return encode(pixels(picture))


def pixels(picture: Picture) -> Pixels:
    """Return the picture as RGBA, an array of (height, width, 4)."""
    agg = RendererAgg(picture.width, picture.height, 72)
    drawn: Pixels = np.asarray(agg)
    drawn[:] = picture.background
    for box in picture.boxes:
        _box(drawn, box)
    for shape in picture.shapes:
        _shape(agg, picture, shape)
    for box in picture.frame:
        _box(drawn, box)
    for text in picture.texts:
        _text(drawn, text)
    return drawn


def _box(drawn: Pixels, box: Box) -> None:
    left, top, right, bottom = box.rect
    drawn[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = box.colour


def _text(drawn: Pixels, text: Text) -> None:
    ink = image(text.text, text.font)
    left, top, _, _ = text.box
    if text.upright:
        ink = ink.T[::-1]
    cut_left, cut_top = max(0, -left), max(0, -top)
    part = drawn[top + cut_top : top + ink.shape[0], left + cut_left : left + ink.shape[1], :3]
    ink = ink[cut_top : cut_top + part.shape[0], cut_left : cut_left + part.shape[1], None]
    if not part.size:
        return
    wanted = np.array(text.colour[:3], dtype=np.int32)
    part[:] = part + (wanted - part) * ink.astype(np.int32) // 255


def _shape(agg: RendererAgg, picture: Picture, shape: Fill | Stroke) -> None:
    if not len(shape.points):
        return
    path = _Path(shape.points, picture.height)
    if isinstance(shape, Fill):
        agg.draw_path(_Pen(picture, shape.colour, 0.0), path, None, _unit(shape.colour))
    else:
        agg.draw_path(_Pen(picture, shape.colour, shape.width), path, None, None)


def _unit(colour: Colour) -> tuple[float, ...]:
    return tuple(part / 255 for part in colour)


class _Path:
    """What the renderer reads of a path; its y axis points upwards."""

    codes = None
    should_simplify = False
    simplify_threshold = 0.0

    def __init__(self, points: Floats, height: int) -> None:
        self.vertices = np.column_stack((points[:, 0], height - points[:, 1]))


class _Pen:
    """What the renderer reads of a graphics context: matplotlib's own would load all of its figures."""

    _alpha = 1.0
    _forced_alpha = False
    _antialiased = True
    _capstyle = "butt"
    _joinstyle = "bevel"

    def __init__(self, picture: Picture, colour: Colour, width: float) -> None:
        self._rgb = _unit(colour)
        self._linewidth = width
        self._cliprect = _clip(picture.plot, picture.height)

    def get_dashes(self) -> tuple[float, None]:
        return 0.0, None

    def get_clip_path(self) -> tuple[None, None]:
        return None, None

    def get_snap(self) -> bool:
        return False

    def get_hatch_path(self) -> None:
        return None

    def get_hatch_color(self) -> tuple[float, ...]:
        return (0.0, 0.0, 0.0, 1.0)

    def get_hatch_linewidth(self) -> float:
        return 1.0

    def get_sketch_params(self) -> None:
        return None


def _clip(plot: Rect, height: int) -> Floats:
    return np.array([[plot.left, height - plot.bottom], [plot.right, height - plot.top]], dtype=np.float64)
