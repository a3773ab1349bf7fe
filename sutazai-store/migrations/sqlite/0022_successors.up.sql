-- Salt from which the successor of a spent refresh token was derived; its client may repeat the token for 30
-- seconds.
ALTER TABLE spent_refresh_tokens ADD COLUMN salt TEXT;
