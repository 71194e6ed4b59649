//! Every stored state equals the one recomputed from the facts, read here in another way than the store does.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use scrapehook::domain::evidence::{Entry, Evidence, Findings, Submission, weigh};
use scrapehook::domain::job::Progress;
use scrapehook::domain::outcome::{Failure, Reason, UrlOutcome, UrlState};
use scrapehook::domain::round::round_outcome;
use scrapehook::domain::url::CanonicalUrl;
use scrapehook::domain::video::VideoState;
use scrapehook::domain::want::{Mark, want_outcome};
use scrapehook::store::{Binding, Store};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, FromRow, Row};

use crate::support::DEADLINE;
use crate::support::database::open;
use crate::support::file::{POLICY, at};

/// Does what a stop has left to the next start.
async fn finish_what_is_due(database: &Path) {
    let mut file = open(database).await;
    if due(&mut file).await == (0, 0, 0, 0) {
        return file.close().await.unwrap();
    }
    let upstream: String = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'upstream'")
        .fetch_one(&mut file)
        .await
        .unwrap();
    let (store, writer) = Store::open(database, Binding::to(&upstream), POLICY, at(0)).await.unwrap();
    let running = tokio::spawn(writer.run());
    let wait = async {
        while due(&mut file).await != (0, 0, 0, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the next start does what is due");
    file.close().await.unwrap();
    store.close();
    running.await.unwrap();
}

/// Rows of work that is written down and not done.
async fn due(file: &mut SqliteConnection) -> (i64, i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM due_rounds), (SELECT count(*) FROM due_counts),
           (SELECT count(*) FROM due_cancels), (SELECT count(*) FROM due_priorities)",
    )
    .fetch_one(file)
    .await
    .unwrap()
}

/// Checks the file of a service that has stopped.
pub async fn assert_states_follow_from_facts(database: &Path) {
    finish_what_is_due(database).await;
    let mut file = open(database).await;
    let tasks: Vec<TaskRow> =
        sqlx::query_as("SELECT number, id, state, upstream_id, stalled_at FROM tasks WHERE NOT is_old")
            .fetch_all(&mut file)
            .await
            .unwrap();
    let videos = folded(&mut file).await;
    for task in tasks {
        let findings = weigh(&evidence(&mut file, &task, &videos).await);
        assert_eq!(findings.state.as_str(), task.state, "{}", task.id);
        let urls: Vec<(i64, Option<String>, Option<bool>)> =
            sqlx::query_as("SELECT state, code, certain FROM attempts WHERE task = ?1 ORDER BY position")
                .bind(task.number)
                .fetch_all(&mut file)
                .await
                .unwrap();
        let recomputed: Vec<_> = findings.urls.iter().map(|url| shown(&url.outcome)).collect();
        assert_eq!(recomputed, urls, "{}", task.id);
        assert_joins(&mut file, &task, &findings).await;
    }
    assert_videos(&mut file, &videos).await;
    assert_rounds(&mut file).await;
    assert_places_follow_from_wants(&mut file).await;
    assert_jobs(&mut file).await;
    assert_counts(&mut file).await;
    file.close().await.unwrap();
}

fn shown(outcome: &UrlOutcome) -> (i64, Option<String>, Option<bool>) {
    let reason = outcome.reason.as_ref();
    (
        outcome.state.number(),
        reason.map(|reason| reason.failure.code.clone()),
        reason.map(|reason| reason.certain),
    )
}

struct TaskRow {
    number: i64,
    id: String,
    state: String,
    upstream_id: Option<String>,
    stalled_at: Option<i64>,
}

impl FromRow<'_, SqliteRow> for TaskRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            id: row.try_get("id")?,
            state: row.try_get("state")?,
            upstream_id: row.try_get("upstream_id")?,
            stalled_at: row.try_get("stalled_at")?,
        })
    }
}

async fn evidence(
    file: &mut SqliteConnection,
    task: &TaskRow,
    states: &HashMap<String, VideoState>,
) -> Evidence {
    let urls: Vec<String> = sqlx::query_scalar(
        "SELECT canonical FROM attempts JOIN rounds ON rounds.number = round JOIN posts ON posts.number = post
         WHERE task = ?1 ORDER BY position",
    )
    .bind(task.number)
    .fetch_all(&mut *file)
    .await
    .unwrap();
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT kind, video_id FROM facts WHERE task_id = ?1")
        .bind(&task.id)
        .fetch_all(&mut *file)
        .await
        .unwrap();
    let has = |kind: &str| rows.iter().any(|(stored, _)| stored == kind);
    Evidence {
        urls: urls.into_iter().map(CanonicalUrl::from_stored).collect(),
        submission: submission(file, &task.id).await,
        has_upstream_id: task.upstream_id.is_some(),
        succeeded: has("succeeded"),
        failed: has("failed").then(|| Failure::new("task_failed", "")),
        canceled: has("canceled"),
        list_is_complete: has("list_complete"),
        polls_are_refused: has("polls_refused"),
        is_stalled: task.stalled_at.is_some(),
        entries: entries(file, task, &rows, states).await,
    }
}

