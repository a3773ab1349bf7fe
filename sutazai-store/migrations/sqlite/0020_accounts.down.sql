-- Keys keep the expiry that they were given, because it is not stored which of them had none.
DROP TABLE invitations;
DROP TABLE deleted_sessions;
DROP TABLE spent_refresh_tokens;
