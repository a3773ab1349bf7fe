-- How far the events have been passed on to the message bus, and by whom. One row, made when a bus is first configured.
CREATE TABLE relay (
    id         smallint    NOT NULL CONSTRAINT relay_id PRIMARY KEY CHECK (id = 1),
    -- Everything up to here has been passed on: a number of 128 bits.
    position   text        NOT NULL,
    holder     uuid,
    held_until timestamptz NOT NULL
);
