UPDATE outbox SET body = replace(body, chr(1114111) || '1', chr(1114111)) WHERE strpos(body, chr(1114111)) > 0;
UPDATE user_sessions SET user_agent = replace(user_agent, chr(1114111) || '1', chr(1114111)) WHERE strpos(user_agent, chr(1114111)) > 0;
UPDATE api_keys SET name = replace(name, chr(1114111) || '1', chr(1114111)) WHERE strpos(name, chr(1114111)) > 0;
