-- Lists of conversations are in the order of their latest messages: those of a user, and those of all.
DROP INDEX conversations_owner;
CREATE INDEX conversations_owner ON conversations (owner, updated_at, id);
CREATE INDEX conversations_updated ON conversations (updated_at, id);
