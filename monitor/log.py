"""Logs as key=value lines on stdout, and in files: `time=… level=… part=… event=…`, one event a line, no secrets."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from monitor.options import masked

BARE = re.compile(r"[^\s\"'=\\]+")
SECRET = re.compile(r"passw|token|secret|authorization|api_?key", re.IGNORECASE)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LONGEST = 2000
ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file for the log: the class of Python's logging that writes it, with its options, and the least level."""

    path: Path
    cls: str
    options: tuple[tuple[str, Any], ...] = ()
    level: str = "NOTSET"

    def handler(self) -> logging.Handler:
        """Open the file; OSError when that does not work."""
        cls = getattr(logging.handlers, self.cls, None) or getattr(logging, self.cls)
        made: logging.Handler = cls(self.path, **{"encoding": "utf-8", **dict(self.options)})
        made.setLevel(self.level)
        return made


def quoted(value: Any) -> str:
    """Return a value as it stands in a line: bare where that is clear, otherwise in quotes and escaped."""
    text = masked(f"{value:.6g}" if isinstance(value, float) else str(value))
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if BARE.fullmatch(text) and text.isprintable():
        return text
    return '"' + "".join(ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


class Formatter(logging.Formatter):
    """Writes a record as one line of key=value; `extra={"fields": {...}}` are its fields."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        pairs: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "part": record.name.removeprefix("monitor."),
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        for name, value in fields.items() if isinstance(fields, Mapping) else ():
            pairs.setdefault(name, "********" if SECRET.search(name) else value)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            pairs.setdefault("error", f"{type(error).__name__}: {error}")
            pairs["traceback"] = "".join(traceback.format_tb(record.exc_info[2])[-5:])
        return " ".join(f"{name}={quoted(value)}" for name, value in pairs.items())


def parse_level(text: str) -> tuple[str, str]:
    """Read LEVEL or LEVEL:PART; return (level, part)."""
    level, _, part = text.partition(":")
    level = {"WARN": "WARNING"}.get(level.upper(), level.upper())
    if level not in LEVELS:
        raise ValueError(f"expected one of {', '.join(LEVELS)}, or LEVEL:PART such as DEBUG:runner; got {text[:40]!r}")
    return level, part.removeprefix("monitor.")


def setup(
    level: str = "INFO",
    parts: Mapping[str, str] | None = None,
    *,
    stream: TextIO | None = None,
    files: Sequence[LogFile] = (),
) -> None:
    """Send everything of at least this level to the stream (stdout) and to the files.

    `parts` gives modules levels of their own, '' all of them. A file that cannot be opened is told in the log.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, Formatter)]:
        root.removeHandler(handler)
        handler.close()
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stdout)]
    failed: list[tuple[Path, OSError]] = []
    for file in files:
        try:
            handlers.append(file.handler())
        except OSError as error:
            failed.append((file.path, error))
    for each in handlers:
        each.setFormatter(Formatter())
        root.addHandler(each)
    root.setLevel({"WARN": "WARNING"}.get(level, level))
    for part, its in (parts or {}).items():
        logging.getLogger(f"monitor.{part}".rstrip(".")).setLevel({"WARN": "WARNING"}.get(its, its))
    for path, why in failed:
        fields = {"path": path, "reason": why.strerror or str(why)}
        logging.getLogger("monitor.log").warning("log.file_failed", extra={"fields": fields})
