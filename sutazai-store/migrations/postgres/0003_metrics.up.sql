-- Metric samples over time. A series has a short number, so that samples do not repeat its name.
CREATE TABLE metric_series (
    id   integer NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text    NOT NULL CONSTRAINT metric_series_name UNIQUE
);

CREATE TABLE metric_samples (
    series_id integer          NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    at        timestamptz      NOT NULL,
    value     double precision NOT NULL,
    PRIMARY KEY (series_id, at)
);

-- Samples by age, for downsampling and retention.
CREATE INDEX metric_samples_at ON metric_samples (at);
