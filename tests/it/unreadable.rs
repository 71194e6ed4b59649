//! Stored rows that make no sense: whatever needs one fails and says so, and everything else goes on.

use scrapehook::simulator::{Settings, Simulator};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{NEVER, Service, Setup, mixed_urls, simulator};

/// A service with a job that has ended, a job on its way, a hint, a pause and a callback.
async fn used() -> (Simulator, Service, [String; 2]) {
    let upstream = simulator(Settings::default()).await;
    let service = Setup::new(&upstream.url()).await.start().await;
    let ended = service.submit_with(json!({ "video_urls": mixed_urls(1), "labels": { "k": "v" } })).await;
    service.until_settled(&ended).await;
    let _ = service.call("/v1/pause", Value::Null).await;
    let waiting = service.submit(&["https://youtu.be/waits".to_owned()]).await;
    assert_eq!(service.post_callback("/callback", "a hint").await, 202);
    (upstream, service, [ended, waiting])
}

async fn spoil(service: &Service, statement: &str) {
    spoil_file(&service.setup, statement).await;
}

async fn spoil_file(setup: &Setup, statement: &str) {
    let mut file = crate::disk::open(&setup.database()).await;
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut file).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
}

async fn ask(service: &Service, path: &str) -> (u16, Value) {
    let answer = service.request(reqwest::Method::GET, path).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
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
        ("task_urls SET state = 'odd'".to_owned(), ("task_id", &task), vec![&of_task, &urls]),
        ("job_urls SET task_id = 'task_odd'".to_owned(), ("job_id", &ended), vec![&urls, &failed]),
        ("job_urls SET fixed = 'odd'".to_owned(), ("job_id", &ended), vec![&urls, &failed]),
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
        let statement = format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE {column} = '{id}'");
        spoil_quietly(&service, &statement).await;
        spoil(&service, &format!("UPDATE {set} WHERE {column} = '{id}'")).await;
        for path in paths {
            let (status, problem) = ask(&service, path).await;
            assert_eq!((status, &problem["code"]), (500, &json!("internal")), "{set}: {path}: {problem}");
            let text = problem.to_string();
            assert!(!text.contains("odd") && !text.contains(table), "{text}");
        }
        let restored =
            format!("UPDATE {table} SET {name} = (SELECT {name} FROM kept LIMIT 1) WHERE {column} = '{id}'");
        let is_uniform = table != "events" && table != "callbacks";
        if is_uniform {
            spoil(&service, &restored).await;
        } else {
            spoil(&service, &format!("DELETE FROM {table} WHERE {column} = '{id}'")).await;
            spoil(&service, &format!("INSERT INTO {table} SELECT * FROM kept")).await;
        }
        spoil_quietly(&service, "DROP TABLE kept").await;
    }
    // A page that does not need the row is as it was.
    for path in ["/v1/jobs", "/v1/tasks", "/v1/videos", "/v1/events", "/v1/quarantine", "/v1/status"] {
        assert_eq!(ask(&service, path).await.0, 200, "{path}");
    }
    service.stop().await;
}

async fn spoil_quietly(service: &Service, statement: &str) {
    let mut file = crate::disk::open(&service.setup.database()).await;
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut file).await.unwrap();
}