async fn submission(file: &mut SqliteConnection, task: &str) -> Submission {
    let submits: Vec<(Option<String>, Option<String>, bool)> =
        sqlx::query_as("SELECT outcome, code, certain FROM submits WHERE task_id = ?1 ORDER BY attempt")
            .bind(task)
            .fetch_all(file)
            .await
            .unwrap();
    let Some((outcome, code, certain)) = submits.into_iter().next_back() else { return Submission::Unsent };
    let failure = code.map(|code| Failure::new(code, ""));
    match outcome.as_deref() {
        None => Submission::InFlight,
        Some("accepted") => Submission::Accepted,
        Some("deferred") => Submission::Deferred(failure),
        Some("rejected") => Submission::Rejected(Reason { failure: failure.unwrap(), certain }),
        Some("unknown") => Submission::Unknown(failure),
        Some(other) => panic!("{other}"),
    }
}

type Listed = (Option<String>, Option<String>, i64);

/// One entry a video that a fact or a list names, and one for each URL that was listed without an id.
async fn entries(
    file: &mut SqliteConnection,
    task: &TaskRow,
    facts: &[(String, String)],
    states: &HashMap<String, VideoState>,
) -> Vec<Entry> {
    let listed: Vec<Listed> =
        sqlx::query_as("SELECT video, canonical, state FROM entries WHERE task = ?1 ORDER BY number")
            .bind(task.number)
            .fetch_all(file)
            .await
            .unwrap();
    let mut entries: BTreeMap<(Option<String>, Option<String>), Entry> = BTreeMap::new();
    let new = |video_id: Option<String>, state| Entry {
        video_id,
        state,
        failure: None,
        urls: Vec::new(),
        is_listed: false,
    };
    for (_, video) in facts.iter().filter(|(_, video)| !video.is_empty()) {
        entries.insert((Some(video.clone()), None), new(Some(video.clone()), states[video]));
    }
    for (video, canonical, state) in listed {
        let state = VideoState::from_number(state).unwrap();
        let key = (video.clone(), canonical.clone().filter(|_| video.is_none()));
        let folded = video.as_ref().map_or(state, |video| states[video]);
        let entry = entries.entry(key).or_insert_with(|| new(video.clone(), folded));
        entry.is_listed = true;
        entry.state = entry.state.max(folded);
        if let Some(canonical) = canonical
            && entry.urls.iter().all(|url| url.text != canonical)
        {
            entry.urls.push(CanonicalUrl::from_stored(canonical));
        }
    }
    entries.into_values().collect()
}

/// The videos that are stored as a URL's own are those that the evidence gives it.
async fn assert_joins(file: &mut SqliteConnection, task: &TaskRow, findings: &Findings) {
    let stored: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT position, (SELECT count(*) FROM joins WHERE joins.task = ?1 AND joins.position = attempts.position)
         FROM attempts WHERE task = ?1 ORDER BY position",
    )
    .bind(task.number)
    .fetch_all(file)
    .await
    .unwrap();
    for ((position, videos), found) in stored.into_iter().zip(&findings.urls) {
        // Entries without an id are joined, and have no row.
        assert!(usize::try_from(videos).unwrap() <= found.entries.len(), "{} {position}", task.id);
        assert!(videos > 0 || found.entries.is_empty() || !found.attributed || videos == 0, "{}", task.id);
    }
}

