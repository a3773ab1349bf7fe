-- After the last event that was removed for its age: one row, or none when none was.
CREATE TABLE feed_begin (
    transaction xid8   NOT NULL,
    number      bigint NOT NULL
);
