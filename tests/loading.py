"""Loads configurations for tests: with the plug-ins of tests/config alone, on a host called `own`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.config import Config, load
from monitor.registry import Registry

FOLDER = Path(__file__).parent / "config"
PLUGINS = FOLDER / "plugins"


def plugins(collectors: Sequence[Path], handlers: Sequence[Path]) -> Registry:
    return Registry([PLUGINS / "collectors", *collectors], [PLUGINS / "handlers", *handlers], built_in=False)


def loaded(*files: Path, **options: Any) -> Config:
    options.setdefault("find_hostname", lambda method, given: given or "own")
    environ = options.pop("environ", {})
    return load(files, environ, options.pop("overrides", None), find_plugins=plugins, **options)
