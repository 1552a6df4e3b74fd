"""The answer of a web page, moved ones followed."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from monitor.collector import CollectError, Http, Response

MOVED = frozenset({301, 302, 303, 307, 308})
MOST_MOVES = 5


def checked(url: str, option: str) -> str:
    """Return a configured address as it is; CollectError when it is none of a web page."""
    if not url.lower().startswith(("http://", "https://")) or any(letter.isspace() for letter in url):
        raise CollectError(f"expected {option} to be an address with http:// or https://, got {url[:80]!r}")
    return url


async def answer(http: Http, url: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer at the end of at most five redirections. Headers are for the first host only."""
    host = urlsplit(url).netloc
    for _ in range(MOST_MOVES):
        found = await http.get(url, headers=headers if urlsplit(url).netloc == host else None)
        location = found.headers.get("Location", "")
        if found.status not in MOVED or not location:
            return found
        url = checked(urljoin(url, location), "a redirection")
    raise CollectError(f"expected at most {MOST_MOVES} redirections, got one more")
