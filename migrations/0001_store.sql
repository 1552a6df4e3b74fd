-- What the sources reported, one row per batch; see the comments, which `\d+` and the catalogue show too.

CREATE TABLE retention_class (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    collected interval NOT NULL
);
COMMENT ON TABLE retention_class IS 'How long rows are kept; every class has partitions of its own.';
INSERT INTO retention_class VALUES (1, 'default', '2 days');

CREATE TABLE layout (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    names text[] NOT NULL,
    kinds text[] NOT NULL
);
COMMENT ON TABLE layout IS 'The names that a row''s values stand for, in order; never changed, shared by sources that report the same.';

CREATE TABLE source (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host text NOT NULL,
    collector text NOT NULL,
    instance text NOT NULL,
    interval double precision NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    class smallint NOT NULL DEFAULT 1 REFERENCES retention_class,
    meta jsonb NOT NULL DEFAULT '{}',
    UNIQUE (host, collector, instance)
);
COMMENT ON COLUMN source.last_seen IS 'Brought up to date every few minutes, and when the appliance stops.';

CREATE TABLE source_layout (
    source_id integer NOT NULL REFERENCES source ON DELETE CASCADE,
    layout_id integer NOT NULL REFERENCES layout,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (source_id, layout_id)
);
CREATE INDEX source_layout_layout ON source_layout (layout_id);

CREATE TABLE sample (
    time timestamptz NOT NULL,
    since timestamptz NOT NULL,
    source_id integer NOT NULL,
    layout_id integer NOT NULL,
    class smallint NOT NULL,
    values float8[] NOT NULL
) PARTITION BY LIST (class);
COMMENT ON TABLE sample IS 'One row per batch: values[i] is the value of layout.names[i] over since..time; NaN was reported as unknown, NULL was not reported.';

CREATE TABLE sample_1 PARTITION OF sample FOR VALUES IN (1) PARTITION BY RANGE (time);

CREATE TABLE journal_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    segment bigint NOT NULL,
    "row" bigint NOT NULL
);
COMMENT ON TABLE journal_cursor IS 'The place in the journal up to which everything is stored, written with the rows themselves.';

CREATE VIEW metric AS
SELECT s.time, o.host, o.collector, o.instance, v.name, v.value
FROM sample s
JOIN source o ON o.id = s.source_id
JOIN layout l ON l.id = s.layout_id
CROSS JOIN LATERAL unnest(l.names, s.values) AS v (name, value)
WHERE v.value IS NOT NULL;
COMMENT ON VIEW metric IS 'Every collected value as a row of its own; no data is packed, so it shows all that is stored.';