/// A round stands where the best of its tasks has its URL.
async fn assert_rounds(file: &mut SqliteConnection) {
    type Row = (i64, i64, Option<String>, bool, Option<i64>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT rounds.number, rounds.state, rounds.code, line IS NOT NULL, attempts.state, attempts.code
         FROM rounds LEFT JOIN attempts ON attempts.round = rounds.number ORDER BY rounds.number, attempts.task",
    )
    .fetch_all(file)
    .await
    .unwrap();
    for round in rows.chunk_by(|one, two| one.0 == two.0) {
        let (number, state, code, waits, ..) = &round[0];
        let outcome = |row: &Row| {
            let reason = row.5.as_ref().map(|code| Reason::proven(code.clone(), ""));
            row.4.map(|state| UrlOutcome { state: UrlState::from_number(state).unwrap(), reason })
        };
        let tasks: Vec<UrlOutcome> = round.iter().filter_map(outcome).collect();
        let expected = round_outcome(*waits, &tasks);
        let expected = (expected.state.number(), expected.reason.map(|reason| reason.failure.code));
        assert_eq!((*state, code.clone()), expected, "round {number}");
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
    let jobs: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT number, id, state FROM jobs").fetch_all(&mut *file).await.unwrap();
    for (number, job, state) in jobs {
        let urls: Vec<(Option<i64>, i64, Option<String>)> = sqlx::query_as(
            "SELECT mark, rounds.state, rounds.code FROM wants JOIN rounds ON rounds.number = round
             WHERE wants.job = ?1",
        )
        .bind(number)
        .fetch_all(&mut *file)
        .await
        .unwrap();
        let mut progress = Progress::default();
        for (mark, state, code) in urls {
            let mark = mark.map(|mark| Mark::from_number(mark).unwrap());
            let reason = code.map(|code| Reason::proven(code, ""));
            let round = UrlOutcome { state: UrlState::from_number(state).unwrap(), reason };
            let outcome = want_outcome(mark, &round);
            progress.urls += 1;
            progress.add(outcome.state, 1);
            progress.canceled +=
                i64::from(outcome.reason.is_some_and(|reason| reason.failure.code == "canceled"));
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
        assert_eq!(progress.job_state().as_str(), state, "{job}");
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
         UNION ALL SELECT 'videos', state, count(*) FROM videos GROUP BY state
         UNION ALL SELECT 'deliveries', CAST(state AS TEXT), count(*) FROM deliveries GROUP BY state
         UNION ALL SELECT 'subscriber ' || subscriber, CAST(state AS TEXT), count(*) FROM deliveries
           GROUP BY subscriber, state
         ORDER BY 1, 2",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert_eq!(kept, counted);
    let miscounted: Vec<i64> = sqlx::query_scalar(
        "SELECT number FROM lines WHERE waiting <> (SELECT count(*) FROM rounds WHERE line = lines.number)",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert_eq!(miscounted, Vec::<i64>::new());
    let out_of_order: Vec<i64> = sqlx::query_scalar(
        "SELECT number FROM deliveries WHERE
           (state = 1) <> EXISTS (SELECT 1 FROM delivery_order WHERE delivery = number)
           OR (state = 1 AND ahead <> (
             SELECT count(*) FROM delivery_order AS mine WHERE mine.delivery = number AND EXISTS (
               SELECT 1 FROM delivery_order AS before WHERE before.subscriber = mine.subscriber
                 AND before.job = mine.job AND before.delivery < mine.delivery)))",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert_eq!(out_of_order, Vec::<i64>::new());
}

/// Each post that waits in a line has one place for each priority in which a key wants it, and every count is the one
/// of the rows.
async fn assert_places_follow_from_wants(file: &mut SqliteConnection) {
    let wanted: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT rounds.number, key, priority, line, kind FROM rounds
           JOIN wants ON wants.round = rounds.number AND mark IS NULL JOIN jobs ON jobs.number = wants.job
         WHERE line IS NOT NULL GROUP BY rounds.number, key, priority ORDER BY 1, 2, 3",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    let standing: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT round, key, priority, line, kind FROM places JOIN queue_groups ON number = grp
         ORDER BY 1, 2, 3",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert_eq!(standing, wanted);
    let miscounted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT 'group', number FROM queue_groups
         WHERE waiting <> (SELECT count(*) FROM places WHERE grp = queue_groups.number)
         UNION ALL
         SELECT 'line', number FROM lines
         WHERE waiting <> (SELECT count(*) FROM rounds WHERE line = lines.number)
         UNION ALL
         SELECT 'group of another key', queue_groups.number FROM queue_groups
         WHERE waiting > 0 AND NOT EXISTS (
           SELECT 1 FROM queue_classes WHERE queue_classes.key = queue_groups.key
             AND queue_classes.priority = queue_groups.priority)
         UNION ALL
         SELECT 'task without a class', tasks.number FROM tasks
         WHERE state = 'queued' AND NOT EXISTS (
           SELECT 1 FROM queue_classes WHERE queue_classes.key = tasks.key
             AND queue_classes.priority = tasks.priority)",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    assert!(miscounted.is_empty(), "{miscounted:?}");
}
