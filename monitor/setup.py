"""What `monitor setup WORD` brings to the target of a handler beforehand, such as a template or a dashboard.

    class Setup…(Setup):
        \"\"\"The first line is the command's help.\"\"\"

        shards: int = option(1, "shards of an index", min=1)

        async def run(self, *, dry: bool) -> AsyncIterator[str]:
            yield "template sorabeat: created"

A handler says in `setups` which words it offers. To run one twice is to change nothing the second time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from monitor.options import set_options


class SetupError(Exception):
    """The target refuses what is set up; the text is what the operator reads, and holds no secret."""


class SetupAwayError(SetupError):
    """The target does not answer."""


class Setup:
    """Annotated fields are options of the command: `--fields-limit` is `fields_limit`, a secret one `--NAME-file`."""

    def __init__(self, handler: Any, **options: Any) -> None:
        """`handler` is the configured one, not opened; what it says of the target is where to begin."""
        self.handler = handler
        set_options(self, options)

    def run(self, *, dry: bool) -> AsyncIterator[str]:
        """Set up and tell what was done, line by line; with `dry` change nothing and tell what would be done."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def printed(self) -> str:
        """Return what is brought, as the files that one could bring by hand."""
        raise NotImplementedError(f"{type(self).__name__} has no printed()")


Setups = Mapping[str, type[Setup]]
