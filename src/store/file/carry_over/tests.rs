//! Small files of older versions, one for each rule of the carry-over.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::*;
use crate::store::file::schema::MIGRATIONS;

mod queues;

const NOW: Timestamp = Timestamp::from_millis(99);

async fn run_sql(file: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(file).await.unwrap();
}

/// A file of an older version, with the rows that this SQL makes.
async fn older(sql: &[String]) -> SqliteConnection {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(false);
    let mut file = options.connect().await.unwrap();
    MIGRATIONS.run(&mut file).await.unwrap();
    run_sql(&mut file, &sql.concat()).await;
    run_sql(&mut file, "UPDATE tasks SET is_old = 1").await;
    file
}

async fn carried(sql: &[String]) -> SqliteConnection {
    let mut file = older(sql).await;
    run(&mut file, Path::new("a.db"), NOW).await.unwrap();
    file
}

async fn all(file: &mut SqliteConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(file).await.unwrap()
}

/// A job with this many URLs in the private default folder.
fn job(id: &str, urls: i64) -> String {
    placed_job(id, urls, "NULL, NULL, '360', 'private'")
}

/// A job with this folder name, folder number, quality and library.
fn placed_job(id: &str, urls: i64, place: &str) -> String {
    format!(
        "INSERT INTO jobs (id, created_at, state, labels, unique_id, folder_id, quality, library, force, urls, waiting)
         VALUES ('{id}', 1, 'running', '{{}}', {place}, 0, {urls}, {urls});"
    )
}

fn task(id: &str, job: &str, state: &str) -> String {
    format!(
        "INSERT INTO tasks (id, job_id, platform, created_at, state, next_attempt_at, news_at)
         VALUES ('{id}', '{job}', 'p', 5, '{state}', 1, 1);"
    )
}

/// A URL of a task whose canonical form is `https://e.com/…`.
fn url(task: &str, position: i64, post: &str, state: &str) -> String {
    format!(
        "INSERT INTO task_urls (task_id, position, url, canonical, state)
         VALUES ('{task}', {position}, 'http://e.com/{post}', 'https://e.com/{post}', '{state}');"
    )
}

/// A URL of a task that failed with this code.
fn failure(task: &str, position: i64, post: &str, code: &str) -> String {
    format!(
        "INSERT INTO task_urls (task_id, position, url, canonical, state, error_code, error_message)
         VALUES ('{task}', {position}, 'http://e.com/{post}', 'https://e.com/{post}', 'failed', '{code}', 'words');"
    )
}

/// A URL of a job that follows a task URL.
fn want(job: &str, position: i64, followed: (&str, i64), fixed: &str) -> String {
    let fixed = if fixed.is_empty() { "NULL".to_owned() } else { format!("'{fixed}'") };
    let (task, at) = followed;
    format!(
        "INSERT INTO job_urls VALUES ('{job}', {position}, 'http://e.com/given', '{task}', {at}, {fixed});"
    )
}

fn submitted(task: &str) -> String {
    format!("INSERT INTO submits (task_id, attempt, started_at) VALUES ('{task}', 1, 1);")
}

fn sql(text: &str) -> String {
    text.to_owned()
}

const WANTS: &str = "SELECT concat_ws(' ', jobs.id, position, canonical, ifnull(mark, '-'), rounds.state,
       ifnull(rounds.code, '-')) FROM wants JOIN jobs ON jobs.number = wants.job
       JOIN rounds ON rounds.number = round JOIN posts ON posts.number = post ORDER BY jobs.id, position";

