-- A series belongs to one machine, as in PostgreSQL, so that a moved or merged file does not mix machines.
-- Existing rows get the host 'unknown' and expire with the rest of the history. SQLite cannot drop a UNIQUE
-- constraint, and dropping a table deletes rows that refer to it, so both tables are copied, and the samples are
-- dropped first.
CREATE TABLE host_series (
    id   INTEGER NOT NULL PRIMARY KEY,
    host TEXT    NOT NULL,
    name TEXT    NOT NULL,
    UNIQUE (host, name)
) STRICT;

CREATE TABLE host_samples (
    series_id INTEGER NOT NULL REFERENCES host_series (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    value     REAL    NOT NULL,
    PRIMARY KEY (series_id, at)
) STRICT, WITHOUT ROWID;

INSERT INTO host_series (id, host, name) SELECT id, 'unknown', name FROM metric_series;
INSERT INTO host_samples (series_id, at, value) SELECT series_id, at, value FROM metric_samples ORDER BY series_id, at;

DROP TABLE metric_samples;
DROP TABLE metric_series;
ALTER TABLE host_series RENAME TO metric_series;
ALTER TABLE host_samples RENAME TO metric_samples;
