"""What is counted of the events of WCS servers, by table: data only. collectors/rels.py says what the series are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from monitor.wire.clickhouse.tables import DICTIONARIES

OTHER = "other"
"""The word for kinds of events that have none."""


class Kinds(NamedTuple):
    """Rows are counted by the number in a column: `words` are the names of 0, 1, 2 and so on."""

    prefix: str
    column: str
    words: tuple[str, ...]
    over: int = 1
    """By this the number is divided first."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}.{word}" for word in (*self.words, OTHER))


class Measure(NamedTuple):
    """A number of rows as a mean, the greatest or the least; negative ones and absurdly large ones do not count."""

    name: str
    column: str
    how: Literal["mean", "max", "min"] = "mean"
    per: str = ""
    """The column, in milliseconds, that the number is divided by to be one of a second."""
    unless: str = ""
    """Rows for which this column says true are left out."""


class Flag(NamedTuple):
    """Rows whose column says true are counted."""

    name: str
    column: str


@dataclass(frozen=True, slots=True)
class Told:
    """What each session tells of itself again and again: counts since it began, and numbers as they are now."""

    keys: tuple[str, ...]
    rises: Mapping[str, str]
    """Series, and the columns by whose rise they grow, all sessions together."""
    newest: Mapping[str, str] = field(default_factory=dict)
    """Series, and the columns whose newest numbers are added up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made of a table's rows."""

    kinds: tuple[Kinds, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    """Columns whose texts are counted once however often they come, and the series of that count."""
    measures: tuple[Measure, ...] = ()
    flags: tuple[Flag, ...] = ()
    told: Told | None = None


def _words(dictionary: str) -> tuple[str, ...]:
    return tuple(DICTIONARIES[dictionary].words.values())


PLANS: Mapping[str, Plan] = {
    "ConnectionEvent": Plan(
        (Kinds("events.ConnectionEvent", "eventType", _words("DictionaryConnectionEvents")),),
        {"sessionId": "sessions"},
    ),
    "StreamEvent": Plan(
        (Kinds("events.StreamEvent", "eventType", _words("DictionaryStreamEvents")),),
        {"streamName": "streams", "sessionId": "sessions", "mediaSessionId": "media_sessions"},
    ),
    "CDNEvent": Plan((Kinds("events.CDNEvent", "eventType", _words("DictionaryCDNEvents")),), {"nodeId": "cdn_nodes"}),
    "MediaSessionEvents": Plan(
        marks={"streamName": "streams", "mediaSessionId": "media_sessions"},
        measures=(Measure("media.frame_rate", "videoFrameRate"),),
        told=Told(
            ("mediaSessionId",),
            {
                "media.nack_sent": "sendNACK", "media.nack_received": "recvNACK",
                "media.video_frames_lost": "videoFramesLost", "media.audio_packets_lost": "audioPacketsLost",
            },
            {"media.video_rate": "videoRate", "media.audio_rate": "audioRate"},
        ),
    ),
    "HlsStreamEvents": Plan(
        (
            Kinds("events.HlsStreamEvents", "messageType", _words("DictionaryHlsStreamEventType")),
            Kinds("hls.severity", "severity", _words("DictionaryHlsStreamEventSeverity")),
        ),
        {"streamId": "hls_streams"},
    ),
    "HlsSegmenterEvents": Plan(
        marks={"streamId": "hls_streams"},
        measures=(
            Measure("hls.segment_duration", "segmentDuration", unless="partial"),
            Measure("hls.segment_duration_max", "segmentDuration", "max", unless="partial"),
            Measure("hls.segment_interval", "segmentInterval", unless="partial"),
            Measure("hls.fps", "videoFrameCount", per="segmentDuration", unless="gap"),
            Measure("hls.fps_min", "videoFrameCount", "min", per="segmentDuration", unless="gap"),
        ),
        flags=(
            Flag("hls.independent", "independent"), Flag("hls.gaps", "gap"),
            Flag("hls.discontinuities", "discontinuity"), Flag("hls.partial", "partial"),
        ),
    ),
    "HlsClientEvents": Plan(
        (Kinds("hls.answers", "httpStatus", ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx"), 100),),
        {"streamId": "hls_streams", "clientId": "hls_clients"},
    ),
    "MixerEvent": Plan(
        (Kinds("events.MixerEvent", "eventType", _words("DictionaryMixerEvents")),),
        {"mixerStreamName": "mixers", "streamName": "streams", "mediaSessionId": "media_sessions"},
        measures=(
            Measure("mixer.tick_time", "mixerAverageTickTimeInMs"),
            Measure("mixer.tick_time_max", "mixerAverageTickTimeInMs", "max"),
            Measure("mixer.audio_buffered", "audioBuffered"),
            Measure("mixer.audio_buffered_max", "audioBuffered", "max"),
            Measure("mixer.video_buffered", "videoBuffered"),
            Measure("mixer.video_buffered_max", "videoBuffered", "max"),
            Measure("mixer.fps", "videoFps"),
            Measure("mixer.fps_min", "videoFps", "min"),
        ),
        told=Told(
            ("mixerMediaSessionId", "mediaSessionId"),
            {
                "mixer.audio_drops": "audioDropsCounter", "mixer.video_drops": "videoDropsCounter",
                "mixer.audio_dropped_bytes": "audioDropsSizeInBytes",
                "mixer.video_dropped_bytes": "videoDropsSizeInBytes",
            },
        ),
    ),
}  # fmt: skip


def _all() -> tuple[str, ...]:
    found: dict[str, None] = {"events": None}
    for table, plan in PLANS.items():
        found[f"events.{table}"] = None
        for kinds in plan.kinds:
            found |= dict.fromkeys(kinds.names)
        found |= dict.fromkeys((*plan.marks.values(), *(one.name for one in plan.measures)))
        found |= dict.fromkeys(flag.name for flag in plan.flags)
        if plan.told is not None:
            found |= dict.fromkeys((*plan.told.rises, *plan.told.newest))
    return tuple(found)


NAMES = _all()
"""All series that there can be of a server."""