#[tokio::test]
async fn a_canonical_url_at_one_destination_is_one_post_with_a_round_for_each_task_url() {
    let mut file = carried(&[
        job("a", 1),
        placed_job("b", 2, "'default', NULL, '720', 'private'"),
        placed_job("c", 1, "'clips', 7, '360', 'private'"),
        placed_job("d", 1, "NULL, 7, '360', 'private'"),
        placed_job("e", 1, "NULL, NULL, '720', 'public'"),
        task("t1", "a", "indexed") + &task("t2", "b", "accepted") + &task("t3", "c", "indexed"),
        task("t4", "d", "indexed") + &task("t5", "e", "indexed"),
        url("t1", 0, "1", "indexed") + &url("t2", 0, "2", "sent") + &url("t2", 1, "1", "sent"),
        url("t3", 0, "1", "indexed") + &url("t4", 0, "1", "indexed") + &url("t5", 0, "1", "indexed"),
        sql("UPDATE task_urls SET url = 'https://e.com/1?x' WHERE task_id = 't2' AND position = 1;"),
        want("a", 0, ("t1", 0), "") + &want("b", 0, ("t2", 0), "") + &want("b", 1, ("t2", 1), ""),
        want("c", 0, ("t3", 0), "") + &want("d", 0, ("t4", 0), "") + &want("e", 0, ("t5", 0), ""),
        sql("UPDATE job_urls SET url = 'http://e.com/1' WHERE job_id = 'a'"),
    ])
    .await;
    let destinations = "SELECT concat_ws(' ', number, kind, name, folder, length(hash)) FROM destinations";
    let places = ["1 1 8", "2 2 clips 8", "3 3 7 8", "4 0 8"];
    assert_eq!(all(&mut file, destinations).await, places);
    let posts = "SELECT concat_ws(' ', number, destination, canonical, url, platform) FROM posts";
    assert_eq!(
        all(&mut file, posts).await,
        [
            "1 1 https://e.com/1 http://e.com/1 p",
            "2 1 https://e.com/2 http://e.com/2 p",
            "3 2 https://e.com/1 http://e.com/1 p",
            "4 3 https://e.com/1 http://e.com/1 p",
            "5 4 https://e.com/1 http://e.com/1 p",
        ]
    );
    let rounds =
        "SELECT concat_ws(' ', post, job, state, begun_at, ifnull(url, '-'), ifnull(line, '-')) FROM rounds
                  ORDER BY number";
    let expected = [
        "1 1 4 5 - -",
        "2 2 2 5 - -",
        "1 2 2 5 https://e.com/1?x -",
        "3 3 4 5 - -",
        "4 4 4 5 - -",
        "5 5 4 5 - -",
    ];
    assert_eq!(all(&mut file, rounds).await, expected);
    let attempts = "SELECT concat_ws(' ', task, position, attempts.state)
                    FROM attempts JOIN rounds ON rounds.number = round ORDER BY rounds.number";
    assert_eq!(all(&mut file, attempts).await, ["1 0 4", "2 0 2", "2 1 2", "3 0 4", "4 0 4", "5 0 4"]);
    let given = "SELECT ifnull(url, '-') FROM wants WHERE job <= 2 ORDER BY job, position";
    assert_eq!(all(&mut file, given).await, ["-", "http://e.com/given", "http://e.com/given"]);
    let tasks = "SELECT concat_ws(' ', destination, quality, is_old) FROM tasks";
    assert_eq!(all(&mut file, tasks).await, ["1 360 1", "1 720 1", "2 360 1", "3 360 1", "4 720 1"]);
}

