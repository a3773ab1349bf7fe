-- A series belongs to one machine, so that several machines over one database do not mix their samples. Existing
-- rows cannot be attributed: they get the host 'unknown' and expire with the rest of the history.
ALTER TABLE metric_series ADD COLUMN host text NOT NULL DEFAULT 'unknown';
ALTER TABLE metric_series ALTER COLUMN host DROP DEFAULT;
ALTER TABLE metric_series DROP CONSTRAINT metric_series_name;
ALTER TABLE metric_series ADD CONSTRAINT metric_series_host_name UNIQUE (host, name);
