DROP TABLE api_keys;
DROP INDEX user_sessions_revoked;
ALTER TABLE user_sessions DROP COLUMN user_agent;
