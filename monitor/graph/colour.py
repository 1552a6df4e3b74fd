"""Colours: as they are written in graphs, and those given to items that name none."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """Red, green, blue and opacity, each 0 to 255."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    def __str__(self) -> str:
        return "".join(f"{part:02x}" for part in (self if self.alpha < 255 else self[:3]))

    def on_white(self) -> Colour:
        """Return it as it looks on white."""
        return Colour(*(round(255 - (255 - part) * self.alpha / 255) for part in self[:3]))


def colour(text: str) -> Colour:
    """Read RRGGBB or RRGGBBAA in hex, a leading # allowed; ValueError otherwise."""
    digits = text.removeprefix("#")
    try:
        parts = bytes.fromhex(digits)
    except ValueError:
        parts = b""
    if len(parts) not in (3, 4) or len(digits) != 2 * len(parts):
        raise ValueError(f"expected a colour as RRGGBB or RRGGBBAA, got {text[:20]!r}")
    return Colour(*parts)


# Told apart by people with any of the common colour deficiencies, and dark enough for a thin line on white.
PALETTE = tuple(
    map(
        colour,
        ("0072b2", "e69f00", "009e73", "d55e00", "cc79a7", "56b4e9", "7f7f7f", "8c6d31", "44338a", "b0a800"),
    )
)


def nth(number: int) -> Colour:
    """Return the palette's colour of this number; when all are used they come again lighter, then darker, and so on."""
    turn, place = divmod(number, len(PALETTE))
    shade = PALETTE[place]
    if turn % 3 == 1:
        return Colour(*(part + (255 - part) * 55 // 100 for part in shade[:3]))
    return Colour(*(part * 55 // 100 for part in shade[:3])) if turn % 3 == 2 else shade
