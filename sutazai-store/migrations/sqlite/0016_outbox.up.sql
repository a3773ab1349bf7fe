-- Outbox: messages about tasks that were deleted before their events were published to the message bus; the
-- larger number of a task is the later one. Empty while the bus is reachable.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL,
    topic  TEXT NOT NULL,
    body   TEXT NOT NULL,
    trace  TEXT
) STRICT;
