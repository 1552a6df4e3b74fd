"""Processes of this machine, from /proc/PID."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import NamedTuple

from monitor.collector import CollectError

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
IO = {"syscr": "read_count", "syscw": "write_count", "read_bytes": "read_bytes", "write_bytes": "write_bytes"}
SWITCHES = {"voluntary_ctxt_switches": "voluntary", "nonvoluntary_ctxt_switches": "involuntary"}
MEMORY = ("vms", "rss", "shared", "text", "lib", "data", "dirty")


class Stat(NamedTuple):
    """A process as /proc/PID/stat has it; times in ticks, the start since that of the machine."""

    name: str
    user: int
    system: int
    children_user: int
    children_system: int
    threads: int
    start: int


def parse(text: str) -> Stat:
    """Return the fields of /proc/PID/stat. A process may have blanks and brackets in its name."""
    name, _, rest = text.partition("(")[2].rpartition(")")
    words = rest.split()
    try:
        return Stat(name, *map(int, [*words[11:15], words[17], words[19]]))
    except (IndexError, ValueError, TypeError):
        raise CollectError(f"expected 'PID (NAME) S …' in a process's stat, got {text[:80]!r}") from None


def counts(text: str) -> dict[str, int]:
    """Return the lines 'name: count' of a file."""
    found = re.findall(r"^(\w+):\s+(\d+)\b", text, re.MULTILINE)
    return {name: int(count) for name, count in found}


def exe(folder: Path) -> str:
    try:
        return str((folder / "exe").readlink())
    except OSError:  # a thread of the kernel, or another user's
        return ""


def cmdline(folder: Path) -> str:
    with (folder / "cmdline").open(errors="replace") as file:
        return file.read(65536).replace("\0", " ").strip()


def used(folder: Path, stat: Stat) -> dict[str, float]:
    """Return what one process uses, by Diamond's names; NaN where it cannot be read."""
    found: dict[str, float] = {f"cpu_times.{name}": getattr(stat, name) / TICKS for name in stat._fields[1:5]}
    found["num_threads"] = stat.threads
    pages = map(int, (folder / "statm").read_text().split())
    found.update({f"memory_info_ex.{name}": PAGE * count for name, count in zip(MEMORY, pages, strict=True)})
    status = counts((folder / "status").read_text(errors="replace"))
    found.update({f"num_ctx_switches.{name}": status.get(word, math.nan) for word, name in SWITCHES.items()})
    try:
        io = counts((folder / "io").read_text())
    except PermissionError:
        io = {}
    found.update({f"io_counters.{name}": io.get(word, math.nan) for word, name in IO.items()})
    try:
        found["num_fds"] = sum(1 for _ in (folder / "fd").iterdir())
    except PermissionError:
        found["num_fds"] = math.nan
    return found
