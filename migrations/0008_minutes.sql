-- Counts of each minute, for the figures of the last day. They are written in the commit of what they count.

CREATE TABLE minutes (
    minute  INTEGER NOT NULL, -- since the epoch
    measure INTEGER NOT NULL, -- 0: callbacks, 1: URLs sent, 2: indexed URLs, from 16: those with a delay of this bucket
    count   INTEGER NOT NULL,
    PRIMARY KEY (minute, measure)
) STRICT, WITHOUT ROWID;
