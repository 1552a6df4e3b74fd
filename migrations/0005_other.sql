-- Rows of tables that WCS did not have when this was written, taken with unknown_tables = create: each an object of its
-- cells. They go when they have been here for as long as events are kept.
CREATE TABLE wcs.other (
    name text COLLATE "C" NOT NULL,
    extra jsonb NOT NULL,
    server inet NOT NULL DEFAULT '0.0.0.0',
    received timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON wcs.other (name, received);
CREATE INDEX ON wcs.other USING brin (received) WITH (pages_per_range = 32, autosummarize = on);

DO $$
BEGIN
    IF to_regrole('wcs_reader') IS NOT NULL THEN
        GRANT SELECT ON wcs.other TO wcs_reader;
    END IF;
END $$;
