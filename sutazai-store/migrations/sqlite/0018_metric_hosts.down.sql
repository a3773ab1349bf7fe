-- Merges the series of all hosts, as the previous schema stored them. Of two samples at the same time, that of
-- the oldest series is kept.
CREATE TABLE hostless_series (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE hostless_samples (
    series_id INTEGER NOT NULL REFERENCES hostless_series (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    value     REAL    NOT NULL,
    PRIMARY KEY (series_id, at)
) STRICT, WITHOUT ROWID;

INSERT INTO hostless_series (id, name) SELECT min(id), name FROM metric_series GROUP BY name;
INSERT OR IGNORE INTO hostless_samples (series_id, at, value)
SELECT kept.id, sample.at, sample.value
FROM metric_samples AS sample
JOIN metric_series AS series ON series.id = sample.series_id
JOIN hostless_series AS kept ON kept.name = series.name
ORDER BY series.id, sample.at;

DROP TABLE metric_samples;
DROP TABLE metric_series;
ALTER TABLE hostless_series RENAME TO metric_series;
ALTER TABLE hostless_samples RENAME TO metric_samples;
