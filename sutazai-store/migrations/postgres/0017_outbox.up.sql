-- Messages about tasks that were removed before their events were passed on to the message bus; the larger number of a task
-- is the later one. Empty as long as the bus is there.
CREATE TABLE outbox (
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_number PRIMARY KEY,
    id     text   NOT NULL,
    topic  text   NOT NULL,
    body   text   NOT NULL,
    trace  text
);
