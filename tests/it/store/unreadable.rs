//! Stored rows that make no sense: whatever needs one fails and says so, and everything else goes on.

use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::answers::Task;
use crate::support::{Scene, Service, Setup, mixed_urls};

/// A service with a job that has ended, a job on its way, a hint, a pause and a callback.
async fn used() -> (Simulator, Service, [String; 2]) {
    let (upstream, service) = Scene::new().start().await;
    let ended = service.submit_with(json!({ "video_urls": mixed_urls(1), "labels": { "k": "v" } })).await;
    service.until_settled(&ended).await;
    service.pause().await;
    let waiting = service.submit(&["https://youtu.be/waits".to_owned()]).await;
    assert_eq!(service.post_callback("/callback", "a hint").await, 202);
    (upstream, service, [ended, waiting])
}

async fn spoil(service: &Service, statement: &str) {
    spoil_file(&service.setup, statement).await;
}

async fn spoil_file(setup: &Setup, statement: &str) {
    let mut file = crate::support::database::open(&setup.database()).await;
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut file).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
}

/// The number of a URL that is sent.
const SENT: i64 = 2;

/// Sets the state of the URLs of a task.
fn state_of(task: &str, state: i64) -> String {
    format!("UPDATE attempts SET state = {state} WHERE task = (SELECT number FROM tasks WHERE id = '{task}')")
}

