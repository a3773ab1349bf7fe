-- The ends that keys were given stay: which had none is not known any more.
DROP TABLE invitations;
DROP TABLE deleted_sessions;
DROP TABLE spent_refresh_tokens;
