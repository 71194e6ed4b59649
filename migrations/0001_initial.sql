-- The data of scrapehook.
--
-- Times are milliseconds since the Unix epoch, UTC. Ids of ours are text (`job_…`, `task_…`), ordered by
-- creation. Facts are set once and never taken back; every `state` is derived from them by
-- `src/domain/state.rs` and stored in the same commit.

-- What belongs to the file as a whole: the upstream it is bound to (`upstream`), the generated callback
-- secret (`callback_secret`), when the file was last proved to be writable (`proved_at`), up to which `seq` events were
-- removed (`events_removed_to`), and in a backup alone `backup`: what was queued in it may have been sent since.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A job: what a client submitted. The counts say where its URLs stand and add up to `urls`.
CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,                      -- name of the API key; NULL where none was required
    settled_at INTEGER,
    state      TEXT NOT NULL,
    labels     TEXT NOT NULL,             -- JSON object of strings
    unique_id  TEXT,                      -- as the client gave it
    folder_id  INTEGER,                   -- as the client gave it
    quality    TEXT NOT NULL,
    library    TEXT NOT NULL,
    force      INTEGER NOT NULL,          -- it sends also what is known or on its way elsewhere
    urls       INTEGER NOT NULL,
    waiting    INTEGER NOT NULL,
    sent       INTEGER NOT NULL DEFAULT 0,
    downloaded INTEGER NOT NULL DEFAULT 0,
    indexed    INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    known      INTEGER NOT NULL DEFAULT 0,
    canceled   INTEGER NOT NULL DEFAULT 0 -- how many of the failed were canceled
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_state ON jobs (state, id);

-- The labels of jobs once more, to find jobs by them.
CREATE TABLE job_labels (
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (key, value, job_id)
) STRICT, WITHOUT ROWID;

