"""A database with 100,000 tasks, as a service could have written it."""

import hashlib
import sqlite3
import time

TASKS = 100_000
TASKS_OF_A_JOB = 10

# A task has one URL. Of twenty tasks, one failed, and one is unconfirmed.
FILL = [
    """CREATE TEMP TABLE n AS
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :tasks)
    SELECT i, 1000 + i AS number, 1000 + i / :each AS job, i % :each AS position,
      printf('task_01a0%028x', i) AS task_id, printf('job_01a0%028x', i / :each) AS job_id,
      printf('https://www.youtube.com/watch?v=L%010d', i) AS url, printf('VIL%010d', i) AS video,
      :newest - (:tasks - i) * 100 AS at,
      CASE i % 20 WHEN 3 THEN 'failed' WHEN 7 THEN 'unconfirmed' ELSE 'indexed' END AS state FROM n""",
    """INSERT INTO jobs (number, id, created_at, settled_at, state, labels, quality, library, force, urls, waiting,
      sent, indexed, failed, priority, key)
    SELECT job, job_id, min(at), iif(sum(state = 'unconfirmed'), NULL, max(at)),
      CASE WHEN sum(state = 'unconfirmed') THEN 'running' WHEN sum(state = 'failed') THEN 'partial' ELSE 'done' END,
      json_object('batch', printf('b%05d', job)), '360', 'private', 0, count(*), 0, sum(state = 'unconfirmed'),
      sum(state = 'indexed'), sum(state = 'failed'), 1, 1 FROM n GROUP BY job""",
    "INSERT INTO job_labels (key, value, job_id) SELECT DISTINCT 'batch', printf('b%05d', job), job_id FROM n",
    """INSERT INTO tasks (number, id, job_id, platform, destination, quality, created_at, state, upstream_id,
      upstream_id_source, accepted_at, downloaded_at, settled_at, next_attempt_at, news_at)
    SELECT number, task_id, job_id, 'youtube', 1, 360, at, state, iif(state = 'unconfirmed', NULL, 'up-' || i),
      iif(state = 'unconfirmed', NULL, 'submit'), iif(state = 'unconfirmed', NULL, at),
      iif(state = 'indexed', at, NULL), iif(state = 'unconfirmed', NULL, at), at, at FROM n""",
    "INSERT INTO posts (number, destination, hash, canonical, url, platform) "
    "SELECT number, 1, hash(url), url, url, 'youtube' FROM n",
    """INSERT INTO rounds (number, post, job, begun_at, state)
    SELECT number, number, job, at, CASE state WHEN 'failed' THEN 0 WHEN 'unconfirmed' THEN 2 ELSE 4 END FROM n""",
    "INSERT INTO wants (job, position, round) SELECT job, position, number FROM n",
    """INSERT INTO attempts (task, position, round, state, standing)
    SELECT number, 0, number, CASE state WHEN 'failed' THEN 0 WHEN 'unconfirmed' THEN 2 ELSE 4 END,
      CASE state WHEN 'failed' THEN 0 WHEN 'unconfirmed' THEN 1 ELSE 3 END FROM n""",
    "INSERT INTO served (task, job, after) SELECT number, job, 0 FROM n",
    """INSERT INTO videos (number, id, task_id, state, first_seen_at, indexed_at)
    SELECT number, video, task_id, 'indexed', at, at FROM n WHERE state = 'indexed'""",
    "INSERT INTO joins (task, position, video) SELECT number, 0, video FROM n WHERE state = 'indexed'",
    """INSERT INTO facts (task_id, kind, video_id, at, source)
    SELECT task_id, 'video_indexed', video, at, 'callback' FROM n WHERE state = 'indexed'""",
    """INSERT INTO events (kind, source, job_id, task_id, upstream_id, video_id, at)
    SELECT kind, 'callback', job_id, task_id, 'up-' || i, iif(kind = 'video.indexed', video, NULL), at
    FROM n CROSS JOIN (SELECT 'task.accepted' AS kind UNION ALL SELECT 'video.indexed' UNION ALL SELECT 'task.settled')
    WHERE state = 'indexed' ORDER BY i""",
]


def fill(path):
    """Adds the tasks to a database that no service has open. It has had a job before."""

    def hash_of(text):
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)

    file = sqlite3.connect(path, isolation_level=None)
    file.create_function("hash", 1, hash_of, deterministic=True)
    file.execute("PRAGMA synchronous = OFF")
    file.execute("BEGIN")
    given = {"tasks": TASKS, "each": TASKS_OF_A_JOB, "newest": int(time.time() * 1000)}
    for statement in FILL:
        file.execute(statement, {name: value for name, value in given.items() if f":{name}" in statement})
    file.execute("COMMIT")
    file.close()
