"""How graphs look: colours and measures."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.graph.colour import colour
from monitor.graph.picture import Font

BACKGROUND = colour("f3f3f3")
CANVAS = colour("ffffff")
EDGE = colour("cfcfcf")
AXIS = colour("8c8c8c")
MINOR = colour("f0f0f0")
MAJOR = colour("dcdcdc")
RULE = colour("e8b4b4")
INK = colour("1f1f1f")
SOFT_INK = colour("595959")
PEAK = colour("ff00ff")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Measures of a picture, in its pixels."""

    zoom: float

    def px(self, pixels: float) -> int:
        return max(1, round(pixels * self.zoom))

    @property
    def gap(self) -> int:
        return self.px(4)

    @property
    def margin(self) -> int:
        """What lies around the plot of a picture that has no room for labels."""
        return self.px(5)

    @property
    def title(self) -> Font:
        return Font(self.px(12))

    @property
    def axis(self) -> Font:
        return Font(self.px(11))

    @property
    def legend(self) -> tuple[Font, Font]:
        return Font(self.px(11)), Font(self.px(10))
