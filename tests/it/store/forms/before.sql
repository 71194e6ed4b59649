-- A database of commit e8df24d, which took some posts for others.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 0x73686f6b;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'initial','2026-11-29 16:21:08',1,X'A71BD9CBE01208297058E8476B30AA9F750F24333730C2C9EC9D7FDF12F62144F7DD1DCCEB0410B9FDDA9D0E12B165A2',37966570);
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
INSERT INTO "events" VALUES(1,'job.created','operator','job_01a2281c4696769d8a17e20c0d567a80',NULL,NULL,NULL,1795969271446,NULL);
INSERT INTO "events" VALUES(2,'task.queued','operator','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764',NULL,NULL,1795969271446,NULL);
INSERT INTO "events" VALUES(3,'task.queued','operator','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3',NULL,NULL,1795969271446,NULL);
INSERT INTO "events" VALUES(4,'task.queued','operator','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f',NULL,NULL,1795969271446,NULL);
INSERT INTO "events" VALUES(5,'task.submitting','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764',NULL,NULL,1795969271463,NULL);
INSERT INTO "events" VALUES(6,'task.accepted','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764','6fed5432-19dc-4c84-a91f-a67821a4cbb1',NULL,1795969271472,NULL);
INSERT INTO "events" VALUES(7,'task.submitting','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3',NULL,NULL,1795969271515,NULL);
INSERT INTO "events" VALUES(8,'task.accepted','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3','5397df31-5d9d-4984-a9b1-9438b1afe6a1',NULL,1795969271521,NULL);
INSERT INTO "events" VALUES(9,'task.submitting','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f',NULL,NULL,1795969271570,NULL);
INSERT INTO "events" VALUES(10,'task.accepted','submit','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2',NULL,1795969271579,NULL);
INSERT INTO "events" VALUES(11,'task.downloaded','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764','6fed5432-19dc-4c84-a91f-a67821a4cbb1',NULL,1795969273474,NULL);
INSERT INTO "events" VALUES(12,'task.downloaded','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3','5397df31-5d9d-4984-a9b1-9438b1afe6a1',NULL,1795969273523,NULL);
INSERT INTO "events" VALUES(13,'task.downloaded','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2',NULL,1795969273580,NULL);
INSERT INTO "events" VALUES(14,'video.indexed','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2','VI116982437837118168',1795969273901,NULL);
INSERT INTO "events" VALUES(15,'video.indexed','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3','5397df31-5d9d-4984-a9b1-9438b1afe6a1','VI297739227572690574',1795969274030,NULL);
INSERT INTO "events" VALUES(16,'task.settled','poll','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20e29757cf3','5397df31-5d9d-4984-a9b1-9438b1afe6a1',NULL,1795969274037,'indexed');
INSERT INTO "events" VALUES(17,'video.indexed','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2','VI964602048734344233',1795969274709,NULL);
INSERT INTO "events" VALUES(18,'video.indexed','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2','VI431574226911432131',1795969275256,NULL);
INSERT INTO "events" VALUES(19,'task.settled','poll','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20f5661463f','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2',NULL,1795969275277,'indexed');
INSERT INTO "events" VALUES(20,'video.indexed','callback','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764','6fed5432-19dc-4c84-a91f-a67821a4cbb1','VI304542683052383515',1795969277233,NULL);
INSERT INTO "events" VALUES(21,'task.settled','poll','job_01a2281c4696769d8a17e20c0d567a80','task_01a2281c4696769d8a17e20d20e80764','6fed5432-19dc-4c84-a91f-a67821a4cbb1',NULL,1795969277256,'indexed');
INSERT INTO "events" VALUES(22,'job.settled','poll','job_01a2281c4696769d8a17e20c0d567a80',NULL,NULL,NULL,1795969277256,'done');
INSERT INTO "events" VALUES(23,'job.created','operator','job_01a2281c5dfa72598141ffc5523dc99a',NULL,NULL,NULL,1795969277434,NULL);
INSERT INTO "events" VALUES(24,'task.queued','operator','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5',NULL,NULL,1795969277434,NULL);
INSERT INTO "events" VALUES(25,'task.submitting','submit','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5',NULL,NULL,1795969277439,NULL);
INSERT INTO "events" VALUES(26,'task.accepted','submit','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5','717e8e6e-1de4-4507-8060-143b041890f5',NULL,1795969277451,NULL);
INSERT INTO "events" VALUES(27,'task.downloaded','callback','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5','717e8e6e-1de4-4507-8060-143b041890f5',NULL,1795969279452,NULL);
INSERT INTO "events" VALUES(28,'video.indexed','callback','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5','717e8e6e-1de4-4507-8060-143b041890f5','VI496761593286503571',1795969283435,NULL);
INSERT INTO "events" VALUES(29,'task.settled','poll','job_01a2281c5dfa72598141ffc5523dc99a','task_01a2281c5dfa72598141ffc671a5c6e5','717e8e6e-1de4-4507-8060-143b041890f5',NULL,1795969283452,'indexed');
INSERT INTO "events" VALUES(30,'job.settled','poll','job_01a2281c5dfa72598141ffc5523dc99a',NULL,NULL,NULL,1795969283452,'done');
INSERT INTO "events" VALUES(31,'job.created','operator','job_01a2281c765a762d9f2bf641d258ee29',NULL,NULL,NULL,1795969283674,NULL);
INSERT INTO "events" VALUES(32,'job.settled','operator','job_01a2281c765a762d9f2bf641d258ee29',NULL,NULL,NULL,1795969283674,'done');
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
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20d20e80764','named','',1795969277256,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20d20e80764','succeeded','',1795969273474,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20d20e80764','video_indexed','VI304542683052383515',1795969277233,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20d20e80764','video_seen','VI304542683052383515',1795969277256,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20e29757cf3','named','',1795969274037,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20e29757cf3','succeeded','',1795969273523,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20e29757cf3','video_indexed','VI297739227572690574',1795969274030,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20e29757cf3','video_seen','VI297739227572690574',1795969274037,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','named','',1795969275277,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','succeeded','',1795969273580,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_indexed','VI116982437837118168',1795969273901,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_indexed','VI431574226911432131',1795969275256,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_indexed','VI964602048734344233',1795969274709,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_seen','VI116982437837118168',1795969275277,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_seen','VI431574226911432131',1795969275277,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c4696769d8a17e20f5661463f','video_seen','VI964602048734344233',1795969275277,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','named','',1795969283452,'poll',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','succeeded','',1795969279452,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','video_indexed','VI496761593286503571',1795969283435,'callback',NULL,NULL);
INSERT INTO "facts" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','video_seen','VI496761593286503571',1795969283452,'poll',NULL,NULL);
CREATE TABLE idempotency_keys (
    caller  TEXT NOT NULL, -- name of the API key; empty where none was required
    key     TEXT NOT NULL,
    request BLOB NOT NULL, -- SHA-256 of what was asked for
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency_keys" VALUES('','01a2281c-468d-76f3-96c7-276005de0976',X'17288E133370122B604E95D66A252C6B1F2E7760E5278AA7D645DE29F544ADF1','job_01a2281c4696769d8a17e20c0d567a80');
INSERT INTO "idempotency_keys" VALUES('','01a2281c-5df8-74d0-b0a8-b311b99a228a',X'1DAADC87272E8B824FFB8F12DA68208761F22379DCA3EA0FFD2F23F33164536C','job_01a2281c5dfa72598141ffc5523dc99a');
INSERT INTO "idempotency_keys" VALUES('','01a2281c-764a-7658-84aa-4c8723198d10',X'4AEB432B129851CB5D6A0190D97E89B42EF704561F23BB57759FD097FB1B4872','job_01a2281c765a762d9f2bf641d258ee29');
CREATE TABLE job_labels (
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (key, value, job_id)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "job_urls" VALUES('job_01a2281c4696769d8a17e20c0d567a80',0,'https://youtu.be/watch?v=AAAAAAAAAAA','task_01a2281c4696769d8a17e20f5661463f',0,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c4696769d8a17e20c0d567a80',1,'https://m.youtube.com/#/watch?v=CCCCCCCCCCC','task_01a2281c4696769d8a17e20f5661463f',1,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c4696769d8a17e20c0d567a80',2,'http://example.com/clips/1','task_01a2281c4696769d8a17e20d20e80764',0,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c4696769d8a17e20c0d567a80',3,'https://youtu.be/o9vgXOH4ET0','task_01a2281c4696769d8a17e20f5661463f',2,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c4696769d8a17e20c0d567a80',4,'https://www.instagram.com/share/reel/BAJz1abcD/','task_01a2281c4696769d8a17e20e29757cf3',0,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c5dfa72598141ffc5523dc99a',0,'https://youtu.be/watch?v=BBBBBBBBBBB','task_01a2281c4696769d8a17e20f5661463f',0,'known');
INSERT INTO "job_urls" VALUES('job_01a2281c5dfa72598141ffc5523dc99a',1,'https://youtu.be/o9vgXOH4ET0?si=x','task_01a2281c4696769d8a17e20f5661463f',2,'known');
INSERT INTO "job_urls" VALUES('job_01a2281c5dfa72598141ffc5523dc99a',2,'https://m.youtube.com/#/watch?v=DDDDDDDDDDD','task_01a2281c4696769d8a17e20f5661463f',1,'known');
INSERT INTO "job_urls" VALUES('job_01a2281c5dfa72598141ffc5523dc99a',3,'https://vimeo.com/1','task_01a2281c5dfa72598141ffc671a5c6e5',0,NULL);
INSERT INTO "job_urls" VALUES('job_01a2281c765a762d9f2bf641d258ee29',0,'https://youtu.be/watch?v=BBBBBBBBBBB','task_01a2281c4696769d8a17e20f5661463f',0,'known');
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
INSERT INTO "jobs" VALUES('job_01a2281c4696769d8a17e20c0d567a80',1795969271446,NULL,1795969277256,'done','{}',NULL,NULL,'360','private',0,5,0,0,0,5,0,0,0);
INSERT INTO "jobs" VALUES('job_01a2281c5dfa72598141ffc5523dc99a',1795969277434,NULL,1795969283452,'done','{}',NULL,NULL,'360','private',0,4,0,0,0,1,0,3,0);
INSERT INTO "jobs" VALUES('job_01a2281c765a762d9f2bf641d258ee29',1795969283674,NULL,1795969283674,'done','{}',NULL,NULL,'360','private',0,1,0,0,0,0,0,1,0);
CREATE TABLE listings (
    task_id  TEXT NOT NULL,
    video_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (task_id, video_id, position),
    FOREIGN KEY (task_id, position) REFERENCES task_urls (task_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "listings" VALUES('task_01a2281c4696769d8a17e20f5661463f','VI116982437837118168',1);
INSERT INTO "listings" VALUES('task_01a2281c4696769d8a17e20e29757cf3','VI297739227572690574',0);
INSERT INTO "listings" VALUES('task_01a2281c4696769d8a17e20d20e80764','VI304542683052383515',0);
INSERT INTO "listings" VALUES('task_01a2281c4696769d8a17e20f5661463f','VI431574226911432131',2);
INSERT INTO "listings" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','VI496761593286503571',0);
INSERT INTO "listings" VALUES('task_01a2281c4696769d8a17e20f5661463f','VI964602048734344233',0);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('callback_secret','a-secret-of-the-sample');
INSERT INTO "meta" VALUES('upstream','http://upstream');
CREATE TABLE pauses (
    scope    TEXT PRIMARY KEY,
    code     TEXT NOT NULL,
    message  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    probe_at INTEGER NOT NULL, -- when one queued task is tried
    probes   INTEGER NOT NULL  -- how many were tried in vain
) STRICT, WITHOUT ROWID;
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
INSERT INTO "submits" VALUES(1,'task_01a2281c4696769d8a17e20d20e80764',1,1795969271463,1795969271472,'accepted',NULL,NULL);
INSERT INTO "submits" VALUES(2,'task_01a2281c4696769d8a17e20e29757cf3',1,1795969271515,1795969271521,'accepted',NULL,NULL);
INSERT INTO "submits" VALUES(3,'task_01a2281c4696769d8a17e20f5661463f',1,1795969271570,1795969271579,'accepted',NULL,NULL);
INSERT INTO "submits" VALUES(4,'task_01a2281c5dfa72598141ffc671a5c6e5',1,1795969277439,1795969277451,'accepted',NULL,NULL);
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
INSERT INTO "task_urls" VALUES('task_01a2281c4696769d8a17e20d20e80764',0,'http://example.com/clips/1','http://example.com/clips/1','indexed',NULL,NULL);
INSERT INTO "task_urls" VALUES('task_01a2281c4696769d8a17e20e29757cf3',0,'https://www.instagram.com/share/reel/BAJz1abcD/','https://www.instagram.com/p/BAJz1abcD/','indexed',NULL,NULL);
INSERT INTO "task_urls" VALUES('task_01a2281c4696769d8a17e20f5661463f',0,'https://youtu.be/watch?v=AAAAAAAAAAA','https://www.youtube.com/watch?v=watch','indexed',NULL,NULL);
INSERT INTO "task_urls" VALUES('task_01a2281c4696769d8a17e20f5661463f',1,'https://m.youtube.com/#/watch?v=CCCCCCCCCCC','https://youtube.com/','indexed',NULL,NULL);
INSERT INTO "task_urls" VALUES('task_01a2281c4696769d8a17e20f5661463f',2,'https://youtu.be/o9vgXOH4ET0','https://www.youtube.com/watch?v=o9vgXOH4ET0','indexed',NULL,NULL);
INSERT INTO "task_urls" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5',0,'https://vimeo.com/1','https://vimeo.com/1','indexed',NULL,NULL);
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
INSERT INTO "tasks" VALUES('task_01a2281c4696769d8a17e20d20e80764','job_01a2281c4696769d8a17e20c0d567a80','example.com',1795969271446,'indexed','6fed5432-19dc-4c84-a91f-a67821a4cbb1','submit',1795969271472,1795969273474,1795969277256,NULL,NULL,NULL,NULL,1795969271446,2,1795969277256,2,1795969277256,1795969277256,-1,0,0,0,NULL,1795969277256,NULL,NULL,0);
INSERT INTO "tasks" VALUES('task_01a2281c4696769d8a17e20e29757cf3','job_01a2281c4696769d8a17e20c0d567a80','instagram',1795969271446,'indexed','5397df31-5d9d-4984-a9b1-9438b1afe6a1','submit',1795969271521,1795969273523,1795969274037,NULL,NULL,NULL,NULL,1795969271446,2,1795969274037,2,1795969274037,1795969274037,-1,0,0,0,NULL,1795969274037,NULL,NULL,0);
INSERT INTO "tasks" VALUES('task_01a2281c4696769d8a17e20f5661463f','job_01a2281c4696769d8a17e20c0d567a80','youtube',1795969271446,'indexed','d5f69b97-9bb4-4eba-a440-c01e2fc22e16_8adfb55474798fbfd86a46acd61cfaa2','submit',1795969271579,1795969273580,1795969275277,NULL,NULL,NULL,NULL,1795969271446,4,1795969275277,4,1795969275277,1795969275277,-1,0,0,0,NULL,1795969275277,NULL,NULL,0);
INSERT INTO "tasks" VALUES('task_01a2281c5dfa72598141ffc671a5c6e5','job_01a2281c5dfa72598141ffc5523dc99a','vimeo.com',1795969277434,'indexed','717e8e6e-1de4-4507-8060-143b041890f5','submit',1795969277451,1795969279452,1795969283452,NULL,NULL,NULL,NULL,1795969277434,2,1795969283452,2,1795969283452,1795969283452,-1,0,0,0,NULL,1795969283452,NULL,NULL,0);
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
INSERT INTO "videos" VALUES(1,'VI116982437837118168','task_01a2281c4696769d8a17e20f5661463f','indexed',1795969273901,1795969273901,NULL,NULL);
INSERT INTO "videos" VALUES(2,'VI297739227572690574','task_01a2281c4696769d8a17e20e29757cf3','indexed',1795969274030,1795969274030,NULL,NULL);
INSERT INTO "videos" VALUES(3,'VI964602048734344233','task_01a2281c4696769d8a17e20f5661463f','indexed',1795969274709,1795969274709,NULL,NULL);
INSERT INTO "videos" VALUES(4,'VI431574226911432131','task_01a2281c4696769d8a17e20f5661463f','indexed',1795969275256,1795969275256,NULL,NULL);
INSERT INTO "videos" VALUES(5,'VI304542683052383515','task_01a2281c4696769d8a17e20d20e80764','indexed',1795969277233,1795969277233,NULL,NULL);
INSERT INTO "videos" VALUES(6,'VI496761593286503571','task_01a2281c5dfa72598141ffc671a5c6e5','indexed',1795969283435,1795969283435,NULL,NULL);
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX tasks_by_replacement ON tasks (replaced_by) WHERE replaced_by IS NOT NULL;
CREATE INDEX tasks_by_job ON tasks (job_id, id);
CREATE INDEX tasks_by_upstream_id ON tasks (upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX tasks_by_state ON tasks (state, id);
CREATE INDEX tasks_by_platform ON tasks (platform, id);
CREATE INDEX tasks_to_submit ON tasks (next_attempt_at, id) WHERE state = 'queued';
CREATE INDEX tasks_to_poll ON tasks (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX task_urls_by_canonical ON task_urls (canonical);
CREATE INDEX job_urls_by_task ON job_urls (task_id, task_position);
CREATE INDEX submits_open ON submits (task_id) WHERE outcome IS NULL;
CREATE INDEX submits_by_start ON submits (started_at);
CREATE INDEX submits_with_errors ON submits (number) WHERE code IS NOT NULL;
CREATE INDEX facts_by_video ON facts (video_id, task_id) WHERE video_id <> '';
CREATE INDEX listings_by_url ON listings (task_id, position);
CREATE INDEX listings_by_video ON listings (video_id, task_id, position);
CREATE INDEX videos_by_state ON videos (state, number);
CREATE INDEX quarantine_to_look ON quarantine (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX quarantine_by_upstream_id ON quarantine (upstream_id);
CREATE INDEX events_by_job ON events (job_id, seq) WHERE job_id IS NOT NULL;
CREATE INDEX events_by_task ON events (task_id, seq) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind, seq);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',32);
INSERT INTO "sqlite_sequence" VALUES('submits',4);
COMMIT;
