-- Years of history: classes of retention, coarser cells in tiers, and the packed form in which both are kept.

ALTER TABLE retention_class ALTER COLUMN collected DROP NOT NULL;
COMMENT ON COLUMN retention_class.name IS 'The pattern of its section in [retention]; "default" is what no other matches.';

ALTER TABLE source ADD COLUMN was smallint[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN source.was IS 'The classes that it was of before: what was stored then lies in their partitions.';

CREATE TABLE tier (
    class smallint NOT NULL REFERENCES retention_class,
    step integer NOT NULL,
    keep interval NOT NULL,
    period integer NOT NULL,
    part integer NOT NULL,
    built timestamptz,
    PRIMARY KEY (class, step)
);
COMMENT ON TABLE tier IS 'What is kept beside the rows: cells of a step (seconds), or with step 0 the rows themselves, packed.';
COMMENT ON COLUMN tier.period IS 'Days that one chunk covers.';
COMMENT ON COLUMN tier.part IS 'Days that one partition covers.';
COMMENT ON COLUMN tier.built IS 'Everything before it is there.';

CREATE TABLE chunk (
    class smallint NOT NULL,
    step integer NOT NULL,
    source_id integer NOT NULL,
    layout_id integer NOT NULL,
    start timestamptz NOT NULL,
    offsets integer[] NOT NULL,
    data bytea NOT NULL
) PARTITION BY LIST (class);
COMMENT ON TABLE chunk IS 'Packed columns of one source over one period that begins at start; column i is bytes offsets[i] to offsets[i + 1] of data.';

CREATE TABLE stale (
    source_id integer NOT NULL,
    day timestamptz NOT NULL,
    marked timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_id, day)
);
COMMENT ON TABLE stale IS 'Days of sources for which rows came after they had been packed or consolidated.';

COMMENT ON VIEW metric IS 'Every collected value as a row of its own, of the days that are not packed yet.';