#[tokio::test]
async fn a_row_that_can_not_be_read_is_an_error_and_never_a_shorter_list() {
    let (_upstream, service, [ended, _]) = used().await;
    let task = service.items(&format!("/v1/tasks?job={ended}")).await[0]["id"].as_str().unwrap().to_owned();
    let video = service.items("/v1/videos").await[0]["id"].as_str().unwrap().to_owned();
    let job = format!("/v1/jobs/{ended}");
    let of_task = format!("/v1/tasks/{task}");
    let urls = format!("{job}/urls");
    let failed = format!("{urls}?state=failed");
    let of_video = format!("/v1/videos/{video}");
    let [ended, task, video] = [&ended, &task, &video].map(|id| format!("'{id}'"));
    let job_number = format!("(SELECT number FROM jobs WHERE id = {ended})");
    let task_number = format!("(SELECT number FROM tasks WHERE id = {task})");
    let round = format!("(SELECT round FROM wants WHERE job = {job_number})");
    const FAR: i64 = i64::MAX / 2;
    for (set, of, paths) in [
        ("jobs SET state = 'odd'", "id", vec!["/v1/jobs", "/v1/jobs?label=k:v", &job]),
        ("jobs SET labels = '{'", "id", vec!["/v1/jobs", &job]),
        ("jobs SET quality = 'odd'", "id", vec!["/v1/jobs", &job]),
        ("jobs SET library = 'odd'", "id", vec!["/v1/jobs", &job]),
        (&format!("jobs SET created_at = {FAR}"), "id", vec!["/v1/jobs", &job]),
        (&format!("jobs SET settled_at = {FAR}"), "id", vec!["/v1/jobs", &job]),
    ]
    .into_iter()
    .map(|(set, of, paths)| (set.to_owned(), (of, &ended), paths))
    .chain([
        ("tasks SET state = 'odd'".to_owned(), ("id", &task), vec!["/v1/tasks", of_task.as_str(), &job]),
        ("tasks SET job_id = 'odd'".to_owned(), ("id", &task), vec!["/v1/tasks", &of_task]),
        ("tasks SET retry_of = 'odd'".to_owned(), ("id", &task), vec!["/v1/tasks", &of_task]),
        (format!("tasks SET accepted_at = {FAR}"), ("id", &task), vec!["/v1/tasks", &of_task]),
        ("attempts SET state = 99".to_owned(), ("task", &task_number), vec![&of_task]),
        ("attempts SET round = 99".to_owned(), ("task", &task_number), vec![&of_task]),
        ("rounds SET state = 99".to_owned(), ("number", &round), vec![&urls, &failed]),
        ("rounds SET post = 99".to_owned(), ("number", &round), vec![&urls, &of_task]),
        ("wants SET round = 99".to_owned(), ("job", &job_number), vec![&urls, &failed]),
        ("wants SET mark = 99".to_owned(), ("job", &job_number), vec![&urls, &failed]),
        ("videos SET task_id = 'task_odd'".to_owned(), ("id", &video), vec!["/v1/videos", &of_video]),
        ("videos SET state = 'odd'".to_owned(), ("id", &video), vec!["/v1/videos", &of_task]),
        (format!("videos SET first_seen_at = {FAR}"), ("id", &video), vec!["/v1/videos", &of_task]),
        ("events SET kind = 'odd'".to_owned(), ("task_id", &task), vec!["/v1/events"]),
        ("events SET source = 'odd'".to_owned(), ("task_id", &task), vec!["/v1/events"]),
        (format!("events SET at = {FAR}"), ("task_id", &task), vec!["/v1/events"]),
        (format!("callbacks SET last_received_at = {FAR}"), ("task_id", &task), vec![]),
    ]) {
        let (column, id) = of;
        let (table, change) = set.split_once(" SET ").unwrap();
        let name = change.split(' ').next().unwrap();
        // It may be found by way of what is changed.
        let mut file = crate::support::database::open(&service.setup.database()).await;
        let found = format!("SELECT quote({id})");
        let id: String = sqlx::query_scalar(AssertSqlSafe(found)).fetch_one(&mut file).await.unwrap();
        let statement = format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE {column} = {id}");
        spoil_quietly(&service, &statement).await;
        spoil(&service, &format!("UPDATE {set} WHERE {column} = {id}")).await;
        for path in paths {
            let (status, problem) = service.ask(path).await;
            assert_eq!((status, &problem["code"]), (500, &json!("internal")), "{set}: {path}: {problem}");
            let text = problem.to_string();
            assert!(!text.contains("odd") && !text.contains(table), "{text}");
        }
        let restored =
            format!("UPDATE {table} SET {name} = (SELECT {name} FROM kept LIMIT 1) WHERE {column} = {id}");
        let is_uniform = table != "events" && table != "callbacks";
        if is_uniform {
            spoil(&service, &restored).await;
        } else {
            spoil(&service, &format!("DELETE FROM {table} WHERE {column} = {id}")).await;
            spoil(&service, &format!("INSERT INTO {table} SELECT * FROM kept")).await;
        }
        spoil_quietly(&service, "DROP TABLE kept").await;
    }
    // A page that does not need the row is as it was.
    for path in ["/v1/jobs", "/v1/tasks", "/v1/videos", "/v1/events", "/v1/quarantine", "/v1/status"] {
        assert_eq!(service.ask(path).await.0, 200, "{path}");
    }
    service.stop().await;
}

async fn spoil_quietly(service: &Service, statement: &str) {
    let mut file = crate::support::database::open(&service.setup.database()).await;
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.unwrap();
}

