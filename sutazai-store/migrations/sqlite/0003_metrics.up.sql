-- Metric samples over time. A series has a short number, so that samples do not repeat its name.
CREATE TABLE metric_series (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE metric_samples (
    series_id INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    value     REAL    NOT NULL,
    PRIMARY KEY (series_id, at)
) STRICT, WITHOUT ROWID;
