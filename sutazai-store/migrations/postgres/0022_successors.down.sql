ALTER TABLE spent_refresh_tokens DROP COLUMN salt;
