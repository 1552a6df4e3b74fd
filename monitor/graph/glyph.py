"""Text as coverage: the bundled monospaced font, drawn by matplotlib's font engine, character by character."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags
from numpy.typing import NDArray

from monitor.graph.picture import Font, cell

Coverage = NDArray[np.uint8]
BUNDLED = Path(matplotlib.get_data_path(), "fonts", "ttf")
BOLD, NARROW = BUNDLED / "DejaVuSansMono-Bold.ttf", (BUNDLED / "DejaVuSansMono.ttf", BUNDLED / "DejaVuSans.ttf")
FONTS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
# Fonts for what the bundled ones lack, in the order of preference: the beginnings of their files' names.
FALLBACKS = (
    "NotoSansMonoCJK", "NotoSansCJK", "SourceHanSans", "ipag.", "ipaexg.", "VL-Gothic-Regular", "TakaoGothic",
    "NanumGothicCoding.", "NanumGothic.", "UnDotum.", "wqy-zenhei", "wqy-microhei", "DroidSansFallbackFull",
    "NotoSans-Regular", "unifont",
)  # fmt: skip
WIDE = 0.95  # of two cells: how large a wide character is
ASCENT = 0.97  # of the size: how far the base line lies below the top of the line

# A font holds the glyph it drew last, so that one thread at a time may use the fonts.
_drawing = threading.Lock()


@lru_cache(maxsize=2048)
def image(text: str, font: Font) -> Coverage:
    """Return how much of each pixel of a line of text is ink, 0 to 255; the array is `font.line` high."""
    advance = font.advance
    cells = [(character, cell(character)) for character in text]
    drawn = np.zeros((font.line, advance * sum(size for _, size in cells)), dtype=np.uint8)
    x = 0
    for character, size in cells:
        glyph = _glyph(character, font, size)
        # what joins the character before it is drawn over that
        at = x if size else max(0, x - advance)
        part = drawn[:, at : at + glyph.shape[1]]
        np.maximum(part, glyph[:, : part.shape[1]], out=part)
        x += size * advance
    drawn.flags.writeable = False
    return drawn


@lru_cache(maxsize=8192)
def _glyph(character: str, font: Font, size: int) -> Coverage:
    """Return a character, cut to its cells."""
    image = np.zeros((font.line, font.advance * max(1, size)), dtype=np.uint8)
    if character.isspace():
        return image
    with _drawing:
        face = _face(character, font)
        if face is None:
            return _missing(image)
        # a wide one fills the cells of two letters
        face.set_size(round(WIDE * image.shape[1]) if size > 1 else font.size, 72)
        face.set_text(character, 0.0, LoadFlags.FORCE_AUTOHINT)
        face.draw_glyphs_to_bitmap(antialiased=True)
        ink = np.asarray(face.get_image())
        descent = face.get_descent() / 64
        metrics = face.load_char(ord(character), LoadFlags.FORCE_AUTOHINT)
    left = metrics.horiBearingX / 64
    if size > 1:
        left += max(0.0, (image.shape[1] - metrics.horiAdvance / 64) / 2)
    top = round(font.size * ASCENT) - (ink.shape[0] - round(descent))
    # a glyph that is higher than the line is moved into it, then cut
    top = max(0, min(top, font.line - ink.shape[0]))
    x = max(0, round(left))
    ink = ink[: font.line - top, : image.shape[1] - x]
    image[top : top + ink.shape[0], x : x + ink.shape[1]] = ink
    return image


def _missing(image: Coverage) -> Coverage:
    """Return an empty box for a character that no font has."""
    height, width = image.shape
    top, bottom, right = height // 5, height - height // 5, max(1, width - 1)
    image[top:bottom, :right] = 160
    image[top + 1 : bottom - 1, 1 : right - 1] = 0
    return image


def _face(character: str, font: Font) -> FT2Font | None:
    first = _open(BOLD if font.bold else NARROW[0])
    code = ord(character)
    if first.get_char_index(code):
        return first
    others = (_open(path) for path in (NARROW[1], *installed(FONTS)))
    return next((face for face in others if face.get_char_index(code)), None)


def find(character: str) -> Path | None:
    """Return the font in which a character is drawn; None if it is drawn as a box."""
    with _drawing:
        face = _face(character, Font(12))
        return None if face is None else Path(str(face.fname))


@lru_cache(maxsize=4)
def installed(roots: tuple[Path, ...]) -> tuple[Path, ...]:
    """Find the fonts for what the bundled ones lack, once: reading directories takes a few milliseconds."""
    found: dict[str, Path] = {}
    for root in roots:
        for directory, _, files in os.walk(root):
            for file in files:
                if file.endswith((".ttf", ".ttc", ".otf")) and "Bold" not in file:
                    name = next((name for name in FALLBACKS if file.startswith(name)), None)
                    if name:
                        found.setdefault(name, Path(directory, file))
    return tuple(found[name] for name in FALLBACKS if name in found)


def warm() -> None:
    """Find and open the fonts, so that no picture waits for the file system."""
    with _drawing:
        for path in (*NARROW, *installed(FONTS)):
            _open(path)


@lru_cache(maxsize=16)
def _open(path: Path) -> FT2Font:
    return FT2Font(str(path), hinting_factor=1)
