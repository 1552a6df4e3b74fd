"""Logs as key=value lines on stdout: `time=… level=… part=… event=… host=…`, one event a line, no secrets in it."""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from monitor.options import masked

BARE = re.compile(r"[^\s\"'=\\]+")
SECRET = re.compile(r"passw|token|secret|authorization|api_?key", re.IGNORECASE)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LONGEST = 2000
ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


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


def setup(level: str = "INFO", parts: Mapping[str, str] | None = None, *, stream: TextIO | None = None) -> None:
    """Send everything of at least this level to the stream (stdout); `parts` gives modules levels of their own."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, Formatter)]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(Formatter())
    root.addHandler(handler)
    root.setLevel({"WARN": "WARNING"}.get(level, level))
    for part, its in (parts or {}).items():
        logging.getLogger(f"monitor.{part}").setLevel(its)
