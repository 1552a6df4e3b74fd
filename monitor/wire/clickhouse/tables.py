"""The tables that WCS writes its events to, and the dictionaries that name the events: the data, and nothing else.

Names are in the case of WCS, types are ClickHouse's, columns stand in the order in which rows without a list of columns
hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DATABASE = "wcs"
EXTRA = "extra"
"""The column, last, that holds what newer versions send beside the known columns: a JSON object as text, or nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of events. `columns` are pairs of a name and a type."""

    name: str
    columns: tuple[tuple[str, str], ...]
    order: tuple[str, ...]
    """By what ClickHouse sorts it."""
    time: str = "timestamp"
    """The column with the time of the event, in milliseconds."""
    server: str = "ip"
    """The column with the address of the server; empty where no column tells."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The dictionaries that say in words what these columns say in numbers."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What the numbers of a kind of event mean, and the table with the same contents: (id, type)."""

    name: str
    table: str
    key: str
    """The type of its key in the dictionary."""
    id: str
    """The type of the same column in the table."""
    words: Mapping[int, str]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        return ("id", self.id), ("type", "String")


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [one.split() for one in text.split(",")]
    return tuple((name, type) for name, type in pairs)


def _words(text: str) -> dict[int, str]:
    return dict(enumerate(text.split()))


EVENTS = (
    Table(
        "ConnectionEvent",
        _columns("timestamp UInt64, ip IPv4, sessionId String, eventType UInt64, eventPayload String"),
        order=("timestamp", "sessionId"),
        kinds={"eventType": "DictionaryConnectionEvents"},
    ),
    Table(
        "StreamEvent",
        _columns(
            "timestamp UInt64, ip IPv4, sessionId String, mediaSessionId String, streamName String, "
            "eventType UInt64, eventPayload String"
        ),
        order=("sessionId", "mediaSessionId", "streamName"),
        kinds={"eventType": "DictionaryStreamEvents"},
    ),
    Table(
        "CDNEvent",
        _columns("timestamp UInt64, ip IPv4, nodeId String, eventType UInt64, eventPayload String"),
        order=("nodeId", "eventType"),
        kinds={"eventType": "DictionaryCDNEvents"},
    ),
    Table(
        "MediaSessionEvents",
        _columns(
            "timestamp UInt64, ip IPv4, mediaSessionId String, streamName String, videoProfileId UInt32, "
            "videoWidth UInt32, videoHeight UInt32, videoFrameRate UInt32, videoKframes UInt64, "
            "videoPframes UInt64, videoBframes UInt64, videoRate UInt64, audioRate UInt64, videoSyncTime UInt64, "
            "audioSyncTime UInt64, videoTimestamp UInt64, audioTimestamp UInt64, lastKeyFrameSyncTime UInt64, "
            "sendNACK UInt64, recvNACK UInt64, videoFramesLost UInt64, audioPacketsLost UInt64"
        ),
        order=("mediaSessionId", "streamName"),
    ),
    Table(
        "HlsStreamEvents",
        _columns(
            "timestamp UInt64, ip IPv4, severity UInt8, messageType UInt16, streamId String, variantName String, "
            "segmentId String, message String"
        ),
        order=("streamId",),
        kinds={"messageType": "DictionaryHlsStreamEventType", "severity": "DictionaryHlsStreamEventSeverity"},
    ),
    Table(
        "HlsSegmenterEvents",
        _columns(
            "timestamp UInt64, ip IPv4, streamId String, variantName String, segmentId String, "
            "segmentStartPts UInt64, videoStartPts UInt64, audioStartPts UInt64, videoWidth UInt32, "
            "videoHeight UInt32, videoFrameCount UInt32, audioPacketCount UInt32, segmentDuration UInt64, "
            "independent Bool, gap Bool, discontinuity Bool, segmentInterval UInt64, partial Bool, "
            "playbackSpeed Float32"
        ),
        order=("streamId",),
    ),
    Table(
        "HlsClientEvents",
        _columns(
            "creationTime UInt64, responseTime UInt64, streamId String, variantName String, uri String, "
            "localIp IPv4, remoteIp IPv4, remotePort UInt32, userAgent String, httpStatus UInt32, clientId UInt64"
        ),
        order=("creationTime",),
        time="creationTime",
        server="localIp",
    ),
    Table(
        "MixerEvent",
        _columns(
            "timestamp UInt64, mixerMediaSessionId String, mixerStreamName String, mediaSessionId String, "
            "streamName String, mixerAverageTickTimeInMs Int64, audioMixerSync Int64, videoMixerSync Int64, "
            "nextAudioDataTime Int64, nextVideoDataTime Int64, audioBuffered Int64, videoBuffered Int64, "
            "audioDropsCounter Int64, audioDropsSizeInBytes Int64, videoDropsCounter Int64, "
            "videoDropsSizeInBytes Int64, videoFps Int64, audioRate Float64, videoRate Float64, eventType UInt32, "
            "eventPayload String"
        ),
        order=("timestamp",),
        server="",
        kinds={"eventType": "DictionaryMixerEvents"},
    ),
)

WORDS = (
    Dictionary(
        "DictionaryConnectionEvents",
        table="ConnectionEventTypes",
        key="UInt16",
        id="UInt32",
        words=_words("CONNECTED DISCONNECTED"),
    ),
    Dictionary(
        "DictionaryStreamEvents",
        table="StreamEventTypes",
        key="UInt16",
        id="UInt32",
        words=_words(
            "CREATED LOCAL_SDP_CREATED REMOTE_SDP_RECEIVED ICE_STARTED ICE_COMPLETE DTLS_STARTED DTLS_COMPLETE "
            "INITIALIZED DISPOSING DISPOSED AUDIO_RECEIVED VIDEO_RECEIVED VIDEO_KFRAME_RECEIVED "
            "AUDIO_RTCP_RECEIVED VIDEO_RTCP_RECEIVED RESOLUTION_RECEIVED VIDEO_ENCODER_CREATED "
            "AUDIO_ENCODER_CREATED VIDEO_ENCODER_DISPOSED AUDIO_ENCODER_DISPOSED TERMINATED AUDIO_SENT VIDEO_SENT "
            "VIDEO_JITTER_BUFFER_STALL SENT_PLI RECEIVED_PLI SYNC_BUFFER_FULL SYNC_FORCE_FAILED SYNC_SHIFT "
            "SYNC_DEVIATION VIDEO_STATS RECORD"
        ),
    ),
    Dictionary(
        "DictionaryCDNEvents",
        table="CDNEventTypes",
        key="UInt16",
        id="UInt32",
        words=_words("STATE CDN_STATE VERSION ACL_REFRESH ACL_UPDATE"),
    ),
    Dictionary(
        "DictionaryHlsStreamEventSeverity",
        table="HlsStreamEventSeverity",
        key="UInt8",
        id="UInt8",
        words=_words("INFO WARNING ERROR"),
    ),
    Dictionary(
        "DictionaryHlsStreamEventType",
        table="HlsStreamEventType",
        key="UInt16",
        id="UInt16",
        words=_words(
            "PLAYBACK_SPEED FPS_CHANGED GAP RESOLUTION_CHANGED DISCONTINUITY TASK_SKIPPED NO_KYE_FRAME NO_VIDEO "
            "NO_AUDIO SEGMENT_INTERVAL OTHER"
        ),
    ),
    Dictionary(
        "DictionaryMixerEvents",
        table="MixerEventTypes",
        key="UInt16",
        id="UInt32",
        words=_words(
            "nullEvent dropBallastAudio dropBallastVideo audioNotBuffered videoNotBuffered audioBufferExhausted "
            "videoBufferExhausted alignStreamFailed alignStreamDropAudio alignStreamDropVideo "
            "rateOutOfBoundsAudio rateOutOfBoundsVideo"
        ),
    ),
)

TABLES = {table.name: table for table in EVENTS}
DICTIONARIES = {one.name: one for one in WORDS}
TYPE_TABLES = {one.table: one for one in WORDS}
ALIASES = {"MediaSessionEvent": "MediaSessionEvents"}
"""Names under which some documents know a table."""


def known(name: str) -> Table | None:
    """Return the table of events of this name, or of one of its other names."""
    return TABLES.get(ALIASES.get(name, name))
