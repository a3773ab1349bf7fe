DROP INDEX conversations_updated;
DROP INDEX conversations_owner;
CREATE INDEX conversations_owner ON conversations (owner, id);
