-- Beginning of the event log after events were deleted because of their age; no row if none were.
CREATE TABLE feed_begin (
    position INTEGER NOT NULL
) STRICT;
