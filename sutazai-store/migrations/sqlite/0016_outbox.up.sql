-- Messages about tasks that were removed before their events were passed on to the message bus; the larger number of a task
-- is the later one. Empty as long as the bus is there.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL,
    topic  TEXT NOT NULL,
    body   TEXT NOT NULL,
    trace  TEXT
) STRICT;
