-- Work that is due, counts as rows, and indexes that keep questions as quick as they were with an empty file.

-- `news` when the last poll was asked, whether or not upstream answered. Nothing is asked twice at once for one news.
ALTER TABLE tasks ADD COLUMN asked_news INTEGER NOT NULL DEFAULT -1;

-- Guesses by a poll after a hint used to be stored as the operator's word; the event tells them apart.
UPDATE tasks SET upstream_id_source = 'poll'
WHERE upstream_id_source = 'operator' AND EXISTS (
  SELECT 1 FROM events
  WHERE events.task_id = tasks.id AND kind = 'task.accepted' AND source = 'poll'
    AND events.upstream_id = tasks.upstream_id);

-- Task URLs whose change has not reached every job that follows them: too many jobs for one commit. A job with an id
-- after `after_job` counts the URL as `told`; later commits go on from there, also after a crash.
CREATE TABLE due_urls (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id       TEXT NOT NULL,
    position      INTEGER NOT NULL,
    told          TEXT NOT NULL,    -- a state of a URL
    told_canceled INTEGER NOT NULL, -- whether it counts as canceled
    is_lost       INTEGER NOT NULL, -- its task ended without it: other jobs that follow it need another task
    to_task       TEXT,             -- they follow this task instead: it was retried or made way
    to_position   INTEGER,
    after_job     TEXT NOT NULL DEFAULT '',
    at            INTEGER NOT NULL,
    source        TEXT NOT NULL,
    UNIQUE (task_id, position),
    FOREIGN KEY (task_id, position) REFERENCES task_urls (task_id, position),
    FOREIGN KEY (to_task, to_position) REFERENCES task_urls (task_id, position)
) STRICT;

-- Jobs whose URLs have to be counted again after such a change.
CREATE TABLE due_counts (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id),
    at     INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs that somebody canceled and that have more queued tasks than one commit can end.
CREATE TABLE due_cancels (
    job_id     TEXT PRIMARY KEY REFERENCES jobs (id),
    words      TEXT NOT NULL,    -- for the events: who canceled it
    after_task TEXT NOT NULL,    -- up to here it is done
    last_task  TEXT NOT NULL,    -- what was made later was not canceled
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many rows of a table are in a state; kept by triggers, so in the commit that changes the row.
CREATE TABLE counts (
    subject TEXT NOT NULL, -- 'jobs', 'tasks' or 'videos'
    state   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, state)
) STRICT, WITHOUT ROWID;

INSERT INTO counts (subject, state, count) SELECT 'jobs', state, count(*) FROM jobs GROUP BY state;
INSERT INTO counts (subject, state, count) SELECT 'tasks', state, count(*) FROM tasks GROUP BY state;
INSERT INTO counts (subject, state, count) SELECT 'videos', state, count(*) FROM videos GROUP BY state;

CREATE TRIGGER jobs_counted_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO counts VALUES ('jobs', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER jobs_counted_update AFTER UPDATE OF state ON jobs WHEN old.state <> new.state BEGIN
    INSERT INTO counts VALUES ('jobs', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    UPDATE counts SET count = count - 1 WHERE subject = 'jobs' AND state = old.state;
END;
CREATE TRIGGER jobs_counted_delete AFTER DELETE ON jobs BEGIN
    UPDATE counts SET count = count - 1 WHERE subject = 'jobs' AND state = old.state;
END;

CREATE TRIGGER tasks_counted_insert AFTER INSERT ON tasks BEGIN
    INSERT INTO counts VALUES ('tasks', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tasks_counted_update AFTER UPDATE OF state ON tasks WHEN old.state <> new.state BEGIN
    INSERT INTO counts VALUES ('tasks', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    UPDATE counts SET count = count - 1 WHERE subject = 'tasks' AND state = old.state;
END;
CREATE TRIGGER tasks_counted_delete AFTER DELETE ON tasks BEGIN
    UPDATE counts SET count = count - 1 WHERE subject = 'tasks' AND state = old.state;
END;

CREATE TRIGGER videos_counted_insert AFTER INSERT ON videos BEGIN
    INSERT INTO counts VALUES ('videos', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER videos_counted_update AFTER UPDATE OF state ON videos WHEN old.state <> new.state BEGIN
    INSERT INTO counts VALUES ('videos', new.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    UPDATE counts SET count = count - 1 WHERE subject = 'videos' AND state = old.state;
END;
CREATE TRIGGER videos_counted_delete AFTER DELETE ON videos BEGIN
    UPDATE counts SET count = count - 1 WHERE subject = 'videos' AND state = old.state;
END;

-- What is looked for among all tasks: those to sweep, to warn of, to adopt. Few of them at any time.
CREATE INDEX tasks_awaited ON tasks (news_at)
    WHERE state IN ('unconfirmed', 'accepted', 'downloaded') AND stalled_at IS NULL;
CREATE INDEX tasks_unconfirmed ON tasks (news_at) WHERE state = 'unconfirmed';
CREATE INDEX tasks_stalled ON tasks (settled_at) WHERE state = 'stalled' AND replaced_by IS NULL;
CREATE INDEX tasks_silent ON tasks (accepted_at) WHERE state = 'accepted';
