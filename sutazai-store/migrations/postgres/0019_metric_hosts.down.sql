-- Merges the series of all hosts, as the previous schema stored them. Of two samples at the same time, that of
-- the oldest series is kept.
CREATE TEMPORARY TABLE merged_series ON COMMIT DROP AS
SELECT id, first_value(id) OVER (PARTITION BY name ORDER BY id) AS kept FROM metric_series;

INSERT INTO metric_samples (series_id, at, value)
SELECT kept, at, value FROM metric_samples JOIN merged_series ON id = series_id WHERE id <> kept ORDER BY id
ON CONFLICT (series_id, at) DO NOTHING;

DELETE FROM metric_series WHERE id IN (SELECT id FROM merged_series WHERE id <> kept);
ALTER TABLE metric_series DROP CONSTRAINT metric_series_host_name;
ALTER TABLE metric_series DROP COLUMN host;
ALTER TABLE metric_series ADD CONSTRAINT metric_series_name UNIQUE (name);
