-- What agents last said beside numbers: when, their text facts and their warnings.

CREATE TABLE heard (
    host text NOT NULL,
    plugin text NOT NULL,
    last timestamptz NOT NULL,
    meta jsonb NOT NULL,
    warnings jsonb NOT NULL,
    PRIMARY KEY (host, plugin)
) WITH (fillfactor = 50);
COMMENT ON TABLE heard IS 'What the last push said of a plugin of a host: a key has the time of its report (epoch seconds) and its text.';
