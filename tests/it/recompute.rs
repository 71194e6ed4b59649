//! Every stored state equals the one recomputed from the facts, read here in another way than the store does.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use scrapehook::domain::job::{Progress, UrlState};
use scrapehook::domain::state::{Submission, TaskFacts, VideoFacts, derive, job_state};
use scrapehook::domain::task::Failure;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{Binding, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::file::{POLICY, at};
use crate::support::DEADLINE;

/// Does what a stop has left to the next start.
async fn finish_what_is_due(database: &Path) {
    let mut file = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    if due(&mut file).await == (0, 0, 0) {
        return file.close().await.unwrap();
    }
    let upstream: String = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'upstream'")
        .fetch_one(&mut file)
        .await
        .unwrap();
    let (store, writer) = Store::open(database, Binding::to(&upstream), POLICY, at(0)).await.unwrap();
    let running = tokio::spawn(writer.run());
    let wait = async {
        while due(&mut file).await != (0, 0, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the next start does what is due");
    file.close().await.unwrap();
    store.close();
    running.await.unwrap();
}

/// Rows of work that is written down and not done.
async fn due(file: &mut SqliteConnection) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM due_urls), (SELECT count(*) FROM due_counts),
           (SELECT count(*) FROM due_cancels)",
    )
    .fetch_one(file)
    .await
    .unwrap()
}

