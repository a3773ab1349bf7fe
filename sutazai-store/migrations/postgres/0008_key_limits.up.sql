-- So many requests the key may make in a minute, where the server allows more.
ALTER TABLE api_keys ADD COLUMN requests_per_minute bigint CHECK (requests_per_minute BETWEEN 1 AND 4294967295);
