DROP TABLE metric_samples;
DROP TABLE metric_series;
