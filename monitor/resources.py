"""Files that come with the code: beside the packages in a checkout, inside `monitor` when it is installed."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Return the directory of this name: migrations or static."""
    installed = HERE / name
    return installed if installed.is_dir() else HERE.parent / name
