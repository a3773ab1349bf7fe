-- How far the events have been passed on to the message bus, and by whom. One row, made when a bus is first configured.
CREATE TABLE relay (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Everything up to here has been passed on.
    position   TEXT    NOT NULL,
    holder     BLOB,
    held_until INTEGER NOT NULL
) STRICT;
