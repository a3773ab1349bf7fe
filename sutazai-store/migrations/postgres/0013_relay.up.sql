-- Position of the relay to the message bus, and its holder. One row, created when a bus is first configured.
CREATE TABLE relay (
    id         smallint    NOT NULL CONSTRAINT relay_id PRIMARY KEY CHECK (id = 1),
    -- Offset of the last published event: a number of 128 bits.
    position   text        NOT NULL,
    holder     uuid,
    held_until timestamptz NOT NULL
);