#[tokio::test]
async fn a_task_that_can_not_be_read_keeps_no_other_from_its_callbacks_or_from_being_sent() {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let service = Setup::new(&upstream.url()).await.start().await;
    let job = service.submit(&mixed_urls(2)).await;
    service.until(&format!("/v1/jobs/{job}"), |job| job["progress"]["sent"] == 2).await;
    // Not in memory any more.
    let service = service.stop().await.start().await;
    let tasks = service.items("/v1/tasks").await;
    let id = |n: usize| tasks[n]["id"].as_str().unwrap().to_owned();
    spoil(&service, &format!("UPDATE task_urls SET state = 'odd' WHERE task_id = '{}'", id(0))).await;
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
    // A queued task whose job can't be read stands in nobody's way.
    let _ = service.call("/v1/pause", Value::Null).await;
    let first = service.submit(&["https://youtu.be/first".to_owned()]).await;
    let second = service.submit(&["https://vimeo.com/second".to_owned()]).await;
    spoil(&service, &format!("UPDATE jobs SET quality = 'odd' WHERE id = '{first}'")).await;
    let _ = service.call("/v1/resume", Value::Null).await;
    service.until(&format!("/v1/jobs/{second}"), |job| job["progress"]["sent"] == 1).await;
    // Mended, all of it goes on.
    spoil(&service, &format!("UPDATE jobs SET quality = '360' WHERE id = '{first}'")).await;
    spoil(&service, &format!("UPDATE task_urls SET state = 'sent' WHERE task_id = '{}'", id(0))).await;
    assert_eq!(service.post_callback(&paths[0], body(0)).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_task_that_can_not_be_read_keeps_no_other_from_being_polled_or_from_its_deadline() {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let setup = Setup::new(&upstream.url()).await.polling_only().set("RECONCILE__DEADLINE", "2s");
    let service = setup.start().await;
    let mut tasks = Vec::new();
    for n in 10_001..10_004 {
        let job = service.submit(&[format!("https://vimeo.com/{n}")]).await;
        let job = service.until(&format!("/v1/jobs/{job}"), |job| job["progress"]["sent"] == 1).await;
        tasks.push(job["tasks"][0]["id"].as_str().unwrap().to_owned());
    }
    let setup = service.stop().await;
    // All are due at once: one whose URLs make no sense, one whose own id makes none, and a good one.
    spoil_file(&setup, "UPDATE tasks SET next_poll_at = 1").await;
    spoil_file(&setup, &format!("UPDATE task_urls SET state = 'odd' WHERE task_id = '{}'", tasks[0])).await;
    spoil_file(&setup, &format!("UPDATE tasks SET id = 'odd' WHERE id = '{}'", tasks[1])).await;
    let service = setup.start().await;
    // It is marked only if it was polled after its deadline.
    service.until(&format!("/v1/tasks/{}", tasks[2]), |task| task["state"] == "stalled").await;
    spoil(&service, &format!("UPDATE tasks SET id = '{}' WHERE id = 'odd'", tasks[1])).await;
    spoil(&service, &format!("UPDATE task_urls SET state = 'sent' WHERE task_id = '{}'", tasks[0])).await;
    service.stop().await;
}

/// Sends nothing of the first of two jobs, which this change makes unreadable, and all of the second.
async fn sent_without(change: &str, mended: &str) {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let service = Setup::new(&upstream.url()).await.start().await;
    let _ = service.call("/v1/pause", Value::Null).await;
    let first = service.submit(&["https://vimeo.com/10001".to_owned()]).await;
    let second = service.submit(&["https://vimeo.com/10002".to_owned()]).await;
    let task = service.get(&format!("/v1/jobs/{first}")).await["tasks"][0]["id"].as_str().unwrap().to_owned();
    // Not in memory any more.
    let setup = service.stop().await;
    let fill = |statement: &str| statement.replace("TASK", &task).replace("JOB", &first);
    spoil_file(&setup, &fill(change)).await;
    let service = setup.start().await;
    let _ = service.call("/v1/resume", Value::Null).await;
    // It counts as sent from before the request on.
    service.until(&format!("/v1/jobs/{second}"), |job| job["tasks"][0]["state"] == "accepted").await;
    assert_eq!(upstream.submits().len(), 1, "{change}");
    spoil(&service, &fill(mended)).await;
    service.stop().await;
}

#[tokio::test]
async fn a_queued_task_whose_urls_can_not_be_read_keeps_no_other_from_being_sent() {
    let state = |state: &str| format!("UPDATE task_urls SET state = '{state}' WHERE task_id = 'TASK'");
    sent_without(&state("odd"), &state("waiting")).await;
}

#[tokio::test]
async fn a_queued_task_without_its_job_keeps_no_other_from_being_sent() {
    let job = |job: &str| format!("UPDATE tasks SET job_id = '{job}' WHERE id = 'TASK'");
    sent_without(&job("job_x"), &job("JOB")).await;
}