/// Checks the file of a service that has stopped.
pub async fn assert_states_follow_from_facts(database: &Path) {
    finish_what_is_due(database).await;
    let mut file = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let tasks: Vec<(String, String, Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT id, state, upstream_id, stalled_at FROM tasks")
            .fetch_all(&mut file)
            .await
            .unwrap();
    let videos = folded(&mut file).await;
    for (task, state, upstream_id, stalled_at) in tasks {
        let (has_upstream_id, is_stalled) = (upstream_id.is_some(), stalled_at.is_some());
        let derived = derive(&facts(&mut file, &task, has_upstream_id, is_stalled, &videos).await);
        assert_eq!(derived.state.as_str(), state, "{task}");
        let urls: Vec<(String,)> =
            sqlx::query_as("SELECT state FROM task_urls WHERE task_id = ?1 ORDER BY position")
                .bind(&task)
                .fetch_all(&mut file)
                .await
                .unwrap();
        let recomputed: Vec<_> = derived.urls.iter().map(|(state, _)| (state.to_string(),)).collect();
        assert_eq!(recomputed, urls, "{task}");
    }
    assert_videos(&mut file, &videos).await;
    assert_jobs(&mut file).await;
    assert_counts(&mut file).await;
    file.close().await.unwrap();
}

async fn facts(
    file: &mut SqliteConnection,
    task: &str,
    has_upstream_id: bool,
    stalled: bool,
    states: &HashMap<String, VideoState>,
) -> TaskFacts {
    let (urls,): (i64,) = sqlx::query_as("SELECT count(*) FROM task_urls WHERE task_id = ?1")
        .bind(task)
        .fetch_one(&mut *file)
        .await
        .unwrap();
    let submits: Vec<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT outcome, code FROM submits WHERE task_id = ?1 ORDER BY attempt")
            .bind(task)
            .fetch_all(&mut *file)
            .await
            .unwrap();
    let submission = match submits.last() {
        None => Submission::Unsent,
        Some((None, _)) => Submission::InFlight,
        Some((Some(outcome), code)) => Submission::Ended(
            outcome.parse().unwrap(),
            code.as_ref().map(|code| Failure::new(code.clone(), "")),
        ),
    };
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT kind, video_id FROM facts WHERE task_id = ?1")
        .bind(task)
        .fetch_all(&mut *file)
        .await
        .unwrap();
    let has = |kind: &str| rows.iter().any(|(stored, _)| stored == kind);
    let mut videos: BTreeMap<&str, VideoFacts> = BTreeMap::new();
    for (_, video) in rows.iter().filter(|(_, video)| !video.is_empty()) {
        videos.insert(video, VideoFacts { state: states[video], failure: None, urls: Vec::new() });
    }
    let listings: Vec<(String, i64)> =
        sqlx::query_as("SELECT video_id, position FROM listings WHERE task_id = ?1 ORDER BY position")
            .bind(task)
            .fetch_all(&mut *file)
            .await
            .unwrap();
    for (video, position) in listings {
        // A video that is only listed is no fact yet.
        if let Some(facts) = videos.get_mut(video.as_str()) {
            facts.urls.push(usize::try_from(position).unwrap());
        }
    }
    TaskFacts {
        urls: usize::try_from(urls).unwrap(),
        submission,
        has_upstream_id,
        succeeded: has("succeeded"),
        failed: has("failed").then(|| Failure::new("task_failed", "")),
        canceled: has("canceled"),
        exhausted: has("exhausted"),
        stalled,
        named: has("named"),
        unnamed: has("unnamed"),
        videos: videos.into_values().collect(),
    }
}

/// The state of every video, from all tasks' facts about it.
async fn folded(file: &mut SqliteConnection) -> HashMap<String, VideoState> {
    let kinds: Vec<(String, String)> =
        sqlx::query_as("SELECT video_id, kind FROM facts WHERE video_id <> ''")
            .fetch_all(file)
            .await
            .unwrap();
    let mut states = HashMap::new();
    for (video, kind) in kinds {
        let state = match kind.as_str() {
            "video_indexed" => VideoState::Indexed,
            "video_failed" => VideoState::Failed,
            _ => VideoState::Indexing,
        };
        let known = states.entry(video).or_insert(state);
        *known = state.max(*known);
    }
    states
}

async fn assert_videos(file: &mut SqliteConnection, folded: &HashMap<String, VideoState>) {
    let videos: Vec<(String, String)> =
        sqlx::query_as("SELECT id, state FROM videos").fetch_all(&mut *file).await.unwrap();
    assert_eq!(videos.len(), folded.len());
    for (video, state) in videos {
        assert_eq!(folded[&video].as_str(), state, "{video}");
    }
}

async fn assert_jobs(file: &mut SqliteConnection) {
    type Counts = (i64, i64, i64, i64, i64, i64, i64, i64);
    let jobs: Vec<(String, String)> =
        sqlx::query_as("SELECT id, state FROM jobs").fetch_all(&mut *file).await.unwrap();
    for (job, state) in jobs {
        let urls: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT CASE fixed WHEN 'known' THEN 'known' WHEN 'canceled' THEN 'failed' WHEN 'unattributed' THEN 'failed'
                 ELSE task_urls.state END,
               CASE fixed WHEN 'known' THEN NULL WHEN 'canceled' THEN fixed WHEN 'unattributed' THEN fixed
                 ELSE error_code END
             FROM job_urls JOIN task_urls
               ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
             WHERE job_id = ?1",
        )
        .bind(&job)
        .fetch_all(&mut *file)
        .await
        .unwrap();
        let mut progress = Progress::default();
        for (state, code) in urls {
            progress.urls += 1;
            progress.add(state.parse::<UrlState>().unwrap(), 1);
            progress.canceled += i64::from(code.as_deref() == Some("canceled"));
        }
        let stored: Counts = sqlx::query_as(
            "SELECT urls, waiting, sent, downloaded, indexed, failed, known, canceled FROM jobs WHERE id = ?1",
        )
        .bind(&job)
        .fetch_one(&mut *file)
        .await
        .unwrap();
        let Progress { urls, waiting, sent, downloaded, indexed, failed, known, canceled } = progress;
        assert_eq!(stored, (urls, waiting, sent, downloaded, indexed, failed, known, canceled), "{job}");
        assert_eq!(job_state(&progress).as_str(), state, "{job}");
    }
}

/// The counts that are kept as rows are those that a count of all rows gives, and nothing is due.
async fn assert_counts(file: &mut SqliteConnection) {
    let kept: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT subject, state, count FROM counts WHERE count <> 0 ORDER BY 1, 2")
            .fetch_all(&mut *file)
            .await
            .unwrap();
    let counted: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT 'jobs', state, count(*) FROM jobs GROUP BY state
         UNION ALL SELECT 'tasks', state, count(*) FROM tasks GROUP BY state
         UNION ALL SELECT 'videos', state, count(*) FROM videos GROUP BY state ORDER BY 1, 2",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert_eq!(kept, counted);
}
