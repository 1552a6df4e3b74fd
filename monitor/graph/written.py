"""A legend written by words: pieces of text in lines, as RRDtool places them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.graph.colour import Colour
from monitor.graph.legend import MARK, Block, mark
from monitor.graph.model import Align, Ending, Graph, Item, Words
from monitor.graph.picture import Box, Font, Text, cells, shortened
from monitor.graph.shapes import Drawn

BETWEEN = 2  # empty cells between two pieces
TAB = 6  # cells
ENDINGS: dict[str, Ending] = {"left": "l", "right": "r", "centre": "c", "justified": "j"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A text, with the coloured box of an item before it."""

    text: str
    ending: Ending
    colour: Colour | None = None
    side: Ending = "j"
    """How its line stands if that ends here without a letter that says so."""

    @property
    def width(self) -> int:
        return cells(self.text) + (MARK if self.colour else 0)


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces of one line, and how it ends."""

    pieces: tuple[Piece, ...]
    ending: Ending

    def width(self) -> int:
        """Return the cells of all pieces and of what is between them."""
        return sum(map(_taken, self.pieces[:-1])) + (self.pieces[-1].width if self.pieces else 0)


def pieces(graph: Graph, drawn: Sequence[Drawn], words: Sequence[str], hidden: frozenset[int]) -> list[Piece]:
    """Return what is written: `words` are the texts of the graph's words in their order, `hidden` the numbers of items
    that are left out."""
    side: Ending = "j"
    found: list[Piece] = []
    items, texts = iter(enumerate(drawn)), iter(words)
    for element in graph.items:
        if isinstance(element, Align):
            side = ENDINGS[element.side]
            next(texts, "")
        elif isinstance(element, Words):
            found.append(Piece(_clean(next(texts, ""), element.ending), element.ending, None, side))
        elif isinstance(element, Item):
            number, one = next(items)
            shown = element.visible and number not in hidden
            text = _clean(one.row.legend, element.ending) if shown else ""
            colour = one.colour if text else None
            found.append(Piece(text, element.ending, colour, side))
    return found


def _clean(text: str, ending: Ending) -> str:
    text = text.expandtabs(TAB)
    return text.rstrip(" ") if ending == "g" else text


def rows(found: Sequence[Piece], room: int) -> Iterator[Row]:
    """Yield the lines: each ends where a letter says so, where the next piece has no room, or with the last piece."""
    waiting: list[Piece] = []
    for number, piece in enumerate(found):
        if piece.text:
            if waiting and Row((*waiting, piece), "").width() > room:
                yield Row(tuple(waiting), piece.side)
                waiting = []
            waiting.append(piece)
        if piece.ending not in ("", "g"):
            yield Row(tuple(waiting), "l" if piece.ending == "n" else piece.ending)
            waiting = []
        elif waiting and number == len(found) - 1:
            yield Row(tuple(waiting), piece.side)


def write(found: Sequence[Piece], width: int, fonts: Sequence[Font], ink: Colour) -> Block:
    """Return the legend within `width` pixels, in the first of the fonts unless lines break less in a later one."""
    line = fonts[0].line
    laid = {font: list(rows(found, width // font.advance)) for font in fonts}
    font = min(fonts, key=lambda one: len(laid[one]))
    boxes: list[Box] = []
    texts: list[Text] = []
    y = lowest = 0
    for row in laid[font]:
        for x, piece in _placed(row, width, font):
            room = (width - x) // font.advance
            if piece.colour:
                boxes.append(mark(x, y, font, piece.colour))
                x, room = x + MARK * font.advance, room - MARK
            if text := shortened(piece.text, room):
                texts.append(Text(x, y, text, font, ink))
        if row.pieces:
            y += line
        lowest = max(lowest, y)
        if row.ending == "s":
            y += line // 2
        elif row.ending == "u":
            y = max(0, y - line)
    return Block(lowest, tuple(boxes), tuple(texts))


def _placed(row: Row, width: int, font: Font) -> Iterator[tuple[int, Piece]]:
    """Yield the pieces of a line with the pixel at which each begins."""
    rest = max(0, width - row.width() * font.advance)
    x, glue = 0.0, 0.0
    if row.ending == "r":
        x = rest
    elif row.ending == "c":
        x = rest / 2
    elif row.ending == "j" and len(row.pieces) > 1:
        glue = rest / (len(row.pieces) - 1)
    for piece in row.pieces:
        yield int(x), piece
        x += _taken(piece) * font.advance + glue


def _taken(piece: Piece) -> int:
    return piece.width + (0 if piece.ending == "g" else BETWEEN)