-- Words of clients under which a job is made once; kept for ever.
CREATE TABLE idempotency_keys (
    caller  TEXT NOT NULL, -- name of the API key; empty where none was required
    key     TEXT NOT NULL,
    request BLOB NOT NULL, -- SHA-256 of what was asked for
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;

-- A task: one upstream request, at most 50 URLs of one platform.
CREATE TABLE tasks (
    id                 TEXT PRIMARY KEY,
    job_id             TEXT REFERENCES jobs (id), -- NULL: recovered from a callback of a task we don't know
    platform           TEXT,                      -- NULL likewise
    created_at         INTEGER NOT NULL,
    state              TEXT NOT NULL,
    upstream_id        TEXT,                      -- their taskId; not unique: upstream may fold two submits
    upstream_id_source TEXT,                      -- the answer to the submit overrules a callback's body
    accepted_at        INTEGER,
    downloaded_at      INTEGER,
    settled_at         INTEGER,
    retry_of           TEXT REFERENCES tasks (id),
    replaced_by        TEXT REFERENCES tasks (id),
    error_code         TEXT,
    error_message      TEXT,
    next_attempt_at    INTEGER NOT NULL,          -- not sent before; matters while queued
    news               INTEGER NOT NULL DEFAULT 0, -- counts what was learned other than by polls
    news_at            INTEGER NOT NULL,          -- when the last new fact arrived
    polled_news        INTEGER NOT NULL DEFAULT -1, -- `news` when the last answered poll was asked
    polled_at          INTEGER,                   -- when a poll was last asked, answered or not
    answered_at        INTEGER,                   -- when the last poll was asked whose answer says what there is
    poll_wanted        INTEGER NOT NULL DEFAULT -1, -- `news` when somebody last asked for a poll
    polls_in_vain      INTEGER NOT NULL DEFAULT 0, -- in a row, that taught nothing
    refused_polls      INTEGER NOT NULL DEFAULT 0, -- in a row
    poll_not_before    INTEGER NOT NULL DEFAULT 0, -- upstream could not be asked, or wanted to be left
                                              -- alone; -1: an operator wants it before all others
    hinted_at          INTEGER,                   -- when a hint last made it be polled
    quiet_since        INTEGER,                   -- since then polls list no more, and all videos have ended
    stalled_at         INTEGER,                   -- when it had been silent for too long; news takes it back
    next_poll_at       INTEGER,                   -- NULL: nothing to ask
    unrecognized       INTEGER NOT NULL DEFAULT 0 -- callbacks that nobody understood, kept or only counted
) STRICT, WITHOUT ROWID;

CREATE INDEX tasks_by_replacement ON tasks (replaced_by) WHERE replaced_by IS NOT NULL;
CREATE INDEX tasks_by_job ON tasks (job_id, id);
CREATE INDEX tasks_by_upstream_id ON tasks (upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX tasks_by_state ON tasks (state, id);
CREATE INDEX tasks_by_platform ON tasks (platform, id);
CREATE INDEX tasks_to_submit ON tasks (next_attempt_at, id) WHERE state = 'queued';
CREATE INDEX tasks_to_poll ON tasks (next_poll_at) WHERE next_poll_at IS NOT NULL;

-- The URLs of a task, as the user gave them.
CREATE TABLE task_urls (
    task_id       TEXT NOT NULL REFERENCES tasks (id),
    position      INTEGER NOT NULL,
    url           TEXT NOT NULL,
    canonical     TEXT NOT NULL, -- for comparing only
    state         TEXT NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_urls_by_canonical ON task_urls (canonical);

-- The URLs of a job, each following the task URL that carries it: one of the job's own tasks, or of another
-- job's where that had it indexed already (`known`) or on its way.
CREATE TABLE job_urls (
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    position      INTEGER NOT NULL,
    url           TEXT NOT NULL,
    task_id       TEXT NOT NULL,
    task_position INTEGER NOT NULL,
    fixed         TEXT, -- 'known': it was indexed when the job came; 'canceled': before it was sent; NULL: it follows
    PRIMARY KEY (job_id, position),
    FOREIGN KEY (task_id, task_position) REFERENCES task_urls (task_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_urls_by_task ON job_urls (task_id, task_position);

-- Every submit, written before it is sent. A row without an outcome is on its way, or was when the
-- process died: at the next start it becomes `unknown`, because it may have been charged.
CREATE TABLE submits (
    number     INTEGER PRIMARY KEY AUTOINCREMENT, -- their order: clocks jump
    task_id    TEXT NOT NULL REFERENCES tasks (id),
    attempt    INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT,
    code       TEXT,
    message    TEXT,
    UNIQUE (task_id, attempt)
) STRICT;

CREATE INDEX submits_open ON submits (task_id) WHERE outcome IS NULL;
CREATE INDEX submits_by_start ON submits (started_at);
CREATE INDEX submits_with_errors ON submits (number) WHERE code IS NOT NULL;

-- What callbacks and polls said, once for a task, a kind and a video ('' where it is about the task).
CREATE TABLE facts (
    task_id  TEXT NOT NULL REFERENCES tasks (id),
    kind     TEXT NOT NULL,
    video_id TEXT NOT NULL,
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    code     TEXT,
    message  TEXT,
    PRIMARY KEY (task_id, kind, video_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX facts_by_video ON facts (video_id, task_id) WHERE video_id <> '';

-- A poll named this URL of the task for this video.
CREATE TABLE listings (
    task_id  TEXT NOT NULL,
    video_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (task_id, video_id, position),
    FOREIGN KEY (task_id, position) REFERENCES task_urls (task_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX listings_by_url ON listings (task_id, position);
CREATE INDEX listings_by_video ON listings (video_id, task_id, position);

-- The upstream's videos, folded from the facts of every task that brought them.
CREATE TABLE videos (
    number        INTEGER PRIMARY KEY,            -- order of first sight
    id            TEXT NOT NULL UNIQUE,
    task_id       TEXT NOT NULL REFERENCES tasks (id), -- the first that brought it
    state         TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    indexed_at    INTEGER,
    error_code    TEXT,
    error_message TEXT
) STRICT;

CREATE INDEX videos_by_state ON videos (state, number);

-- Bodies that arrived with a good token, raw, once each.
CREATE TABLE callbacks (
    id                INTEGER PRIMARY KEY, -- far below zero once the body was removed
    task_id           TEXT NOT NULL REFERENCES tasks (id),
    body_hash         BLOB NOT NULL, -- SHA-256
    body              BLOB,          -- NULL: removed, long after its task has settled
    first_received_at INTEGER NOT NULL,
    last_received_at  INTEGER NOT NULL,
    deliveries        INTEGER NOT NULL,
    understood        TEXT,          -- the kind of fact it stated
    UNIQUE (task_id, body_hash)
) STRICT;

-- Hints: bodies that arrived without a good token. Bounded; the oldest go first.
CREATE TABLE quarantine (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    upstream_id       TEXT,          -- the taskId it claims
    body_hash         BLOB NOT NULL UNIQUE,
    body              BLOB NOT NULL,
    first_received_at INTEGER NOT NULL,
    last_received_at  INTEGER NOT NULL,
    deliveries        INTEGER NOT NULL,
    looks             INTEGER NOT NULL DEFAULT 0, -- how often upstream was asked about a taskId that no task has
    look_at           INTEGER                     -- when it is asked next; NULL: it is not
) STRICT;

CREATE INDEX quarantine_to_look ON quarantine (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX quarantine_by_upstream_id ON quarantine (upstream_id);

-- Everything that changed, in the order of its commit. AUTOINCREMENT: no `seq` is ever used twice.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    source      TEXT NOT NULL,
    job_id      TEXT,
    task_id     TEXT,
    upstream_id TEXT,
    video_id    TEXT,
    at          INTEGER NOT NULL,
    message     TEXT
) STRICT;

CREATE INDEX events_by_job ON events (job_id, seq) WHERE job_id IS NOT NULL;
CREATE INDEX events_by_task ON events (task_id, seq) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind, seq);

-- Why nothing is sent: to anybody (`scope` = 'all') or to one platform.
CREATE TABLE pauses (
    scope    TEXT PRIMARY KEY,
    code     TEXT NOT NULL,
    message  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    probe_at INTEGER NOT NULL, -- when one queued task is tried
    probes   INTEGER NOT NULL  -- how many were tried in vain
) STRICT, WITHOUT ROWID;
