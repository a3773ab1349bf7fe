-- Position of the relay to the message bus, and its holder. One row, created when a bus is first configured.
CREATE TABLE relay (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Offset of the last published event.
    position   TEXT    NOT NULL,
    holder     BLOB,
    held_until INTEGER NOT NULL
) STRICT;
