"""What is counted of the events that WCS servers write (RELS): declared here and never collected.

    rels_database_address=jdbc:clickhouse://monitor.example.com:8123/wcs?user=wcs&password=wcs

Each server that tells of itself is a host, by its address. All counts are of a minute. What a session tells of itself
as a count since it began (NACKs, losses, drops) is told by how much it rose, all sessions together.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from monitor.collector import CollectError, Collector, Gauge, Graph, Item, Line, Metric, Stack

OTHER = "other"
EVENTS = "events/min"


class Chart(NamedTuple):
    """A graph with a row for each series: (name, legend, help)."""

    name: str
    title: str
    unit: str
    rows: tuple[tuple[str, str, str], ...]
    stacked: bool = True

    @property
    def graph(self) -> Graph:
        item = Stack if self.stacked else Line
        items: list[Item] = [item(METRICS[name], legend) for name, legend, _ in self.rows]
        if self.name == ALL.name:
            items.append(Line(ALL, "all", "000000"))
        return Graph(self.name, self.title, *items, unit=self.unit)


def _kinds(name: str, title: str, prefix: str, words: str, unit: str = EVENTS, what: str = "events") -> Chart:
    """Return the graph of kinds of events by their names."""
    return Chart(name, title, unit, tuple((f"{prefix}.{word}", word, f"{what} of this kind") for word in words.split()))


STREAM = "events.StreamEvent"
CHARTS = (
    Chart("events", "Events by table", EVENTS, tuple(
        (f"events.{table}", table, f"rows of {table}") for table in (
            "ConnectionEvent", "StreamEvent", "CDNEvent", "MediaSessionEvents", "HlsStreamEvents",
            "HlsSegmenterEvents", "HlsClientEvents", "MixerEvent",
        )
    )),
    Chart("distinct", "Streams and sessions told of", "names", (
        ("streams", "streams", "names of streams in a minute's events"),
        ("media_sessions", "media sessions", "media sessions in a minute's events"),
        ("sessions", "sessions", "sessions of clients in a minute's events"),
        ("hls_streams", "HLS streams", "HLS streams in a minute's events"),
        ("hls_clients", "HLS clients", "sessions of HLS clients in a minute's events"),
        ("mixers", "mixers", "output streams of mixers in a minute's events"),
        ("cdn_nodes", "CDN nodes", "nodes in a minute's events of the CDN"),
    ), stacked=False),
    _kinds("connections", "Connections", "events.ConnectionEvent", f"CONNECTED DISCONNECTED {OTHER}"),
    _kinds("stream_setup", "Streams: setup and end", STREAM,
           "CREATED LOCAL_SDP_CREATED REMOTE_SDP_RECEIVED ICE_STARTED ICE_COMPLETE DTLS_STARTED DTLS_COMPLETE "
           "INITIALIZED DISPOSING DISPOSED TERMINATED"),
    _kinds("stream_media", "Streams: media", STREAM,
           "AUDIO_RECEIVED VIDEO_RECEIVED VIDEO_KFRAME_RECEIVED AUDIO_RTCP_RECEIVED VIDEO_RTCP_RECEIVED "
           "RESOLUTION_RECEIVED AUDIO_SENT VIDEO_SENT VIDEO_STATS RECORD"),
    _kinds("stream_encoders", "Streams: encoders", STREAM,
           "VIDEO_ENCODER_CREATED AUDIO_ENCODER_CREATED VIDEO_ENCODER_DISPOSED AUDIO_ENCODER_DISPOSED"),
    _kinds("stream_trouble", "Streams: losses and synchronization", STREAM,
           f"VIDEO_JITTER_BUFFER_STALL SENT_PLI RECEIVED_PLI SYNC_BUFFER_FULL SYNC_FORCE_FAILED SYNC_SHIFT "
           f"SYNC_DEVIATION {OTHER}"),
    _kinds("cdn", "CDN", "events.CDNEvent", f"STATE CDN_STATE VERSION ACL_REFRESH ACL_UPDATE {OTHER}"),
    Chart("media_rate", "Media sessions: bit rate", "bits/s", (
        ("media.video_rate", "video", "video of all media sessions told of, by the newest that each told"),
        ("media.audio_rate", "audio", "audio of all media sessions told of, by the newest that each told"),
    )),
    Chart("media_frames", "Media sessions: frame rate", "frames/s", (
        ("media.frame_rate", "mean", "mean of what media sessions told"),
    ), stacked=False),
    Chart("media_nack", "Media sessions: NACK", "NACK/min", (
        ("media.nack_sent", "sent", "NACKs sent"),
        ("media.nack_received", "received", "NACKs received"),
    ), stacked=False),
    Chart("media_lost_frames", "Media sessions: lost video frames", "frames/min", (
        ("media.video_frames_lost", "lost", "video frames lost"),
    )),
    Chart("media_lost_packets", "Media sessions: lost audio packets", "packets/min", (
        ("media.audio_packets_lost", "lost", "audio packets lost"),
    )),
    _kinds("hls", "HLS streams", "events.HlsStreamEvents",
           "PLAYBACK_SPEED FPS_CHANGED GAP RESOLUTION_CHANGED DISCONTINUITY TASK_SKIPPED NO_KYE_FRAME NO_VIDEO "
           f"NO_AUDIO SEGMENT_INTERVAL OTHER {OTHER}"),
    _kinds("hls_severity", "HLS streams: severity", "hls.severity", f"INFO WARNING ERROR {OTHER}"),
    Chart("hls_duration", "HLS segments: duration", "ms", (
        ("hls.segment_duration", "mean", "mean duration of whole segments"),
        ("hls.segment_duration_max", "longest", "longest whole segment"),
        ("hls.segment_interval", "interval", "mean interval between whole segments"),
    ), stacked=False),
    Chart("hls_fps", "HLS segments: frame rate", "frames/s", (
        ("hls.fps", "mean", "video frames of segments by their duration, on the mean"),
        ("hls.fps_min", "least", "video frames of the segment with the fewest by its duration"),
    ), stacked=False),
    Chart("hls_segments", "HLS segments", "segments/min", (
        ("hls.independent", "independent", "segments that begin with a key frame"),
        ("hls.partial", "partial", "parts of segments"),
        ("hls.gaps", "gaps", "segments that are gaps"),
        ("hls.discontinuities", "discontinuities", "segments after a discontinuity"),
    ), stacked=False),
    _kinds("hls_answers", "HLS clients: answers", "hls.answers", f"0xx 1xx 2xx 3xx 4xx 5xx {OTHER}", "answers/min",
           "answers to HLS clients"),
    _kinds("mixer_events", "Mixers: events", "events.MixerEvent",
           "nullEvent dropBallastAudio dropBallastVideo audioNotBuffered videoNotBuffered audioBufferExhausted "
           "videoBufferExhausted alignStreamFailed alignStreamDropAudio alignStreamDropVideo rateOutOfBoundsAudio "
           f"rateOutOfBoundsVideo {OTHER}"),
    Chart("mixer_tick", "Mixers: time of a tick", "ms", (
        ("mixer.tick_time", "mean", "average time of a mixer's tick, on the mean"),
        ("mixer.tick_time_max", "longest", "greatest average time of a mixer's tick"),
    ), stacked=False),
    Chart("mixer_fps", "Mixers: frame rate", "frames/s", (
        ("mixer.fps", "mean", "frame rate of mixers' output, on the mean"),
        ("mixer.fps_min", "least", "least frame rate of a mixer's output"),
    ), stacked=False),
    Chart("mixer_buffers", "Mixers: buffers", "packets", (
        ("mixer.audio_buffered", "audio, mean", "audio packets in the buffer of an incoming stream, on the mean"),
        ("mixer.audio_buffered_max", "audio, most", "most audio packets in the buffer of an incoming stream"),
        ("mixer.video_buffered", "video, mean", "video packets in the buffer of an incoming stream, on the mean"),
        ("mixer.video_buffered_max", "video, most", "most video packets in the buffer of an incoming stream"),
    ), stacked=False),
    Chart("mixer_drops", "Mixers: dropped packets", "packets/min", (
        ("mixer.audio_drops", "audio", "audio packets dropped of incoming streams"),
        ("mixer.video_drops", "video", "video packets dropped of incoming streams"),
    )),
    Chart("mixer_dropped_bytes", "Mixers: dropped bytes", "bytes/min", (
        ("mixer.audio_dropped_bytes", "audio", "bytes of audio dropped of incoming streams"),
        ("mixer.video_dropped_bytes", "video", "bytes of video dropped of incoming streams"),
    )),
)  # fmt: skip
ALL = Gauge(EVENTS, "rows of all tables", name="events")
METRICS: dict[str, Metric] = {
    ALL.name: ALL,
    **{name: Gauge(chart.unit, help, name=name) for chart in CHARTS for name, _, help in chart.rows},
}


class RelsCollector(Collector):
    path = "rels"
    pushed = True
    may_be_silent = True

    locals().update({re.sub(r"\W", "_", name): metric for name, metric in METRICS.items()})
    graphs = tuple(chart.graph for chart in CHARTS)

    async def collect(self) -> None:
        raise CollectError("expected WCS servers to write this into [receivers] [[rels]]; there is nothing to collect")
