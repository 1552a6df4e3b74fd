"""Files that the log goes to beside stdout, as the sections [handler_NAME] of Python's logging describe them."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from monitor.log import LogFile
from monitor.options import Field, Option

Level = Literal["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "NOTSET"]
FILE_CLASSES: Mapping[str, tuple[str, ...]] = {
    "TimedRotatingFileHandler": ("filename", "when", "interval", "backupCount", "encoding"),
    "RotatingFileHandler": ("filename", "mode", "maxBytes", "backupCount", "encoding"),
    "FileHandler": ("filename", "mode", "encoding"),
    "WatchedFileHandler": ("filename", "mode", "encoding"),
}
ALREADY = ("StreamHandler", "NullHandler")
"""Classes that ask for nothing: the log goes to stdout anyway."""
WHEN = ("S", "M", "H", "D", "MIDNIGHT", *(f"W{day}" for day in range(7)))

FILE_FIELDS = {
    "class": Field("class", str, Option("handlers.TimedRotatingFileHandler", f"one of {', '.join(FILE_CLASSES)}")),
    "args": Field("args", str, Option("()", "its arguments in Python: ('/var/log/monitor.log', 'midnight', 1, 7)")),
    "level": Field("level", Level, Option("NOTSET", "write what is at least this grave")),
}
LOGGER_FIELDS = {
    "level": Field("level", Level, Option("NOTSET", "log what is at least this grave")),
    "qualname": Field("qualname", str, Option("", "part of the program, such as runner; diamond is all of it")),
}


def file(values: Mapping[str, Any]) -> LogFile | None:
    """Return the file that a section asks for, None when it asks for none; ValueError says what is wrong with it."""
    name = str(values.get("class", FILE_FIELDS["class"].option.default)).rpartition(".")[2]
    if name in ALREADY:
        return None
    if name not in FILE_CLASSES:
        raise LookupError(f"{name} is not written to; of Python's classes there are {', '.join(FILE_CLASSES)}")
    text = values.get("args", "()")
    try:
        given = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        given = None
    given = (given,) if isinstance(given, str) else given
    names = FILE_CLASSES[name]
    if not isinstance(given, tuple) or not 1 <= len(given) <= len(names):
        raise ValueError(f"expected ({', '.join(names)}), the first at least, got {text[:80]!r}")
    options = dict(zip(names, given, strict=False))
    for key, value in options.items():
        least = {"interval": 1, "maxBytes": 0, "backupCount": 0}.get(key)
        if least is None and not isinstance(value, str):
            raise ValueError(f"expected a text as {key}, got {str(value)[:80]!r}")
        if least is not None and not (isinstance(value, int) and least <= value <= 1 << 40):
            raise ValueError(f"expected a whole number, at least {least}, as {key}, got {str(value)[:80]!r}")
    if not options["filename"] or "\0" in options["filename"]:
        raise ValueError("expected the path of a file")
    if str(options.get("when", "H")).upper() not in WHEN:
        raise ValueError(f"expected one of {', '.join(WHEN)} as when, got {options['when'][:80]!r}")
    if options.get("mode", "a") not in ("a", "w"):
        raise ValueError(f"expected a or w as mode, got {options['mode'][:80]!r}")
    try:
        "".encode(options.get("encoding", "utf-8"))
    except LookupError:
        raise ValueError(f"expected an encoding such as utf-8, got {options['encoding'][:80]!r}") from None
    path = Path(options.pop("filename"))
    return LogFile(path, name, tuple(options.items()), str(values.get("level", "NOTSET")))


def part(name: str) -> str:
    """Return the part of the program that a logger's name is of; Diamond's own and the root are all of it."""
    first = name.partition(".")[0]
    return "" if first in ("", "root", "diamond") or name == "monitor" else name.removeprefix("monitor.")


def unwritable(path: Path) -> str:
    """Return why a file cannot be written to, as far as that can be seen; '' when nothing speaks against it."""
    if path.is_dir():
        return "is a directory"
    if not path.parent.is_dir():
        return f"the directory {path.parent} is not there"
    return "" if os.access(path if path.exists() else path.parent, os.W_OK) else "may not be written"
