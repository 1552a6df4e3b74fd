"""Connections by channel. Their counters begin with each of them, so what is summed is what they grew by."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zlib import crc32

from collectors._sora.walk import LONGEST, Names, Told, kind, walk

MOVED = ("received_bytes", "sent_bytes", "received_packets", "sent_packets")
Moved = tuple[int, int, int, int]
NOTHING: Moved = (0, 0, 0, 0)
GONE = 10
"""Polls for which the sums of a channel without connections are remembered, should it come back."""
TIMES = ("timestamp",)
"""Texts that are no facts of a connection."""


class Seen(NamedTuple):
    """A connection as the poll before last had it, and the poll in which it was first there."""

    moved: Moved
    since: int


class Sums(NamedTuple):
    """A channel: its connections now, what they have moved since the appliance knows it, the poll that it is of."""

    connections: int
    moved: Moved
    poll: int


class Connection(NamedTuple):
    channel: str
    id: str
    told: Told


def moved(tree: Mapping[str, Any]) -> Moved:
    """Return the bytes and packets of a connection, those of RTCP included, under the names of any of Sora's years."""
    rtp, rtcp = _group(tree, "rtp"), _group(tree, "rtcp")
    return (
        _sum(tree, rtp, rtcp, "received", ("_byte_size", "_bytes"), "_byte_size"),
        _sum(tree, rtp, rtcp, "sent", ("_byte_size", "_bytes"), "_byte_size"),
        _sum(tree, rtp, rtcp, "received", ("", "_packets"), ""),
        _sum(tree, rtp, rtcp, "sent", ("", "_packets"), ""),
    )


def _group(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _sum(
    tree: Mapping[str, Any], rtp: Mapping[str, Any], rtcp: Mapping[str, Any], side: str,
    whole: tuple[str, str], part: str,
) -> int:  # fmt: skip
    for ending in whole:
        if type(found := rtp.get(f"total_{side}{ending}")) is int:
            return found
    media = rtp.get(f"total_{side}_rtp{part}")
    if media is None:  # then told of each of the sizes that a sender offers
        media = sum(
            _number(_group(size, "rtp").get(f"total_{side}_rtp{part}"))
            for size in _group(tree, "simulcast").values()
            if isinstance(size, dict)
        )
    return _number(media) + _number(rtcp.get(f"total_{side}_rtcp{part}"))


def _number(value: Any) -> int:
    return value if type(value) is int else 0


class Poll:
    """One poll: `take` gets its connections one by one, `Connections.keep` makes it the last one."""

    def __init__(self, of: Connections) -> None:
        self.number = of.polls
        self.due: list[Connection] = []
        self.seen: dict[tuple[str, str], Seen] = {}
        self.counts: dict[str, int] = {}
        self.grown: dict[str, Moved] = {}
        self._of = of

    def take(self, tree: Mapping[str, Any]) -> None:
        of = self._of
        channel, client = _text(tree, "channel_id"), _text(tree, "client_id")
        id = _text(tree, "connection_id") or client
        now = moved(tree)
        before = of.seen.get((channel, id))
        grown = now if self.number else NOTHING  # what is new began since; at the first poll nobody knows when
        if before is not None:
            grown = _less(now, before.moved)
        since = self.number if before is None else before.since
        self.seen[channel, id] = Seen(now, since)
        self.counts[channel] = self.counts.get(channel, 0) + 1
        self.grown[channel] = _plus(self.grown.get(channel, NOTHING), grown)
        turns = of.turns
        old = turns > 0 and self.number - since >= turns - 1
        if old and id and channel and crc32(id.encode()) % turns == self.number % turns and of.room(channel, id):
            self.due.append(Connection(channel, id, of.told(tree, channel, client, now)))


class Connections:
    """What is remembered of connections and channels from poll to poll: of those that are there, and no others."""

    def __init__(self, names: Names, turns: int, *, most: int = 20_000, forget: int = 17_280) -> None:
        """Tell of each connection at one of `turns` polls (0: at none), first when it was there for that long.

        Of at most so many within `forget` polls it is told: whoever keeps what is told would keep ever more.
        """
        self.turns = turns
        self.most = most
        self.forget = forget
        self._left_out: deque[int] = deque([0], maxlen=max(1, turns))
        self._told: dict[tuple[str, str], int] = {}
        self.polls = 0
        self.seen: dict[tuple[str, str], Seen] = {}
        self.channels: dict[str, Sums] = {}
        self.moved = NOTHING
        self._names = names

    def poll(self) -> Poll:
        while self._told and self.polls - next(iter(self._told.values())) > self.forget:
            del self._told[next(iter(self._told))]
        self._left_out.append(0)
        return Poll(self)

    @property
    def left_out(self) -> int:
        """How many connections it does not tell of, for there are too many."""
        return sum(self._left_out)

    def room(self, channel: str, id: str) -> bool:
        """Return whether a connection may be told of, and remember that it was."""
        key = (channel, id)
        if self._told.pop(key, None) is None and len(self._told) >= self.most:
            self._left_out[-1] += 1
            return False
        self._told[key] = self.polls  # behind all that were told before
        return True

    def keep(self, poll: Poll) -> None:
        self.seen = poll.seen
        kept = {name: sums for name, sums in self.channels.items() if poll.number - sums.poll < GONE}
        for name, count in poll.counts.items():
            before = kept[name].moved if name in kept else NOTHING
            kept[name] = Sums(count, _plus(before, poll.grown[name]), poll.number)
            self.moved = _plus(self.moved, poll.grown[name])
        self.channels = kept
        self.polls += 1

    def current(self) -> Iterator[tuple[str, Sums]]:
        """Yield the channels that have connections."""
        for name, sums in self.channels.items():
            if sums.poll == self.polls - 1:
                yield name, sums

    def told(self, tree: Mapping[str, Any], channel: str, client: str, now: Moved) -> Told:
        """Return the wanted numbers of a connection, and its facts."""
        told = walk(tree, self._names)
        for name, value in zip(MOVED, now, strict=True):
            if name in self._names:
                told.values[name], told.kinds[name] = value, kind(f"total_{name}")
        facts = {key: value for key, value in tree.items() if isinstance(value, str) and key not in TIMES}
        facts["channel_client_id"] = f"{channel}/{client}"
        told.texts = {key[:LONGEST]: value[: 2 * LONGEST] for key, value in facts.items()}
        return told


def _text(tree: Mapping[str, Any], name: str) -> str:
    found = tree.get(name)
    return found if isinstance(found, str) else ""


def _plus(one: Moved, other: Moved) -> Moved:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


def _less(now: Moved, before: Moved) -> Moved:
    """Return by how much counts grew; one that fell began anew."""
    a, b, c, d = (new - old if new >= old else new for new, old in zip(now, before, strict=True))
    return a, b, c, d
