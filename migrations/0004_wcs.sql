-- The events that WCS servers send: the tables and dictionaries of WCS, their names folded to lower case as SQL folds them.
--
-- UInt64 is numeric(20), which holds all of it; times in milliseconds are bigint, those from 2^63 on as the negative
-- number of the same 64 bits. Of a String, a zero byte and what is no UTF-8 stand as U+10FF00 + the byte. Every table is
-- partitioned by day (UTC) of its time; what lies outside of the days that are kept goes to the default partition, and
-- from there when it has been here for as long as the table is kept.
-- Indexes: (streamname, timestamp), (mediasessionid, timestamp), (sessionid, timestamp) where there are such columns, and
-- for HLS and the mixer what identifies their streams; BRIN (timestamp).

CREATE SCHEMA wcs;

CREATE TABLE wcs.connectionevent (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    sessionid text COLLATE "C" NOT NULL DEFAULT '',
    eventtype numeric(20) NOT NULL DEFAULT 0,
    eventpayload text COLLATE "C" NOT NULL DEFAULT '',
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.connectionevent (sessionid, timestamp);
CREATE INDEX ON wcs.connectionevent USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.connectionevent_default PARTITION OF wcs.connectionevent DEFAULT;

CREATE TABLE wcs.streamevent (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    sessionid text COLLATE "C" NOT NULL DEFAULT '',
    mediasessionid text COLLATE "C" NOT NULL DEFAULT '',
    streamname text COLLATE "C" NOT NULL DEFAULT '',
    eventtype numeric(20) NOT NULL DEFAULT 0,
    eventpayload text COLLATE "C" NOT NULL DEFAULT '',
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.streamevent (streamname, timestamp);
CREATE INDEX ON wcs.streamevent (mediasessionid, timestamp);
CREATE INDEX ON wcs.streamevent (sessionid, timestamp);
CREATE INDEX ON wcs.streamevent USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.streamevent_default PARTITION OF wcs.streamevent DEFAULT;

CREATE TABLE wcs.cdnevent (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    nodeid text COLLATE "C" NOT NULL DEFAULT '',
    eventtype numeric(20) NOT NULL DEFAULT 0,
    eventpayload text COLLATE "C" NOT NULL DEFAULT '',
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.cdnevent USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.cdnevent_default PARTITION OF wcs.cdnevent DEFAULT;

CREATE TABLE wcs.mediasessionevents (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    mediasessionid text COLLATE "C" NOT NULL DEFAULT '',
    streamname text COLLATE "C" NOT NULL DEFAULT '',
    videoprofileid bigint NOT NULL DEFAULT 0,
    videowidth bigint NOT NULL DEFAULT 0,
    videoheight bigint NOT NULL DEFAULT 0,
    videoframerate bigint NOT NULL DEFAULT 0,
    videokframes numeric(20) NOT NULL DEFAULT 0,
    videopframes numeric(20) NOT NULL DEFAULT 0,
    videobframes numeric(20) NOT NULL DEFAULT 0,
    videorate numeric(20) NOT NULL DEFAULT 0,
    audiorate numeric(20) NOT NULL DEFAULT 0,
    videosynctime numeric(20) NOT NULL DEFAULT 0,
    audiosynctime numeric(20) NOT NULL DEFAULT 0,
    videotimestamp numeric(20) NOT NULL DEFAULT 0,
    audiotimestamp numeric(20) NOT NULL DEFAULT 0,
    lastkeyframesynctime numeric(20) NOT NULL DEFAULT 0,
    sendnack numeric(20) NOT NULL DEFAULT 0,
    recvnack numeric(20) NOT NULL DEFAULT 0,
    videoframeslost numeric(20) NOT NULL DEFAULT 0,
    audiopacketslost numeric(20) NOT NULL DEFAULT 0,
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.mediasessionevents (streamname, timestamp);
CREATE INDEX ON wcs.mediasessionevents (mediasessionid, timestamp);
CREATE INDEX ON wcs.mediasessionevents USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.mediasessionevents_default PARTITION OF wcs.mediasessionevents DEFAULT;

CREATE TABLE wcs.hlsstreamevents (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    severity smallint NOT NULL DEFAULT 0,
    messagetype integer NOT NULL DEFAULT 0,
    streamid text COLLATE "C" NOT NULL DEFAULT '',
    variantname text COLLATE "C" NOT NULL DEFAULT '',
    segmentid text COLLATE "C" NOT NULL DEFAULT '',
    message text COLLATE "C" NOT NULL DEFAULT '',
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.hlsstreamevents (streamid, timestamp);
CREATE INDEX ON wcs.hlsstreamevents USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.hlsstreamevents_default PARTITION OF wcs.hlsstreamevents DEFAULT;

CREATE TABLE wcs.hlssegmenterevents (
    timestamp bigint NOT NULL DEFAULT 0,
    ip inet NOT NULL DEFAULT '0.0.0.0',
    streamid text COLLATE "C" NOT NULL DEFAULT '',
    variantname text COLLATE "C" NOT NULL DEFAULT '',
    segmentid text COLLATE "C" NOT NULL DEFAULT '',
    segmentstartpts numeric(20) NOT NULL DEFAULT 0,
    videostartpts numeric(20) NOT NULL DEFAULT 0,
    audiostartpts numeric(20) NOT NULL DEFAULT 0,
    videowidth bigint NOT NULL DEFAULT 0,
    videoheight bigint NOT NULL DEFAULT 0,
    videoframecount bigint NOT NULL DEFAULT 0,
    audiopacketcount bigint NOT NULL DEFAULT 0,
    segmentduration numeric(20) NOT NULL DEFAULT 0,
    independent boolean NOT NULL DEFAULT false,
    gap boolean NOT NULL DEFAULT false,
    discontinuity boolean NOT NULL DEFAULT false,
    segmentinterval numeric(20) NOT NULL DEFAULT 0,
    partial boolean NOT NULL DEFAULT false,
    playbackspeed real NOT NULL DEFAULT 0,
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.hlssegmenterevents (streamid, timestamp);
CREATE INDEX ON wcs.hlssegmenterevents USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.hlssegmenterevents_default PARTITION OF wcs.hlssegmenterevents DEFAULT;

CREATE TABLE wcs.hlsclientevents (
    creationtime bigint NOT NULL DEFAULT 0,
    responsetime bigint NOT NULL DEFAULT 0,
    streamid text COLLATE "C" NOT NULL DEFAULT '',
    variantname text COLLATE "C" NOT NULL DEFAULT '',
    uri text COLLATE "C" NOT NULL DEFAULT '',
    localip inet NOT NULL DEFAULT '0.0.0.0',
    remoteip inet NOT NULL DEFAULT '0.0.0.0',
    remoteport bigint NOT NULL DEFAULT 0,
    useragent text COLLATE "C" NOT NULL DEFAULT '',
    httpstatus bigint NOT NULL DEFAULT 0,
    clientid numeric(20) NOT NULL DEFAULT 0,
    extra jsonb,
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (creationtime);
CREATE INDEX ON wcs.hlsclientevents (streamid, creationtime);
CREATE INDEX ON wcs.hlsclientevents USING brin (creationtime) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.hlsclientevents_default PARTITION OF wcs.hlsclientevents DEFAULT;

CREATE TABLE wcs.mixerevent (
    timestamp bigint NOT NULL DEFAULT 0,
    mixermediasessionid text COLLATE "C" NOT NULL DEFAULT '',
    mixerstreamname text COLLATE "C" NOT NULL DEFAULT '',
    mediasessionid text COLLATE "C" NOT NULL DEFAULT '',
    streamname text COLLATE "C" NOT NULL DEFAULT '',
    mixeraverageticktimeinms bigint NOT NULL DEFAULT 0,
    audiomixersync bigint NOT NULL DEFAULT 0,
    videomixersync bigint NOT NULL DEFAULT 0,
    nextaudiodatatime bigint NOT NULL DEFAULT 0,
    nextvideodatatime bigint NOT NULL DEFAULT 0,
    audiobuffered bigint NOT NULL DEFAULT 0,
    videobuffered bigint NOT NULL DEFAULT 0,
    audiodropscounter bigint NOT NULL DEFAULT 0,
    audiodropssizeinbytes bigint NOT NULL DEFAULT 0,
    videodropscounter bigint NOT NULL DEFAULT 0,
    videodropssizeinbytes bigint NOT NULL DEFAULT 0,
    videofps bigint NOT NULL DEFAULT 0,
    audiorate double precision NOT NULL DEFAULT 0,
    videorate double precision NOT NULL DEFAULT 0,
    eventtype bigint NOT NULL DEFAULT 0,
    eventpayload text COLLATE "C" NOT NULL DEFAULT '',
    extra jsonb,
    server inet NOT NULL DEFAULT '0.0.0.0',
    received timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (timestamp);
CREATE INDEX ON wcs.mixerevent (streamname, timestamp);
CREATE INDEX ON wcs.mixerevent (mediasessionid, timestamp);
CREATE INDEX ON wcs.mixerevent (mixerstreamname, timestamp);
CREATE INDEX ON wcs.mixerevent (mixermediasessionid, timestamp);
CREATE INDEX ON wcs.mixerevent USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE wcs.mixerevent_default PARTITION OF wcs.mixerevent DEFAULT;

COMMENT ON COLUMN wcs.mixerevent.server IS 'The address that the event came from: the event itself names no server.';

CREATE TABLE wcs.connectioneventtypes (id bigint PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.connectioneventtypes VALUES
    (0, 'CONNECTED'), (1, 'DISCONNECTED');

CREATE TABLE wcs.streameventtypes (id bigint PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.streameventtypes VALUES
    (0, 'CREATED'), (1, 'LOCAL_SDP_CREATED'), (2, 'REMOTE_SDP_RECEIVED'), (3, 'ICE_STARTED'), (4, 'ICE_COMPLETE'),
    (5, 'DTLS_STARTED'), (6, 'DTLS_COMPLETE'), (7, 'INITIALIZED'), (8, 'DISPOSING'), (9, 'DISPOSED'),
    (10, 'AUDIO_RECEIVED'), (11, 'VIDEO_RECEIVED'), (12, 'VIDEO_KFRAME_RECEIVED'), (13, 'AUDIO_RTCP_RECEIVED'),
    (14, 'VIDEO_RTCP_RECEIVED'), (15, 'RESOLUTION_RECEIVED'), (16, 'VIDEO_ENCODER_CREATED'),
    (17, 'AUDIO_ENCODER_CREATED'), (18, 'VIDEO_ENCODER_DISPOSED'), (19, 'AUDIO_ENCODER_DISPOSED'), (20, 'TERMINATED'),
    (21, 'AUDIO_SENT'), (22, 'VIDEO_SENT'), (23, 'VIDEO_JITTER_BUFFER_STALL'), (24, 'SENT_PLI'), (25, 'RECEIVED_PLI'),
    (26, 'SYNC_BUFFER_FULL'), (27, 'SYNC_FORCE_FAILED'), (28, 'SYNC_SHIFT'), (29, 'SYNC_DEVIATION'),
    (30, 'VIDEO_STATS'), (31, 'RECORD');

CREATE TABLE wcs.cdneventtypes (id bigint PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.cdneventtypes VALUES
    (0, 'STATE'), (1, 'CDN_STATE'), (2, 'VERSION'), (3, 'ACL_REFRESH'), (4, 'ACL_UPDATE');

CREATE TABLE wcs.hlsstreameventseverity (id smallint PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.hlsstreameventseverity VALUES
    (0, 'INFO'), (1, 'WARNING'), (2, 'ERROR');

CREATE TABLE wcs.hlsstreameventtype (id integer PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.hlsstreameventtype VALUES
    (0, 'PLAYBACK_SPEED'), (1, 'FPS_CHANGED'), (2, 'GAP'), (3, 'RESOLUTION_CHANGED'), (4, 'DISCONTINUITY'),
    (5, 'TASK_SKIPPED'), (6, 'NO_KYE_FRAME'), (7, 'NO_VIDEO'), (8, 'NO_AUDIO'), (9, 'SEGMENT_INTERVAL'),
    (10, 'OTHER');

CREATE TABLE wcs.mixereventtypes (id bigint PRIMARY KEY, type text COLLATE "C" NOT NULL);
INSERT INTO wcs.mixereventtypes VALUES
    (0, 'nullEvent'), (1, 'dropBallastAudio'), (2, 'dropBallastVideo'), (3, 'audioNotBuffered'),
    (4, 'videoNotBuffered'), (5, 'audioBufferExhausted'), (6, 'videoBufferExhausted'), (7, 'alignStreamFailed'),
    (8, 'alignStreamDropAudio'), (9, 'alignStreamDropVideo'), (10, 'rateOutOfBoundsAudio'),
    (11, 'rateOutOfBoundsVideo');

-- What an event's number means, as ClickHouse's function of this name says it; '' for a number without meaning.
CREATE FUNCTION wcs.dictgetstring(dictionary text, attribute text, id numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce(CASE CASE WHEN strpos($1, '.') > 0 THEN $1 ELSE 'wcs.' || $1 END
    WHEN 'wcs.DictionaryConnectionEvents' THEN CASE WHEN $3 >= 0 AND $3 < 2 THEN
        (ARRAY['CONNECTED', 'DISCONNECTED'])[$3::integer + 1] END
    WHEN 'wcs.DictionaryStreamEvents' THEN CASE WHEN $3 >= 0 AND $3 < 32 THEN
        (ARRAY['CREATED', 'LOCAL_SDP_CREATED', 'REMOTE_SDP_RECEIVED', 'ICE_STARTED', 'ICE_COMPLETE',
            'DTLS_STARTED', 'DTLS_COMPLETE', 'INITIALIZED', 'DISPOSING', 'DISPOSED', 'AUDIO_RECEIVED',
            'VIDEO_RECEIVED', 'VIDEO_KFRAME_RECEIVED', 'AUDIO_RTCP_RECEIVED', 'VIDEO_RTCP_RECEIVED',
            'RESOLUTION_RECEIVED', 'VIDEO_ENCODER_CREATED', 'AUDIO_ENCODER_CREATED',
            'VIDEO_ENCODER_DISPOSED', 'AUDIO_ENCODER_DISPOSED', 'TERMINATED', 'AUDIO_SENT', 'VIDEO_SENT',
            'VIDEO_JITTER_BUFFER_STALL', 'SENT_PLI', 'RECEIVED_PLI', 'SYNC_BUFFER_FULL',
            'SYNC_FORCE_FAILED', 'SYNC_SHIFT', 'SYNC_DEVIATION', 'VIDEO_STATS', 'RECORD'])[$3::integer + 1] END
    WHEN 'wcs.DictionaryCDNEvents' THEN CASE WHEN $3 >= 0 AND $3 < 5 THEN
        (ARRAY['STATE', 'CDN_STATE', 'VERSION', 'ACL_REFRESH', 'ACL_UPDATE'])[$3::integer + 1] END
    WHEN 'wcs.DictionaryHlsStreamEventSeverity' THEN CASE WHEN $3 >= 0 AND $3 < 3 THEN
        (ARRAY['INFO', 'WARNING', 'ERROR'])[$3::integer + 1] END
    WHEN 'wcs.DictionaryHlsStreamEventType' THEN CASE WHEN $3 >= 0 AND $3 < 11 THEN
        (ARRAY['PLAYBACK_SPEED', 'FPS_CHANGED', 'GAP', 'RESOLUTION_CHANGED', 'DISCONTINUITY',
            'TASK_SKIPPED', 'NO_KYE_FRAME', 'NO_VIDEO', 'NO_AUDIO', 'SEGMENT_INTERVAL',
            'OTHER'])[$3::integer + 1] END
    WHEN 'wcs.DictionaryMixerEvents' THEN CASE WHEN $3 >= 0 AND $3 < 12 THEN
        (ARRAY['nullEvent', 'dropBallastAudio', 'dropBallastVideo', 'audioNotBuffered', 'videoNotBuffered',
            'audioBufferExhausted', 'videoBufferExhausted', 'alignStreamFailed', 'alignStreamDropAudio',
            'alignStreamDropVideo', 'rateOutOfBoundsAudio', 'rateOutOfBoundsVideo'])[$3::integer + 1] END
    END, '')
$$;
CREATE FUNCTION wcs.dictget(dictionary text, attribute text, id numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT wcs.dictgetstring($1, $2, $3)';
-- Beside our own tables too, where psql finds it without a search_path.
CREATE FUNCTION dictgetstring(dictionary text, attribute text, id numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT wcs.dictgetstring($1, $2, $3)';

-- What else ClickHouse's functions say: / is never whole, and a truth is equal to a number.
CREATE FUNCTION wcs.intdiv(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT div($1, $2)';
CREATE FUNCTION wcs.todatetime(numeric) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT to_timestamp($1::double precision)';
CREATE FUNCTION wcs.todatetime(double precision) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT to_timestamp($1)';
CREATE FUNCTION wcs.todatetime(timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1';
CREATE FUNCTION wcs.todatetime(text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT $1::timestamptz';
CREATE FUNCTION wcs.todate(timestamptz) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT $1::date';
CREATE FUNCTION wcs.todate(numeric) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT to_timestamp($1::double precision)::date';
CREATE FUNCTION wcs.todate(text) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT $1::date';
CREATE FUNCTION wcs.tounixtimestamp(timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT floor(extract(epoch FROM $1))::bigint';
CREATE FUNCTION wcs.tounixtimestamp(text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT floor(extract(epoch FROM $1::timestamptz))::bigint';
CREATE FUNCTION wcs.towhole(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT trunc($1)';
CREATE FUNCTION wcs.towhole(double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT trunc($1::numeric)';
CREATE FUNCTION wcs.towhole(text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT trunc($1::numeric)';
CREATE FUNCTION wcs.towhole(boolean) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1::integer::numeric';
CREATE FUNCTION wcs.towhole(timestamptz) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT floor(extract(epoch FROM $1))::numeric';
CREATE FUNCTION wcs.tostring(anyelement) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT $1::text';
CREATE FUNCTION wcs.tostring(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1';
CREATE FUNCTION wcs.tostring(inet) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT host($1)';
CREATE FUNCTION wcs.tostring(timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT to_char($1, ''YYYY-MM-DD HH24:MI:SS'')';
CREATE FUNCTION wcs.ipv4numtostring(inet) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT host($1)';
CREATE FUNCTION wcs.ipv4numtostring(bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT host(inet ''0.0.0.0'' + $1)';
CREATE FUNCTION wcs.ipv4stringtonum(text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1::inet - inet ''0.0.0.0''';
CREATE FUNCTION wcs.same(boolean, integer) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1 = ($2 <> 0)';
CREATE OPERATOR wcs.= (FUNCTION = wcs.same, LEFTARG = boolean, RIGHTARG = integer);
DO $$
DECLARE
    one text;
    other text;
BEGIN
    FOR one, other IN
        SELECT a, b
        FROM unnest(ARRAY['smallint', 'integer', 'bigint']) a, unnest(ARRAY['smallint', 'integer', 'bigint']) b
        UNION ALL SELECT 'numeric', 'numeric'
    LOOP
        EXECUTE format(
            'CREATE FUNCTION wcs.divided(%1$s, %2$s) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS'
            ' ''SELECT CASE WHEN $2 <> 0 THEN $1::float8 / $2::float8 ELSE $1::float8 * float8 ''''inf'''' END''',
            one, other);
        EXECUTE format('CREATE OPERATOR wcs./ (FUNCTION = wcs.divided, LEFTARG = %s, RIGHTARG = %s)', one, other);
    END LOOP;
END $$;

CREATE TABLE wcs.batch (
    id text COLLATE "C" PRIMARY KEY,
    came timestamptz NOT NULL
);
CREATE INDEX ON wcs.batch (came);
COMMENT ON TABLE wcs.batch IS 'The batches that were stored of late: what is sent again under the same id is not stored twice.';

-- Who reads through the HTTP interface: nothing but this schema. Where we may not make it, the administrator may:
--     CREATE ROLE wcs_reader NOLOGIN; GRANT USAGE ON SCHEMA wcs TO wcs_reader;
--     GRANT SELECT ON ALL TABLES IN SCHEMA wcs TO wcs_reader; GRANT wcs_reader TO (our user);
DO $$
BEGIN
    IF to_regrole('wcs_reader') IS NULL THEN
        BEGIN
            CREATE ROLE wcs_reader NOLOGIN;
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'the role wcs_reader cannot be made';
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    IF to_regrole('wcs_reader') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA wcs TO wcs_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA wcs TO wcs_reader;
        REVOKE SELECT ON wcs.batch FROM wcs_reader;
        BEGIN
            EXECUTE format('GRANT wcs_reader TO %I', current_user);
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'the role wcs_reader cannot be granted to us';
        END;
    END IF;
END $$;
