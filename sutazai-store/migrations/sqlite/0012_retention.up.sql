-- After the last event that was removed for its age: one row, or none when none was.
CREATE TABLE feed_begin (
    position INTEGER NOT NULL
) STRICT;
