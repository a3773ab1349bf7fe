-- Escapes U+10FFFF in the texts of callers that were stored unescaped (`text.rs`); the other texts have ASCII only.
UPDATE api_keys SET name = replace(name, chr(1114111), chr(1114111) || '1') WHERE strpos(name, chr(1114111)) > 0;
UPDATE user_sessions SET user_agent = replace(user_agent, chr(1114111), chr(1114111) || '1') WHERE strpos(user_agent, chr(1114111)) > 0;
UPDATE outbox SET body = replace(body, chr(1114111), chr(1114111) || '1') WHERE strpos(body, chr(1114111)) > 0;