#[tokio::test]
async fn a_task_that_can_not_be_read_keeps_no_other_from_its_callbacks_or_from_being_sent() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let job = service.submit(&mixed_urls(2)).await;
    service.until_job(&job, |job| job.progress.sent == 2).await;
    // Not in memory any more.
    let service = service.stop().await.start().await;
    let tasks = service.items("/v1/tasks").await;
    let id = |n: usize| tasks[n]["id"].as_str().unwrap().to_owned();
    spoil(&service, &state_of(&id(0), 99)).await;
    let path = |n: usize| {
        let submits = upstream.submits();
        let upstream_id = tasks[n]["upstream_id"].as_str().unwrap();
        let submit = submits.iter().find(|submit| submit.task_id.as_deref() == Some(upstream_id)).unwrap();
        let url = submit.body.callback_url.clone().unwrap();
        url[url.find("/callback/").unwrap()..].to_owned()
    };
    let body = |n: usize| json!({ "taskId": tasks[n]["upstream_id"], "status": "SUCCEEDED" }).to_string();
    let paths = [path(0), path(1)];
    let (bad, good) =
        tokio::join!(service.post_callback(&paths[0], body(0)), service.post_callback(&paths[1], body(1)));
    assert_eq!((bad.as_u16(), good.as_u16()), (503, 200), "the sender is to come again");
    assert_eq!(service.get(&format!("/v1/tasks/{}", id(1))).await["state"], "downloaded");
    // What waits for a job that can't be read stands in nobody's way.
    service.pause().await;
    let first = service.submit(&["https://youtu.be/first".to_owned()]).await;
    let second = service.submit(&["https://vimeo.com/second".to_owned()]).await;
    spoil(&service, &format!("UPDATE jobs SET quality = 'odd' WHERE id = '{first}'")).await;
    service.resume().await;
    service.until_job(&second, |job| job.progress.sent == 1).await;
    // Mended, all of it goes on.
    spoil(&service, &format!("UPDATE jobs SET quality = '360' WHERE id = '{first}'")).await;
    spoil(&service, &state_of(&id(0), SENT)).await;
    assert_eq!(service.post_callback(&paths[0], body(0)).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_task_that_can_not_be_read_keeps_no_other_from_being_polled_or_from_its_deadline() {
    let (_upstream, service) =
        Scene::new().downloads_nothing().polling_only().set("RECONCILE__DEADLINE", "2s").start().await;
    let mut tasks = Vec::new();
    for n in 10_001..10_004 {
        let job = service.submit(&[format!("https://vimeo.com/{n}")]).await;
        let job = service.until_job(&job, |job| job.progress.sent == 1).await;
        tasks.push(job.tasks[0].id.clone());
    }
    let setup = service.stop().await;
    // All are due at once: one whose URLs make no sense, one whose own id makes none, and a good one.
    spoil_file(&setup, "UPDATE tasks SET next_poll_at = 1").await;
    spoil_file(&setup, &state_of(&tasks[0], 99)).await;
    spoil_file(&setup, &format!("UPDATE tasks SET id = 'odd' WHERE id = '{}'", tasks[1])).await;
    let service = setup.start().await;
    // It is marked only if it was polled after its deadline.
    service.until(&format!("/v1/tasks/{}", tasks[2]), |task: &Task| task.state == "stalled").await;
    spoil(&service, &format!("UPDATE tasks SET id = '{}' WHERE id = 'odd'", tasks[1])).await;
    spoil(&service, &state_of(&tasks[0], SENT)).await;
    service.stop().await;
}

/// Sends nothing of the first of two jobs, which this change makes unreadable, and all of the second. Both wait in one
/// line if their URLs are of one platform.
///
/// The post of the first one was sent before.
async fn sent_without(change: &str, mended: &str, second: &str) {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let post = "https://vimeo.com/10001";
    let before = service.submit(&[post.to_owned()]).await;
    service.until_job(&before, |job| job.tasks.iter().any(|task| task.state == "accepted")).await;
    service.pause().await;
    let first = service.submit_with(json!({ "video_urls": [post], "force": true })).await;
    let second = service.submit(&[second.to_owned()]).await;
    // Not in memory any more.
    let setup = service.stop().await;
    let fill = |statement: &str| {
        let job = format!("(SELECT number FROM jobs WHERE id = '{first}')");
        statement.replace("JOB", &job).replace("ROUND", "(SELECT max(number) - 1 FROM rounds)")
    };
    spoil_file(&setup, &fill(change)).await;
    let service = setup.start().await;
    service.resume().await;
    // It counts as sent from before the request on.
    service.until_job(&second, |job| job.tasks.iter().any(|task| task.state == "accepted")).await;
    assert_eq!(upstream.submits().len(), 2, "{change}");
    assert_eq!(upstream.charged()[post], 1, "{change}");
    // Once it can be read, it is sent when it is no longer put aside.
    spoil(&service, &fill(mended)).await;
    service.stop().await;
}

const SAME_LINE: &str = "https://vimeo.com/10002";

#[tokio::test]
async fn a_waiting_post_that_can_not_be_read_keeps_no_other_of_its_line_from_being_sent() {
    let post = |post: &str| format!("UPDATE rounds SET post = {post} WHERE number = ROUND");
    sent_without(&post("99"), &post("(SELECT min(number) FROM posts)"), SAME_LINE).await;
}

#[tokio::test]
async fn a_waiting_post_whose_job_can_not_be_read_keeps_no_other_of_its_line_from_being_sent() {
    let quality = |quality: &str| format!("UPDATE jobs SET quality = '{quality}' WHERE number = JOB");
    sent_without(&quality("odd"), &quality("360"), SAME_LINE).await;
    let of = |from: &str, to: &str| format!("UPDATE wants SET job = {to} WHERE job = {from}");
    sent_without(&of("JOB", "99"), &of("99", "JOB"), SAME_LINE).await;
}

#[tokio::test]
async fn a_waiting_post_whose_attempts_can_not_be_read_keeps_no_other_of_its_line_from_being_sent() {
    let standing = |number: i64| format!("UPDATE attempts SET standing = {number} WHERE round < ROUND");
    // On its way.
    sent_without(&standing(99), &standing(2), SAME_LINE).await;
}

#[tokio::test]
async fn a_waiting_post_that_its_url_does_not_lead_to_is_not_taken_for_one_without_attempts() {
    let hash = |change: &str| {
        format!("UPDATE posts SET hash = hash {change} WHERE number = (SELECT min(number) FROM posts)")
    };
    sent_without(&hash("+ 1"), &hash("- 1"), SAME_LINE).await;
}

#[tokio::test]
async fn a_line_that_can_not_be_read_keeps_no_other_from_being_sent() {
    let of_line = |set: &str| {
        format!("UPDATE lines SET {set} WHERE number = (SELECT line FROM rounds WHERE number = ROUND)")
    };
    let other = "https://youtu.be/another";
    sent_without(&of_line("quality = 99"), &of_line("quality = 360"), other).await;
    let at = |destination: &str| of_line(&format!("destination = {destination}"));
    sent_without(&at("99"), &at("(SELECT min(number) FROM destinations)"), other).await;
}

#[tokio::test]
async fn a_waiting_task_that_can_not_be_read_keeps_no_other_from_being_sent() {
    let of_task = |set: &str| format!("UPDATE tasks SET {set} WHERE state = 'queued' OR state = 'odd'");
    let of_post =
        |round: &str| format!("UPDATE attempts SET round = {round} WHERE standing = 4 OR round = 99");
    for (change, mended) in [
        (of_post("99"), of_post("(SELECT max(number) - 1 FROM rounds)")),
        (of_task("quality = 99"), of_task("quality = 360")),
        (of_task("destination = 99"), of_task("destination = (SELECT min(number) FROM destinations)")),
        (of_task("id = 'odd', retry_of = id"), of_task("id = retry_of, retry_of = NULL")),
    ] {
        let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
        let (upstream, service) = Scene::new().faults(faults).downloads_nothing().start().await;
        service.submit(&["https://vimeo.com/10001".to_owned()]).await;
        let page = service.until_task("unconfirmed").await;
        upstream.set_faults(Faults::default());
        service.pause().await;
        let retry = format!("/v1/tasks/{}/retry", &page.id);
        assert_eq!(service.call(&retry, Value::Null).await.0, 202);
        let second = service.submit(&[SAME_LINE.to_owned()]).await;
        let setup = service.stop().await;
        spoil_file(&setup, &change).await;
        let service = setup.start().await;
        service.resume().await;
        service.until_job(&second, |job| job.tasks.iter().any(|task| task.state == "accepted")).await;
        assert_eq!(upstream.submits().len(), 2, "{change}");
        spoil(&service, &mended).await;
        service.stop().await;
    }
}
