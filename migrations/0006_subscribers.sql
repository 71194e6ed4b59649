-- Subscribers: URLs that are told about events of all jobs, or of the jobs with some labels.

CREATE TABLE subscribers (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    name             TEXT UNIQUE,
    is_configured    INTEGER NOT NULL,  -- 1: so not editable over the API, 2: it was
    created_at       INTEGER NOT NULL,
    url              TEXT NOT NULL,     -- with its secrets
    events           TEXT NOT NULL,     -- patterns of event kinds, as a JSON list
    labels           TEXT NOT NULL,     -- a JSON object: only jobs with all of these labels
    format           TEXT NOT NULL,
    template         TEXT,
    secret           TEXT,              -- none: forward.secret signs
    -- Sign as well, for receivers that do not know the new one yet. A JSON list of pairs: the secret and the last time,
    -- or null as long as the configuration has it.
    old_secrets      TEXT NOT NULL DEFAULT '[]',
    after            INTEGER NOT NULL,  -- only events with a greater seq
    enabled          INTEGER NOT NULL DEFAULT 1,
    disabled_at      INTEGER,
    disabled_seq     INTEGER,           -- of the first event that it may have missed, until a replay begins before it
    disabled_reason  TEXT,              -- none: an operator disabled it
    failing_since    INTEGER,           -- the first failed attempt since the last success
    replay_after     INTEGER,           -- a replay has come to this seq
    replay_to        INTEGER,           -- the last event of the replay
    removed_at       INTEGER            -- its deliveries are removed in small steps, and then this row
) STRICT;

-- A receiver that answered 410 wants no more webhooks.
ALTER TABLE jobs ADD COLUMN callback_gone_at INTEGER;
-- None: standard.
ALTER TABLE jobs ADD COLUMN callback_format TEXT;

ALTER TABLE deliveries RENAME TO old_deliveries;
DROP INDEX deliveries_waiting;
DROP INDEX deliveries_next;
DROP INDEX deliveries_in_order;
DROP INDEX deliveries_ended;

-- An event that a subscriber or the URL of a job is told about.
CREATE TABLE deliveries (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber       INTEGER NOT NULL, -- its number, or 0 for the URL of a job
    job              INTEGER,          -- the job that the body shows; none if the event is about no job
    key              TEXT NOT NULL,    -- the seq, or the subject of a body in upstream's format
    seq              INTEGER NOT NULL, -- of the event
    receiver         TEXT NOT NULL,    -- the subscriber, or the host of the URL: one must not use up all requests
    ahead            INTEGER NOT NULL DEFAULT 0, -- its jobs for which an earlier delivery waits
    state            INTEGER NOT NULL DEFAULT 1, -- 1: waiting, 2: delivered, 3: dead
    attempts         INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    first_attempt_at INTEGER,
    last_attempt_at  INTEGER,
    next_attempt_at  INTEGER NOT NULL,
    ended_at         INTEGER,
    status           INTEGER, -- HTTP status of the last answer
    reason           TEXT     -- why the last attempt failed
) STRICT;

CREATE UNIQUE INDEX deliveries_of_jobs ON deliveries (job, key) WHERE subscriber = 0;
CREATE UNIQUE INDEX deliveries_of_subscribers ON deliveries (subscriber, key) WHERE subscriber > 0;
CREATE INDEX deliveries_listed ON deliveries (subscriber, state, number) WHERE subscriber > 0;
CREATE INDEX deliveries_dead ON deliveries (subscriber, seq) WHERE state = 3;
CREATE INDEX deliveries_ready ON deliveries (receiver, next_attempt_at) WHERE state = 1 AND ahead = 0;
CREATE INDEX deliveries_next ON deliveries (next_attempt_at) WHERE state = 1 AND ahead = 0;
CREATE INDEX deliveries_oldest ON deliveries (receiver, created_at) WHERE state = 1;
-- Retention keeps the events that are still to be told.
CREATE INDEX deliveries_awaiting ON deliveries (seq) WHERE state = 1;
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state <> 1;

-- The waiting deliveries of each job, in the order in which they are made. Job 0: events about no job.
CREATE TABLE delivery_order (
    subscriber INTEGER NOT NULL,
    job        INTEGER NOT NULL,
    delivery   INTEGER NOT NULL REFERENCES deliveries (number),
    PRIMARY KEY (subscriber, job, delivery)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_order_of ON delivery_order (delivery);

-- How many deliveries are in each state, of all receivers and of each subscriber.
CREATE TRIGGER deliveries_counted_insert AFTER INSERT ON deliveries BEGIN
    INSERT INTO counts VALUES ('deliveries', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    INSERT INTO counts VALUES ('subscriber ' || new.subscriber, new.state, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER deliveries_counted_update AFTER UPDATE OF state ON deliveries WHEN old.state <> new.state BEGIN
    INSERT INTO counts VALUES ('deliveries', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    INSERT INTO counts VALUES ('subscriber ' || new.subscriber, new.state, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
    UPDATE counts SET count = count - 1
        WHERE subject IN ('deliveries', 'subscriber ' || old.subscriber) AND state = CAST(old.state AS TEXT);
END;
CREATE TRIGGER deliveries_counted_delete AFTER DELETE ON deliveries BEGIN
    UPDATE counts SET count = count - 1
        WHERE subject IN ('deliveries', 'subscriber ' || old.subscriber) AND state = CAST(old.state AS TEXT);
END;

INSERT INTO deliveries (subscriber, job, key, seq, receiver, state, attempts, created_at, first_attempt_at,
    last_attempt_at, next_attempt_at, ended_at, status, reason)
SELECT 0, job, seq, seq, host, state, attempts, ifnull(first_attempt_at, next_attempt_at), first_attempt_at,
    coalesce(ended_at, first_attempt_at), next_attempt_at, ended_at, status, reason
FROM old_deliveries ORDER BY job, seq;
DROP TABLE old_deliveries;

INSERT INTO delivery_order (subscriber, job, delivery) SELECT 0, job, number FROM deliveries WHERE state = 1;
UPDATE deliveries SET ahead = 1
WHERE state = 1 AND EXISTS (SELECT 1 FROM delivery_order AS before
                            WHERE before.subscriber = 0 AND before.job = deliveries.job
                              AND before.delivery < deliveries.number);
