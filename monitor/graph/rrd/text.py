r"""Texts of a definition: what `\t`, `\\` and the letter at the end (`\l`, `\r` …) mean."""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from monitor.graph.model import Ending

ENDINGS = frozenset("lrcjnsug")
LONGEST = 1000


class Text(NamedTuple):
    text: str
    ending: Ending


def read_text(written: str) -> Text:
    """Return what is written, and how its line ends."""
    if len(written) > LONGEST:
        raise ValueError(f"expected a text of at most {LONGEST} characters, got {len(written)}")
    ending = ""
    if re.search(r"\\[a-z.] +$", written):
        written = written.rstrip(" ")
    body = written.rstrip("\\")
    if (len(written) - len(body)) % 2:
        raise ValueError("expected a letter after the backslash at the end of a text")
    if body == written and len(written) > 1:
        before = written[:-1]
        if (len(before) - len(before.rstrip("\\"))) % 2 and written[-1] not in "t:":
            ending, written = written[-1].strip("."), before[:-1]
            if ending and ending not in ENDINGS:
                raise ValueError(rf"expected \l \r \c \j \n \s \u \g \t or \. at the end of a text, got \{ending}")
    return Text(
        re.sub(r"\\([\\t:])", lambda found: "\t" if found[1] == "t" else found[1], written), cast(Ending, ending)
    )
