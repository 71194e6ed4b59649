//! Queued and pending work in files of older versions, and files that can't be carried over.

use crate::store::file::carry_over::tests::*;

const WAITING: &str =
    "SELECT concat_ws(' ', canonical, lines.platform, lines.quality, kind, rounds.state, rounds.job)
     FROM rounds JOIN lines ON lines.number = line JOIN posts ON posts.number = post ORDER BY rounds.number";

#[tokio::test]
async fn a_task_that_was_never_sent_dissolves_and_its_urls_wait_in_the_old_order() {
    let mut file = carried(&[
        job("a", 3),
        task("t1", "a", "queued") + &url("t1", 0, "1", "waiting") + &url("t1", 1, "2", "waiting"),
        task("t2", "a", "queued") + &url("t2", 0, "3", "waiting"),
        sql("UPDATE task_urls SET canonical = 'https://www.youtube.com/watch?v=AAAAAAAAAAA' WHERE position = 1;
             UPDATE tasks SET next_poll_at = 1;"),
        want("a", 0, ("t1", 0), "") + &want("a", 1, ("t1", 1), "") + &want("a", 2, ("t2", 0), ""),
    ])
    .await;
    let expected = [
        "https://e.com/1 p 360 1 1 1",
        "https://www.youtube.com/watch?v=AAAAAAAAAAA p 360 0 1 1",
        "https://e.com/3 p 360 1 1 1",
    ];
    assert_eq!(all(&mut file, WAITING).await, expected);
    assert_eq!(all(&mut file, "SELECT waiting || '' FROM lines").await, ["3"]);
    assert!(all(&mut file, "SELECT task || '' FROM attempts").await.is_empty());
    let tasks = "SELECT concat_ws(' ', state, settled_at, error_code, error_certain, is_old, ifnull(next_poll_at, '-'))
                 FROM tasks";
    assert_eq!(all(&mut file, tasks).await, ["canceled 99 canceled 1 0 -", "canceled 99 canceled 1 0 -"]);
    let words = "SELECT DISTINCT error_message FROM tasks";
    assert!(all(&mut file, words).await[0].ends_with("wait in the queue again"));
    let facts = "SELECT concat_ws(' ', task_id, kind, at, source, code) FROM facts";
    assert_eq!(
        all(&mut file, facts).await,
        ["t1 canceled 99 clock canceled", "t2 canceled 99 clock canceled"]
    );
    let events = "SELECT concat_ws(' ', kind, source, job_id, task_id, at) FROM events ORDER BY seq";
    let expected = [
        "task.canceled clock a t1 99",
        "task.settled clock a t1 99",
        "task.canceled clock a t2 99",
        "task.settled clock a t2 99",
    ];
    assert_eq!(all(&mut file, events).await, expected);
    let jobs = "SELECT concat_ws(' ', state, waiting, ifnull(settled_at, '-')) FROM jobs";
    assert_eq!(all(&mut file, jobs).await, ["running 3 -"]);
    let counts = "SELECT state || ' ' || count FROM counts WHERE subject = 'tasks' AND count > 0";
    assert_eq!(all(&mut file, counts).await, ["canceled 2"]);
}

#[tokio::test]
async fn a_post_waits_once_in_the_best_quality_and_with_the_attempts_of_its_chain() {
    let better = |id: &str, quality: i64| placed_job(id, 1, &format!("NULL, NULL, '{quality}', 'private'"));
    let mut file = carried(&[
        job("a", 1) + &better("b", 720) + &job("c", 1) + &better("d", 1080) + &better("e", 480),
        task("t0", "c", "rejected") + &failure("t0", 0, "1", "0001"),
        ["a", "b", "c", "d", "e"].map(|id| task(id, id, "queued") + &url(id, 0, "1", "waiting")).concat(),
        ["a", "b", "c", "d", "e"].map(|id| want(id, 0, (id, 0), "")).concat(),
        sql("UPDATE tasks SET replaced_by = 'c' WHERE id = 't0';"),
    ])
    .await;
    assert_eq!(all(&mut file, WAITING).await, ["https://e.com/1 p 1080 1 1 1"]);
    let lines = "SELECT quality || ' ' || waiting FROM lines ORDER BY quality";
    assert_eq!(all(&mut file, lines).await, ["360 0", "720 0", "1080 1"]);
    let expected = ["a", "b", "c", "d", "e"].map(|id| format!("{id} 0 https://e.com/1 - 1 -"));
    assert_eq!(all(&mut file, WANTS).await, expected);
    let left =
        "SELECT concat_ws(' ', rounds.state, rounds.code, task) FROM attempts JOIN rounds ON number = round";
    assert_eq!(all(&mut file, left).await, ["0 0001 1"]);
}

#[tokio::test]
async fn a_retry_that_waits_keeps_its_round_and_ends_as_before_if_nobody_wants_it() {
    for (fixed, waits) in [("", vec!["https://e.com/1 p 360 1 1 1"]), ("canceled", vec![])] {
        let mut file = carried(&[
            job("a", 1),
            task("t1", "a", "rejected") + &task("t2", "a", "queued"),
            sql("UPDATE tasks SET replaced_by = 't2' WHERE id = 't1';"),
            failure("t1", 0, "1", "0001") + &url("t2", 0, "1", "waiting") + &want("a", 0, ("t2", 0), fixed),
        ])
        .await;
        assert_eq!(all(&mut file, WAITING).await, waits);
        assert_eq!(all(&mut file, "SELECT count(DISTINCT number) || '' FROM rounds").await, ["1"]);
    }
}

#[tokio::test]
async fn a_task_that_was_sent_and_not_taken_stays_bound_to_what_is_wanted() {
    let mut file = carried(&[
        job("a", 2) + &job("b", 1),
        task("t1", "a", "queued") + &url("t1", 0, "1", "waiting") + &url("t1", 1, "2", "waiting"),
        submitted("t1"),
        task("t2", "b", "queued") + &url("t2", 0, "1", "waiting"),
        want("a", 0, ("t1", 0), "") + &want("a", 1, ("t1", 1), "canceled") + &want("b", 0, ("t2", 0), ""),
    ])
    .await;
    let attempts = "SELECT concat_ws(' ', task, position, state, standing, ifnull(code, '-')) FROM attempts";
    assert_eq!(all(&mut file, attempts).await, ["1 0 1 4 -", "1 1 0 0 canceled"]);
    assert_eq!(all(&mut file, "SELECT state || is_old FROM tasks").await, ["queued0", "canceled0"]);
    assert!(all(&mut file, WAITING).await.is_empty(), "the waiting task has it");
    let expected =
        ["a 0 https://e.com/1 - 1 -", "a 1 https://e.com/2 2 0 canceled", "b 0 https://e.com/1 - 1 -"];
    assert_eq!(all(&mut file, WANTS).await, expected);
}

#[tokio::test]
async fn a_url_of_a_queued_task_that_nobody_wants_does_not_wait() {
    let mut file = carried(&[
        job("a", 2),
        task("t1", "a", "queued") + &url("t1", 0, "1", "waiting") + &url("t1", 1, "2", "waiting"),
        want("a", 0, ("t1", 0), "canceled") + &want("a", 1, ("t1", 1), ""),
    ])
    .await;
    assert_eq!(all(&mut file, WAITING).await, ["https://e.com/2 p 360 1 1 1"]);
    let rounds = "SELECT concat_ws(' ', state, ifnull(code, '-')) FROM rounds ORDER BY number";
    assert_eq!(all(&mut file, rounds).await, ["0 canceled", "1 -"]);
}

#[tokio::test]
async fn a_pending_cancel_reaches_the_queued_tasks_of_its_job_and_no_others() {
    let queued = |id: &str| task(id, "a", "queued") + &url(id, 0, id, "waiting");
    let mut file = carried(&[
        job("a", 4) + &job("b", 1),
        queued("t1") + &queued("t2") + &queued("t3") + &queued("t4"),
        submitted("t3"),
        want("a", 0, ("t1", 0), "") + &want("a", 1, ("t2", 0), "") + &want("a", 2, ("t3", 0), ""),
        want("a", 3, ("t4", 0), "") + &want("b", 0, ("t2", 0), ""),
        sql("INSERT INTO old_due_cancels VALUES ('a', 'canceled by key', 't1', 't3', 7);"),
    ])
    .await;
    let expected =
        ["https://e.com/t1 p 360 1 1 1", "https://e.com/t2 p 360 1 1 2", "https://e.com/t4 p 360 1 1 1"];
    assert_eq!(all(&mut file, WAITING).await, expected);
    let wants = "SELECT ifnull(mark, '-') || '' FROM wants ORDER BY job, position";
    assert_eq!(all(&mut file, wants).await, ["-", "2", "2", "-", "-"]);
    assert_eq!(all(&mut file, "SELECT DISTINCT state FROM tasks").await, ["canceled"]);
    let events = "SELECT task_id || ' ' || message FROM events WHERE message LIKE '% by key'";
    assert_eq!(all(&mut file, events).await, ["t3 canceled by key"]);
    let attempts = "SELECT concat_ws(' ', task, state, standing, code) FROM attempts";
    assert_eq!(all(&mut file, attempts).await, ["3 0 0 canceled"]);
    let jobs = "SELECT concat_ws(' ', state, waiting, failed, canceled) FROM jobs";
    assert_eq!(all(&mut file, jobs).await, ["running 2 2 2", "running 1 0 0"]);
}

#[tokio::test]
async fn a_pending_hand_over_reaches_the_jobs_that_it_had_not_reached() {
    let mut file = carried(&[
        job("a", 1) + &job("b", 1) + &job("c", 1),
        task("t1", "a", "rejected") + &task("t2", "a", "rejected") + &task("t3", "a", "accepted"),
        failure("t1", 0, "1", "0001") + &failure("t2", 0, "1", "0001") + &url("t3", 0, "1", "sent"),
        want("a", 0, ("t3", 0), "") + &want("b", 0, ("t1", 0), "canceled") + &want("c", 0, ("t1", 0), ""),
        sql("INSERT INTO due_urls (task_id, position, told, told_canceled, is_lost, to_task, to_position, after_job, at,
               source) VALUES ('t1', 0, 'sent', 0, 0, 't2', 0, 'a', 1, 'operator'),
               ('t2', 0, 'sent', 0, 0, 't3', 0, '', 1, 'operator'), ('t3', 0, 'sent', 0, 0, NULL, NULL, '', 1, 'poll');
             UPDATE tasks SET replaced_by = 't3' WHERE id = 't2';"),
    ])
    .await;
    let expected = ["a 0 https://e.com/1 - 2 -", "b 0 https://e.com/1 2 0 0001", "c 0 https://e.com/1 - 2 -"];
    assert_eq!(all(&mut file, WANTS).await, expected);
}

#[tokio::test]
async fn a_job_whose_count_was_due_is_counted_and_settles() {
    let mut file = carried(&[
        job("a", 2) + &job("b", 1),
        sql("UPDATE jobs SET state = 'done', settled_at = 3 WHERE id = 'b';"),
        task("t1", "a", "partial") + &url("t1", 0, "1", "indexed") + &failure("t1", 1, "2", "video_failed"),
        want("a", 0, ("t1", 0), "") + &want("a", 1, ("t1", 1), "") + &want("b", 0, ("t1", 0), ""),
    ])
    .await;
    let jobs = "SELECT concat_ws(' ', state, settled_at, waiting, indexed, failed) FROM jobs";
    assert_eq!(all(&mut file, jobs).await, ["partial 99 0 1 1", "done 3 0 1 0"]);
    let events = "SELECT concat_ws(' ', kind, source, job_id, at, message) FROM events";
    assert_eq!(all(&mut file, events).await, ["job.settled clock a 99 partial"]);
}

#[tokio::test]
async fn a_file_that_can_not_be_carried_over_stays_as_it_was_and_the_error_names_the_place() {
    let whole =
        [job("a", 1), task("t1", "a", "indexed"), url("t1", 0, "1", "indexed"), want("a", 0, ("t1", 0), "")];
    for (broken, said) in [
        (
            "INSERT INTO job_labels VALUES ('k', 'v', 'nobody');",
            "a row of job_labels refers to a row of jobs",
        ),
        ("UPDATE tasks SET retry_of = 'nothing';", "row 1 of tasks refers to a row of tasks that is missing"),
        ("UPDATE job_urls SET task_position = 7;", "job_urls.task_position of a 0 can't be read"),
        ("UPDATE job_urls SET task_id = 'nothing';", "job_urls.task_id of a 0 can't be read: no such task"),
        ("UPDATE job_urls SET fixed = 'nothing';", "job_urls.fixed of a 0 can't be read: no such word"),
        ("UPDATE task_urls SET state = 'nothing';", "task_urls.state of t1 can't be read"),
        ("UPDATE jobs SET quality = '7';", "jobs.quality of a can't be read"),
    ] {
        let mut file = older(&whole).await;
        run_sql(&mut file, broken).await;
        let error = run(&mut file, Path::new("a.db"), NOW).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(is_needed(&mut file).await.unwrap());
        assert_eq!(
            all(&mut file, "SELECT (SELECT count(*) FROM posts) || count(*) FROM task_urls").await,
            ["01"]
        );
        let checked: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut file).await.unwrap();
        assert_eq!(checked, 1);
    }
}

#[tokio::test]
async fn a_kill_before_the_commit_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
    let mut file = options.connect().await.unwrap();
    MIGRATIONS.run(&mut file).await.unwrap();
    let rows =
        [job("a", 1), task("t1", "a", "queued"), url("t1", 0, "1", "waiting"), want("a", 0, ("t1", 0), "")];
    run_sql(&mut file, &rows.concat()).await;
    let mut transaction = file.begin_with("BEGIN IMMEDIATE").await.unwrap();
    fill(&mut transaction, NOW).await.unwrap();
    drop(transaction);
    file.close().await.unwrap();

    let mut file = options.connect().await.unwrap();
    assert!(is_needed(&mut file).await.unwrap());
    assert_eq!(all(&mut file, "SELECT state FROM tasks").await, ["queued"]);
    for _ in 0..2 {
        run(&mut file, &path, NOW).await.unwrap();
        assert_eq!(all(&mut file, WAITING).await, ["https://e.com/1 p 360 1 1 1"]);
        assert_eq!(all(&mut file, "SELECT count(*) || '' FROM events").await, ["2"]);
    }
}
