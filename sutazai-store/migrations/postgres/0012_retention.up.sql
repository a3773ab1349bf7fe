-- Beginning of the event log after events were deleted because of their age; no row if none were.
CREATE TABLE feed_begin (
    transaction xid8   NOT NULL,
    number      bigint NOT NULL
);
