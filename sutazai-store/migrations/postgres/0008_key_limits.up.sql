-- Maximum number of requests per minute with this key; applies where it is below the limit of the server.
ALTER TABLE api_keys ADD COLUMN requests_per_minute bigint CHECK (requests_per_minute BETWEEN 1 AND 4294967295);
