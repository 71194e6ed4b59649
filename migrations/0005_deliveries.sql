-- Webhooks: a job can have a URL that is told about its events.

-- The URL with its secrets, and the patterns of event kinds as a JSON list. Both or none.
ALTER TABLE jobs ADD COLUMN callback_url TEXT;
ALTER TABLE jobs ADD COLUMN callback_events TEXT;

CREATE INDEX jobs_with_callback ON jobs (number) WHERE callback_url IS NOT NULL;

-- An event that the URL of a job is told about. Deliveries of a job are made in the order of their events.
CREATE TABLE deliveries (
    number           INTEGER PRIMARY KEY,
    job              INTEGER NOT NULL REFERENCES jobs (number),
    seq              INTEGER NOT NULL, -- of the event
    host             TEXT NOT NULL,    -- of the URL: one slow host must not use up all requests
    state            INTEGER NOT NULL DEFAULT 1, -- 1: waiting, 2: delivered, 3: dead
    attempts         INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    next_attempt_at  INTEGER NOT NULL,
    ended_at         INTEGER,
    status           INTEGER, -- HTTP status of the last answer
    reason           TEXT,    -- why the last attempt failed
    UNIQUE (job, seq)
) STRICT;

CREATE INDEX deliveries_waiting ON deliveries (host, next_attempt_at) WHERE state = 1;
CREATE INDEX deliveries_next ON deliveries (next_attempt_at) WHERE state = 1;
CREATE INDEX deliveries_in_order ON deliveries (job, seq) WHERE state = 1;
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state <> 1;
