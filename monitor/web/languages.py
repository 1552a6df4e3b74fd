"""The language of a page: English, or Japanese for who prefers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitor.web.japanese import WORDS

CATALOGUES: Mapping[str, Mapping[str, str]] = {"en": {}, "ja": WORDS}
"""The words of each language by the English ones."""
DEFAULT = "en"


def language(header: str) -> str:
    """Return the best language for an Accept-Language header."""
    best, found = 0.0, DEFAULT
    for part in header.split(","):
        name, *options = (word.strip() for word in part.split(";"))
        name = name.partition("-")[0].lower()
        if name not in CATALOGUES:
            continue
        quality = next((_number(option[2:]) for option in options if option.startswith("q=")), 1.0)
        if quality > best:
            best, found = quality, name
    return found


def translator(language: str) -> Callable[..., str]:
    """Return what says an English text in a language; values are put in the places of their {names}."""
    words = CATALOGUES[language]

    def translate(text: str, **values: object) -> str:
        said = words.get(text, text)
        return said.format(**values) if values else said

    return translate


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
