-- Number of messages of a conversation and of their bytes, so that quotas are checked without reading the
-- messages.
ALTER TABLE conversations ADD COLUMN message_count bigint NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN message_bytes bigint NOT NULL DEFAULT 0;

UPDATE conversations SET message_count = said.count, message_bytes = said.bytes
FROM (SELECT conversation_id, count(*) AS count, sum(octet_length(content)) AS bytes FROM messages GROUP BY conversation_id) AS said
WHERE said.conversation_id = conversations.id;
