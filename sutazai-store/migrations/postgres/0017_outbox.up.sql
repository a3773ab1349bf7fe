-- Outbox: messages about tasks that were deleted before their events were published to the message bus; the
-- larger number of a task is the later one. Empty while the bus is reachable.
CREATE TABLE outbox (
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_number PRIMARY KEY,
    id     text   NOT NULL,
    topic  text   NOT NULL,
    body   text   NOT NULL,
    trace  text
);
