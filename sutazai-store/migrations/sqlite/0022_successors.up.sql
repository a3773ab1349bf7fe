-- What the successor of a spent refresh token was derived with: its client may repeat the token for a moment.
ALTER TABLE spent_refresh_tokens ADD COLUMN salt TEXT;
