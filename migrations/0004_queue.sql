-- A fair queue: API keys take turns, then priorities, lines and jobs.
--
-- A post waits once for each priority in which a key wants it. `rounds.line` still says in which line it waits.

-- Who asks for posts. Each has a clock: what was sent for it, in posts. A request that is not full counts as a full one.
CREATE TABLE api_keys (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE, -- '': jobs of a service without keys
    clock  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX api_keys_by_clock ON api_keys (clock, number);

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 1; -- 0: high, 1: normal, 2: low
ALTER TABLE jobs ADD COLUMN key INTEGER REFERENCES api_keys (number); -- whose turn its URLs take

-- The priorities of a key.
CREATE TABLE queue_classes (
    key      INTEGER NOT NULL REFERENCES api_keys (number),
    priority INTEGER NOT NULL,
    since    INTEGER NOT NULL, -- since when it could be sent and was not, without the time of pauses
    PRIMARY KEY (key, priority)
) STRICT, WITHOUT ROWID;

-- The lines of a priority of a key.
CREATE TABLE queue_groups (
    number    INTEGER PRIMARY KEY,
    key       INTEGER NOT NULL REFERENCES api_keys (number),
    priority  INTEGER NOT NULL,
    line      INTEGER NOT NULL REFERENCES lines (number),
    waiting   INTEGER NOT NULL DEFAULT 0,  -- its places
    served    INTEGER NOT NULL DEFAULT 0,  -- the number of the request that it was at the head of last
    turn      INTEGER NOT NULL DEFAULT 0,  -- the highest turn that was served
    is_paused INTEGER NOT NULL DEFAULT 0,  -- whether a pause stops its line
    UNIQUE (key, priority, line)
) STRICT;

CREATE INDEX queue_groups_next ON queue_groups (key, priority, is_paused, served, number) WHERE waiting > 0;
CREATE INDEX queue_groups_by_line ON queue_groups (line, waiting);

-- The posts that wait in a group. The lowest turn is next, then the oldest round.
CREATE TABLE places (
    grp   INTEGER NOT NULL REFERENCES queue_groups (number),
    kind  INTEGER NOT NULL, -- as in `rounds`
    turn  INTEGER NOT NULL, -- the place within its job, in requests, after the turn of the group when it entered
    round INTEGER NOT NULL REFERENCES rounds (number),
    PRIMARY KEY (grp, kind, turn, round)
) STRICT, WITHOUT ROWID;

CREATE INDEX places_by_round ON places (round);

-- One row, which a start adds once what waits in an older file has its places. `clock`: that of the key that is being
-- served. `requests`: how many were formed.
CREATE TABLE queue (
    clock    INTEGER NOT NULL,
    requests INTEGER NOT NULL
) STRICT;

-- A task that waits takes turns with the lines of a priority of a key.
ALTER TABLE tasks ADD COLUMN key INTEGER REFERENCES api_keys (number);
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN served INTEGER NOT NULL DEFAULT -1; -- as in `queue_groups`; -1: at the front
ALTER TABLE tasks ADD COLUMN is_paused INTEGER NOT NULL DEFAULT 0; -- whether a pause stops its line, or it is aside
ALTER TABLE tasks ADD COLUMN aside_at INTEGER; -- when it was first set aside, because upstream refused it and others
ALTER TABLE tasks ADD COLUMN root INTEGER REFERENCES tasks (number); -- the first of the tasks that it was split from

CREATE INDEX tasks_in_queue ON tasks (key, priority, is_paused, served, id) WHERE state = 'queued';
CREATE INDEX tasks_paused ON tasks (platform, id) WHERE state = 'queued' AND is_paused = 1;
CREATE INDEX tasks_aside ON tasks (aside_at) WHERE aside_at IS NOT NULL AND state = 'queued';
CREATE INDEX tasks_by_root ON tasks (root) WHERE root IS NOT NULL;
DROP INDEX tasks_to_submit;
CREATE INDEX tasks_to_submit ON tasks (next_attempt_at, id) WHERE state = 'queued' AND is_paused = 0;

-- A refusal that was not decided for each post alone is a doubt.
ALTER TABLE submits ADD COLUMN certain INTEGER NOT NULL DEFAULT 1;

-- The first task of a line of which nothing was taken in its first submits, nor in those of its parts.
ALTER TABLE lines ADD COLUMN barren INTEGER REFERENCES tasks (number);

-- Jobs whose waiting URLs take a new priority over, more of them than one commit can move. Later commits go on from
-- there, also after a crash.
CREATE TABLE due_priorities (
    job            INTEGER PRIMARY KEY REFERENCES jobs (number),
    after_position INTEGER NOT NULL, -- up to here it is done
    at             INTEGER NOT NULL
) STRICT;

-- The queue's order stands in `places`.
DROP INDEX rounds_waiting;
CREATE INDEX rounds_waiting ON rounds (line, number) WHERE line IS NOT NULL;
