"""Pictures become PNGs: columns of pixels as they are, other shapes by matplotlib's Agg, texts from cached glyphs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib.backends._backend_agg import RendererAgg  # type: ignore[attr-defined]
from numpy.typing import NDArray

from monitor.batch import Floats
from monitor.graph.colour import Colour
from monitor.graph.glyph import image
from monitor.graph.picture import Box, Fill, Picture, Rect, Stroke, Text
from monitor.graph.png import encode
from monitor.graph.raster import draw_area, draw_line

Pixels = NDArray[np.uint8]
Words = NDArray[np.uint32]
Dashes = tuple[float, list[float] | None]
MOST_DASHES = 32


def render(picture: Picture) -> bytes:
    """Return the picture as a PNG. Threads may call it side by side; it takes a few milliseconds of one core."""
    return encode(pixels(picture))


def pixels(picture: Picture) -> Pixels:
    """Return the picture as RGBA, an array of (height, width, 4)."""
    agg = None if all(shape.even for shape in picture.shapes) else RendererAgg(picture.width, picture.height, 72)
    drawn: Pixels = np.empty((picture.height, picture.width, 4), dtype=np.uint8) if agg is None else np.asarray(agg)
    words: Words = drawn.view("<u4")[:, :, 0]
    words[:] = _word(picture.background)
    for box in picture.boxes:
        _box(words, box)
    for shape in picture.shapes:
        if shape.even and isinstance(shape, Fill):
            draw_area(drawn, picture.plot, shape)
        elif shape.even and isinstance(shape, Stroke):
            draw_line(drawn, picture.plot, shape)
        elif agg is not None:
            _shape(agg, picture, shape)
    for box in picture.frame:
        _box(words, box)
    for text in picture.texts:
        _text(drawn, words, text, picture)
    return drawn


def _word(colour: Colour) -> int:
    return colour.red | colour.green << 8 | colour.blue << 16 | 0xFF << 24


def _box(words: Words, box: Box) -> None:
    left, top, right, bottom = box.rect
    words[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = _word(box.colour)


def _text(drawn: Pixels, words: Words, text: Text, picture: Picture) -> None:
    ink = image(text.text, text.font)
    if text.upright:
        ink = ink.T[::-1]
    box = text.box
    left, top = max(0, box.left), max(0, box.top)
    ink = ink[top - box.top : picture.height - box.top, left - box.left : picture.width - box.left]
    if not ink.size:
        return
    place = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
    if _outside(box, picture.plot):
        words[place] = _blends(text.colour, picture.background)[ink]
    else:
        below = drawn[place][:, :, :3]
        above = np.array(text.colour[:3], dtype=np.int32)
        drawn[place][:, :, :3] = below + (above - below) * ink[:, :, None].astype(np.int32) // 255


def _outside(box: Rect, plot: Rect) -> bool:
    return box.right <= plot.left or box.left >= plot.right or box.bottom <= plot.top or box.top > plot.bottom


@lru_cache(maxsize=32)
def _blends(above: Colour, below: Colour) -> Words:
    """Return the colours of every coverage of an even surface."""
    ink = np.arange(256)
    parts = [low + (high - low) * ink // 255 for high, low in zip(above[:3], below[:3], strict=True)]
    return (parts[0] | parts[1] << 8 | parts[2] << 16 | 0xFF << 24).astype("<u4")


def _shape(agg: RendererAgg, picture: Picture, shape: Fill | Stroke) -> None:
    if not len(shape.points):
        return
    path = _Path(shape.points, picture.height)
    if isinstance(shape, Fill):
        agg.draw_path(_Pen(picture, shape.colour, 0.0), path, None, _unit(shape.colour))
    else:
        agg.draw_path(_Pen(picture, shape.colour, shape.width, _dashes(shape)), path, None, None)


def _dashes(shape: Stroke) -> Dashes:
    """Return how a line is dashed; a list of odd length is used twice, so that on and off take turns."""
    lengths = [max(0.1, length) for length in shape.dashes[:MOST_DASHES]]
    if not lengths:
        return 0.0, None
    return shape.dash_offset, lengths * (1 + len(lengths) % 2)


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

    def __init__(self, picture: Picture, colour: Colour, width: float, dashes: Dashes = (0.0, None)) -> None:
        self._rgb = _unit(colour)
        self._linewidth = width
        self._dashes = dashes
        self._cliprect = _clip(picture.plot, picture.height)

    def get_dashes(self) -> Dashes:
        return self._dashes

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
