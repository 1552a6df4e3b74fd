"""`monitor setup WORD`: runs what a handler offers under the word, with options of its own."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.handler import Handler, Setup, SetupAwayError, SetupError
from monitor.naming import Paths
from monitor.options import Field, options_of
from monitor.registry import Registry
from monitor.values import describe, parse, render

OK, FAILURE, USAGE, UNAVAILABLE = 0, 1, 2, 69
MOST_SECRET = 64 << 10


def words(registry: Registry) -> dict[str, type[Handler]]:
    """Return the words that handlers offer, each with the handler's class."""
    return {word: cls for cls in registry.handlers.values() for word in cls.setups}


def known(registry: Registry) -> str:
    """Return the words with what they do, for people."""
    found = words(registry)
    width = max(map(len, found), default=0)
    return "\n".join(f"  {word:{width}}  {about(cls.setups[word])}" for word, cls in sorted(found.items()))


def about(cls: type[Setup]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def parser(word: str, cls: type[Setup], parents: Sequence[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Return the parser of a word's own options."""
    made = argparse.ArgumentParser(
        prog=f"monitor setup {word}", description=about(cls), parents=list(parents), argument_default=None
    )
    made.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done")
    made.add_argument("--print", dest="printing", action="store_true", help="print what is brought, and ask nobody")
    for field in options_of(cls).values():
        flag = f"--{field.name.replace('_', '-')}"
        default = "" if field.option.default in ("", None) else f" (default {render(field.type, field.option.default)})"
        text = f"{field.option.help}{default}".replace("%", "%%")
        if field.option.secret:
            made.add_argument(f"{flag}-file", metavar="FILE", dest=field.name, help=f"file with it: {text}")
        elif field.type is bool:
            made.add_argument(flag, dest=field.name, action="store_const", const="True", help=text)
        else:
            made.add_argument(flag, dest=field.name, metavar=field.name.upper(), help=text)
    return made


def values(cls: type[Setup], options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, of their types; SetupError says what is wrong with one."""
    found: dict[str, Any] = {}
    for field in options_of(cls).values():
        text = getattr(options, field.name)
        if text is not None:
            found[field.name] = _value(field, text)
    return found


def _value(field: Field, text: str) -> Any:
    flag = f"--{field.name.replace('_', '-')}"
    if field.option.secret:
        try:
            with Path(text).open("rb") as file:
                return file.read(MOST_SECRET).decode().strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SetupError(f"{flag}-file: {text} cannot be read: {why}") from error
    try:
        return parse(field, text, literal=True)
    except ValueError as error:
        raise SetupError(f"{flag}: expected {describe(field)}, got {text[:80]!r}") from error


def made(config: Config, cls: type[Handler], word: str, options: argparse.Namespace) -> Setup:
    """Return what is to be run, for the handler as it is configured, else as it is by default."""
    spec = next((one for one in (*config.handlers, config.store) if one.cls is cls), None)
    if spec is None and not options.printing:
        print(f"note: {cls.__name__} is not in [server] handlers; its defaults are used", file=sys.stderr)
    own = values(cls.setups[word], options)
    handler = cls(cls.__name__, Paths(config.inventory), **(spec.options if spec else {}))
    return cls.setups[word](handler, **own)


def command(config: Config, cls: type[Handler], word: str, options: argparse.Namespace) -> int:
    """Run a word with its options, or print what it would bring; return the exit code."""
    try:
        setup = made(config, cls, word, options)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    try:
        if options.printing:
            print(setup.printed(), end="")
        else:
            asyncio.run(_run(setup, dry=options.dry_run))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, SetupAwayError) else FAILURE
    return OK


async def _run(setup: Setup, *, dry: bool) -> None:
    async for line in setup.run(dry=dry):
        print(line, flush=True)
