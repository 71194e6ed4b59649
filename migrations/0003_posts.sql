-- Posts, rounds and wants. A task is formed when its turn comes and may serve several jobs.
--
-- Jobs and tasks get a number, by which the new tables refer to them. States and kinds in the new tables are small
-- integers; `src/domain` says which is which. The URLs of older tables are carried over in Rust, because only
-- `src/domain/url` knows their canonical forms; then the older tables are dropped.

DROP TRIGGER jobs_counted_insert;
DROP TRIGGER jobs_counted_update;
DROP TRIGGER jobs_counted_delete;
DROP TRIGGER tasks_counted_insert;
DROP TRIGGER tasks_counted_update;
DROP TRIGGER tasks_counted_delete;

-- Where upstream keeps posts.
CREATE TABLE destinations (
    number INTEGER PRIMARY KEY,
    hash   BLOB NOT NULL UNIQUE, -- 8 bytes; see `src/domain/destination.rs`
    kind   INTEGER,              -- 0: public, 1: default folder, 2: name, 3: number, 4: any private folder;
                                 -- NULL: a private folder that only its hash is known of
    name   TEXT,
    folder INTEGER
) STRICT;

CREATE TABLE jobs_numbered (
    number     INTEGER PRIMARY KEY,       -- order of arrival
    id         TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    settled_at INTEGER,
    state      TEXT NOT NULL,
    labels     TEXT NOT NULL,
    unique_id  TEXT,
    folder_id  INTEGER,
    quality    TEXT NOT NULL,
    library    TEXT NOT NULL,
    force      INTEGER NOT NULL,
    urls       INTEGER NOT NULL,
    waiting    INTEGER NOT NULL,
    sent       INTEGER NOT NULL DEFAULT 0,
    downloaded INTEGER NOT NULL DEFAULT 0,
    indexed    INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    known      INTEGER NOT NULL DEFAULT 0,
    canceled   INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO jobs_numbered
    (id, created_at, created_by, settled_at, state, labels, unique_id, folder_id, quality, library, force,
     urls, waiting, sent, downloaded, indexed, failed, known, canceled)
SELECT id, created_at, created_by, settled_at, state, labels, unique_id, folder_id, quality, library, force,
       urls, waiting, sent, downloaded, indexed, failed, known, canceled
FROM jobs ORDER BY id;
DROP TABLE jobs;
ALTER TABLE jobs_numbered RENAME TO jobs;
CREATE INDEX jobs_by_state ON jobs (state, id);

CREATE TABLE tasks_numbered (
    number             INTEGER PRIMARY KEY,
    id                 TEXT NOT NULL UNIQUE,
    job_id             TEXT REFERENCES jobs (id),  -- the first that it serves; NULL: recovered from a callback
    platform           TEXT,                       -- NULL: recovered, and no poll has listed a URL
    destination        INTEGER REFERENCES destinations (number), -- NULL: recovered, and not known
    quality            INTEGER,                    -- vertical resolution; NULL: recovered, and not known
    created_at         INTEGER NOT NULL,
    state              TEXT NOT NULL,
    upstream_id        TEXT,
    upstream_id_source TEXT,
    other_id           TEXT,                       -- a second taskId that came with the task's own token
    asks_other         INTEGER NOT NULL DEFAULT 0, -- whether the next poll asks about `other_id`
    accepted_at        INTEGER,
    downloaded_at      INTEGER,
    settled_at         INTEGER,
    retry_of           TEXT REFERENCES tasks (id),
    replaced_by        TEXT REFERENCES tasks (id), -- the newest retry, or the task that this one turned out to be
    error_code         TEXT,
    error_message      TEXT,
    error_certain      INTEGER,
    next_attempt_at    INTEGER NOT NULL,
    news               INTEGER NOT NULL DEFAULT 0,
    news_at            INTEGER NOT NULL,
    polled_news        INTEGER NOT NULL DEFAULT -1,
    asked_news         INTEGER NOT NULL DEFAULT -1,
    polled_at          INTEGER,
    answered_at        INTEGER,
    poll_wanted        INTEGER NOT NULL DEFAULT -1,
    polls_in_vain      INTEGER NOT NULL DEFAULT 0,
    refused_polls      INTEGER NOT NULL DEFAULT 0,
    refused_since      INTEGER,                    -- when the first of the refused polls in a row was asked
    poll_not_before    INTEGER NOT NULL DEFAULT 0,
    hinted_at          INTEGER,
    quiet_since        INTEGER,                    -- when the first whole answer that brought nothing new was asked for
    stalled_at         INTEGER,
    next_poll_at       INTEGER,
    unrecognized       INTEGER NOT NULL DEFAULT 0,
    is_old             INTEGER NOT NULL DEFAULT 0  -- an older version gave it its end; it stays until there is news
) STRICT;

INSERT INTO tasks_numbered
    (id, job_id, platform, created_at, state, upstream_id, upstream_id_source, accepted_at, downloaded_at, settled_at,
     retry_of, replaced_by, error_code, error_message, next_attempt_at, news, news_at, polled_news, asked_news,
     polled_at, answered_at, poll_wanted, polls_in_vain, refused_polls, poll_not_before, hinted_at, quiet_since,
     stalled_at, next_poll_at, unrecognized, is_old)
SELECT id, job_id, platform, created_at, state, upstream_id, upstream_id_source, accepted_at, downloaded_at, settled_at,
       retry_of, replaced_by, error_code, error_message, next_attempt_at, news, news_at, polled_news, asked_news,
       polled_at, answered_at, poll_wanted, polls_in_vain, refused_polls, poll_not_before, hinted_at, quiet_since,
       stalled_at, next_poll_at, unrecognized, 1
FROM tasks ORDER BY id;
DROP TABLE tasks;
ALTER TABLE tasks_numbered RENAME TO tasks;

CREATE INDEX tasks_by_job ON tasks (job_id, id);
CREATE INDEX tasks_by_upstream_id ON tasks (upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX tasks_by_other_id ON tasks (other_id) WHERE other_id IS NOT NULL;
CREATE INDEX tasks_by_state ON tasks (state, id);
CREATE INDEX tasks_by_platform ON tasks (platform, id);
CREATE INDEX tasks_to_submit ON tasks (next_attempt_at, id) WHERE state = 'queued';
CREATE INDEX tasks_to_poll ON tasks (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX tasks_awaited ON tasks (news_at)
    WHERE state IN ('unconfirmed', 'accepted', 'downloaded') AND stalled_at IS NULL;
CREATE INDEX tasks_unconfirmed ON tasks (news_at) WHERE state = 'unconfirmed';
CREATE INDEX tasks_stalled ON tasks (settled_at) WHERE state = 'stalled' AND replaced_by IS NULL;
CREATE INDEX tasks_silent ON tasks (accepted_at) WHERE state = 'accepted';

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

-- How many URLs a submit carried, so that a day's total needs no other table.
ALTER TABLE submits ADD COLUMN urls INTEGER NOT NULL DEFAULT 0;
UPDATE submits SET urls = (SELECT count(*) FROM task_urls WHERE task_urls.task_id = submits.task_id);

-- The ledger: a canonical URL at a destination, once, forever.
CREATE TABLE posts (
    number      INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL REFERENCES destinations (number),
    hash        INTEGER NOT NULL, -- the first 64 bits of the SHA-256 of `canonical`
    canonical   TEXT NOT NULL,
    url         TEXT NOT NULL,    -- as it was first given
    platform    TEXT NOT NULL
) STRICT;

CREATE INDEX posts_by_hash ON posts (hash);

-- What waits together: posts that one request can take.
CREATE TABLE lines (
    number      INTEGER PRIMARY KEY,
    platform    TEXT NOT NULL,
    destination INTEGER NOT NULL REFERENCES destinations (number),
    quality     INTEGER NOT NULL, -- vertical resolution
    waiting     INTEGER NOT NULL DEFAULT 0, -- rounds that wait in it; a trigger keeps it, but not as rounds are inserted
    UNIQUE (platform, destination, quality)
) STRICT;

CREATE INDEX lines_waiting ON lines (number) WHERE waiting > 0;

-- A round begins each time a post enters the queue. It waits while it has a line.
CREATE TABLE rounds (
    number   INTEGER PRIMARY KEY, -- order of arrival
    post     INTEGER NOT NULL REFERENCES posts (number),
    job      INTEGER REFERENCES jobs (number), -- whose want began it: it is charged for it; NULL: recovered
    url      TEXT,                -- as that want gave it, if other than the post's
    begun_at INTEGER NOT NULL,
    line     INTEGER REFERENCES lines (number),
    kind     INTEGER NOT NULL DEFAULT 0, -- how it travels; 0: with others, 1: a short link, 2: alone
    state    INTEGER NOT NULL,    -- a URL's; 0: failed, 1: waiting, 2: sent, 3: downloaded, 4: indexed, 5: known
    code     TEXT,
    message  TEXT,
    certain  INTEGER
) STRICT;

CREATE INDEX rounds_by_post ON rounds (post);
CREATE INDEX rounds_waiting ON rounds (line, kind, number) WHERE line IS NOT NULL;

CREATE TRIGGER rounds_waiting_update AFTER UPDATE OF line ON rounds WHEN old.line IS NOT new.line BEGIN
    UPDATE lines SET waiting = waiting - 1 WHERE number = old.line;
    UPDATE lines SET waiting = waiting + 1 WHERE number = new.line;
END;

-- The URLs of jobs. Each belongs to one round of its post.
CREATE TABLE wants (
    job      INTEGER NOT NULL REFERENCES jobs (number),
    position INTEGER NOT NULL,
    round    INTEGER NOT NULL REFERENCES rounds (number),
    mark     INTEGER, -- 1: known, 2: canceled, 3: an older version took it for another post; NULL: as its round
    url      TEXT,    -- as it was given, if other than the post's
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX wants_by_round ON wants (round, job);

-- The URLs of tasks: for each post that a task takes along, where it stands in this task.
CREATE TABLE attempts (
    task     INTEGER NOT NULL REFERENCES tasks (number),
    position INTEGER NOT NULL,
    round    INTEGER NOT NULL REFERENCES rounds (number),
    state    INTEGER NOT NULL,  -- as in `rounds`
    standing INTEGER NOT NULL,  -- for new wants; 0: ended, 1: unconfirmed, 2: on its way, 3: known, 4: its task waits
    attributed INTEGER NOT NULL DEFAULT 1, -- 0: upstream has not said that its videos are of this URL
    code     TEXT,
    message  TEXT,
    certain  INTEGER,
    PRIMARY KEY (task, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_round ON attempts (round, task);

-- What polls have listed: each entry that differs, once.
CREATE TABLE entries (
    task      INTEGER NOT NULL REFERENCES tasks (number),
    number    INTEGER NOT NULL,
    video     TEXT,    -- upstream's id; NULL: it has none
    url       TEXT,    -- as listed; NULL: without one
    canonical TEXT,    -- NULL: no URL, or text that is none
    state     INTEGER NOT NULL, -- 0: indexing, 1: failed, 2: indexed
    at        INTEGER NOT NULL,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;

-- Which videos belong to which URL of a task, as the evidence says now.
CREATE TABLE joins (
    task     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    video    TEXT NOT NULL,
    PRIMARY KEY (task, position, video),
    FOREIGN KEY (task, position) REFERENCES attempts (task, position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX joins_by_video ON joins (video, task, position);

-- Which post the video of an event belonged to when it was told of, so that its job sees it, then and later.
-- -1: the task served one job alone; 0: nobody knew; NULL: an older version told of it.
ALTER TABLE events ADD COLUMN post INTEGER;

-- Which jobs a task serves, and the last event before it did: what came before is not theirs.
CREATE TABLE served (
    task  INTEGER NOT NULL REFERENCES tasks (number),
    job   INTEGER NOT NULL REFERENCES jobs (number),
    after INTEGER NOT NULL,
    PRIMARY KEY (job, task)
) STRICT, WITHOUT ROWID;

CREATE INDEX served_by_task ON served (task, job);

-- Rounds whose change has not reached every job that wants them: too many for one commit. Jobs up to `after_job` have
-- been told. Later commits go on from there, also after a crash.
CREATE TABLE due_rounds (
    round     INTEGER PRIMARY KEY REFERENCES rounds (number),
    after_job INTEGER NOT NULL DEFAULT 0,
    at        INTEGER NOT NULL,
    source    TEXT NOT NULL
) STRICT;

-- Jobs whose URLs have to be counted again after such a change. Every job is counted once while the file is carried over.
DROP TABLE due_counts;
CREATE TABLE due_counts (
    job    INTEGER PRIMARY KEY REFERENCES jobs (number),
    at     INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT;

-- Jobs that somebody canceled and that have more waiting URLs than one commit can cancel.
ALTER TABLE due_cancels RENAME TO old_due_cancels;
CREATE TABLE due_cancels (
    job            INTEGER PRIMARY KEY REFERENCES jobs (number),
    words          TEXT NOT NULL,    -- for the events: who canceled it
    after_position INTEGER NOT NULL, -- up to here it is done
    at             INTEGER NOT NULL
) STRICT;