#[tokio::test]
async fn a_retry_shares_the_round_of_the_task_that_its_wants_follow_now() {
    let mut file = carried(&[
        job("a", 2),
        task("t1", "a", "rejected") + &task("t2", "a", "failed") + &task("t3", "a", "accepted"),
        sql("UPDATE tasks SET replaced_by = 't2' WHERE id = 't1';
             UPDATE tasks SET replaced_by = 't3' WHERE id = 't2';"),
        failure("t1", 0, "1", "0001") + &failure("t1", 1, "2", "0001"),
        failure("t2", 0, "2", "0003") + &failure("t2", 1, "1", "video_failed") + &url("t3", 0, "1", "sent"),
        want("a", 0, ("t3", 0), "") + &want("a", 1, ("t2", 0), ""),
    ])
    .await;
    assert_eq!(all(&mut file, WANTS).await, ["a 0 https://e.com/1 - 2 -", "a 1 https://e.com/2 - 0 0003"]);
    let shared =
        "SELECT group_concat(task || ' ' || position, ', ') FROM (SELECT * FROM attempts ORDER BY task)
                  GROUP BY round ORDER BY round";
    assert_eq!(all(&mut file, shared).await, ["1 1, 2 0", "1 0, 2 1, 3 0"]);
}

#[tokio::test]
async fn a_url_that_was_handed_back_keeps_the_end_that_its_wants_saw() {
    let mut file = carried(&[
        job("a", 1),
        task("t1", "a", "failed") + &task("t2", "a", "canceled"),
        sql("UPDATE tasks SET replaced_by = 't2' WHERE id = 't1';"),
        failure("t1", 0, "1", "video_failed") + &failure("t2", 0, "1", "canceled"),
        want("a", 0, ("t1", 0), ""),
    ])
    .await;
    assert_eq!(all(&mut file, WANTS).await, ["a 0 https://e.com/1 - 0 video_failed"]);
    assert_eq!(all(&mut file, "SELECT count(*) || '' FROM attempts").await, ["2"]);
}

#[tokio::test]
async fn marks_stay_and_a_recovered_task_shares_no_round() {
    let mut file = carried(&[
        job("a", 1) + &job("b", 3),
        task("t1", "a", "indexed"),
        sql("INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at, replaced_by)
             VALUES ('t2', 1, 'canceled', 1, 1, 't1');"),
        url("t1", 0, "1", "indexed") + &want("a", 0, ("t1", 0), ""),
        want("b", 0, ("t1", 0), "known") + &want("b", 1, ("t1", 0), "canceled"),
        want("b", 2, ("t1", 0), "unattributed"),
    ])
    .await;
    let marks = "SELECT ifnull(mark, '-') || '' FROM wants ORDER BY job, position";
    assert_eq!(all(&mut file, marks).await, ["-", "1", "2", "3"]);
    let recovered =
        "SELECT concat_ws(' ', id, ifnull(destination, '-'), ifnull(quality, '-')) FROM tasks ORDER BY id";
    assert_eq!(all(&mut file, recovered).await, ["t1 1 360", "t2 - -"]);
    let jobs = "SELECT concat_ws(' ', id, state, settled_at, indexed, failed, known, canceled) FROM jobs";
    assert_eq!(all(&mut file, jobs).await, ["a done 99 1 0 0 0", "b partial 99 0 2 1 1"]);
    let served = "SELECT concat_ws(' ', task, job, after) FROM served ORDER BY job";
    assert_eq!(all(&mut file, served).await, ["1 1 0", "1 2 0"]);
}

#[tokio::test]
async fn a_standing_says_what_a_new_want_may_count_on() {
    let taken = "UPDATE tasks SET upstream_id = id WHERE id IN ('t3', 't5', 't6');";
    let mut file = carried(&[
        job("a", 0),
        task("t1", "a", "indexed") + &url("t1", 0, "1", "indexed"),
        task("t2", "a", "partial") + &url("t2", 0, "1", "indexed") + &url("t2", 1, "2", "indexed"),
        task("t3", "a", "downloaded")
            + &url("t3", 0, "1", "indexed")
            + &failure("t3", 1, "2", "video_failed"),
        url("t3", 2, "3", "downloaded"),
        task("t4", "a", "unconfirmed") + &failure("t4", 0, "1", "unconfirmed") + &url("t4", 1, "2", "sent"),
        task("t5", "a", "accepted") + &url("t5", 0, "1", "sent"),
        task("t6", "a", "stalled") + &failure("t6", 0, "1", "stalled"),
        task("t7", "a", "submitting") + &url("t7", 0, "1", "sent"),
        sql(taken),
        sql("INSERT INTO listings VALUES ('t2', 'v', 0), ('t3', 'w', 2);"),
    ])
    .await;
    let standings = "SELECT tasks.id || position || ' ' || standing || ' ' || attributed
                     FROM attempts JOIN tasks ON number = task ORDER BY 1";
    let expected = [
        "t10 3 0", "t20 3 1", "t21 0 0", "t30 2 0", "t31 0 1", "t32 2 1", "t40 1 1", "t41 1 1", "t50 2 1",
        "t60 0 1", "t70 2 1",
    ];
    assert_eq!(all(&mut file, standings).await, expected);
}

#[tokio::test]
async fn doubts_are_no_proof() {
    let mut file = carried(&[
        job("a", 0),
        task("t1", "a", "failed") + &failure("t1", 0, "1", "task_failed"),
        task("t2", "a", "failed")
            + &failure("t2", 0, "1", "task_failed")
            + &failure("t2", 1, "2", "task_failed"),
        task("t3", "a", "partial")
            + &failure("t3", 0, "1", "no_video")
            + &failure("t3", 1, "2", "unattributed"),
        failure("t3", 2, "3", "video_failed"),
        task("t4", "a", "stalled") + &failure("t4", 0, "1", "stalled"),
        task("t5", "a", "unconfirmed") + &failure("t5", 0, "1", "unconfirmed"),
        task("t6", "a", "indexed") + &url("t6", 0, "1", "indexed"),
        sql("UPDATE tasks SET error_code = (
               SELECT error_code FROM task_urls WHERE task_id = id AND position = 0) WHERE id <> 't5';
             UPDATE tasks SET error_code = 'no_answer' WHERE id = 't5';"),
    ])
    .await;
    let certain =
        "SELECT concat_ws(' ', task, position, ifnull(certain, '-')) FROM attempts ORDER BY task, position";
    let expected = ["1 0 1", "2 0 0", "2 1 0", "3 0 0", "3 1 0", "3 2 1", "4 0 0", "5 0 0", "6 0 -"];
    assert_eq!(all(&mut file, certain).await, expected);
    let tasks = "SELECT ifnull(error_certain, '-') || '' FROM tasks ORDER BY number";
    assert_eq!(all(&mut file, tasks).await, ["1", "0", "0", "0", "0", "-"]);
}

#[tokio::test]
async fn listings_become_entries_and_joins_and_facts_get_their_new_names() {
    let mut file = carried(&[
        job("a", 0),
        task("t1", "a", "partial") + &url("t1", 0, "1", "indexed") + &url("t1", 1, "2", "indexed"),
        sql("INSERT INTO facts (task_id, kind, video_id, at, source) VALUES
               ('t1', 'succeeded', '', 1, 'callback'), ('t1', 'named', '', 2, 'poll'), ('t1', 'unnamed', '', 2, 'poll'),
               ('t1', 'exhausted', '', 9, 'poll'), ('t1', 'video_indexed', 'v', 3, 'callback'),
               ('t1', 'video_seen', 'v', 4, 'poll'), ('t1', 'video_seen', 'w', 6, 'poll'),
               ('t1', 'video_failed', 'w', 7, 'poll'), ('t1', 'video_indexed', 'x', 5, 'callback');
             INSERT INTO videos (id, task_id, state, first_seen_at) VALUES
               ('v', 't1', 'indexed', 3), ('w', 't1', 'failed', 6), ('x', 't1', 'indexed', 5);
             INSERT INTO listings VALUES ('t1', 'v', 0), ('t1', 'v', 1);"),
    ])
    .await;
    let entries =
        "SELECT concat_ws(' ', task, number, video, ifnull(url, '-'), ifnull(canonical, '-'), state, at)
                   FROM entries ORDER BY number";
    let expected = [
        "1 1 v http://e.com/1 https://e.com/1 2 4",
        "1 2 v http://e.com/2 https://e.com/2 2 4",
        "1 3 w - - 1 6",
    ];
    assert_eq!(all(&mut file, entries).await, expected);
    assert_eq!(all(&mut file, "SELECT position || video FROM joins").await, ["0v", "1v"]);
    let facts = "SELECT kind || ' ' || video_id FROM facts WHERE video_id = '' ORDER BY kind";
    assert_eq!(all(&mut file, facts).await, ["list_complete ", "polls_refused ", "succeeded "]);
}
