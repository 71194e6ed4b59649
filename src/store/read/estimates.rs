//! Estimates: the time when waiting URLs have been sent. Must never become slower with the file, so a long queue is
//! read up to a bound.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::domain::destination::Destination;
use crate::domain::forecast::{Pace, Share, Times};
use crate::domain::job::{Job, Library, Quality};
use crate::domain::pause::Pause;
use crate::domain::queue::Priority;
use crate::domain::time::{Timestamp, millis};
use crate::domain::url::Platform;
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::waiting::{Line, Snapshot, Wish};

/// The input of estimates that is not in the file.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Now.
    pub now: Timestamp,
    /// Least time between two requests, as learned so far.
    pub least: Duration,
    /// The most URLs per day. None if there is no limit.
    pub urls_per_day: Option<u64>,
}

/// The pace of requests follows from the submits of this time, at most this many.
const SAMPLE_AGE: Duration = Duration::from_secs(600);
const MOST_SUBMITS: i64 = 200;
/// The fewest submits that show a pace.
const FEWEST_SUBMITS: usize = 3;
/// The most groups in an answer.
const MOST_GROUPS: usize = 500;
/// If the jobs of a page have at most this many URLs, all are read. Otherwise a sample of the second size is read.
const MOST_URLS: i64 = 100_000;
const SAMPLED_URLS: i64 = 20_000;

/// The waiting URLs, and the time when they are expected to be sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueStatus {
    /// Number of waiting URLs.
    pub waiting: usize,
    /// Number of requests that send them, after packing.
    pub requests: usize,
    /// Milliseconds between two submits, as measured in the last ten minutes, or else as learned so far.
    pub interval_ms: u64,
    /// Estimated time when the last one has been sent. Null if no URL waits, and while anything is paused.
    #[schema(required)]
    pub sent_by: Option<Timestamp>,
    /// Time when the oldest one entered the queue. Null if no URL waits.
    #[schema(required)]
    pub oldest_at: Option<Timestamp>,
    /// The pauses in force, each with its reason.
    pub pauses: Vec<Pause>,
    /// Groups of waiting URLs, the largest first. At most 500.
    pub groups: Vec<QueueGroup>,
    /// Number of all groups.
    pub groups_total: usize,
}

/// Waiting URLs of one platform, destination, quality and priority.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueGroup {
    /// The platform of its URLs.
    pub platform: Platform,
    /// Destination of the videos.
    pub destination: QueueDestination,
    /// Video resolution. Null for a task that was recovered from a callback.
    #[schema(required)]
    pub quality: Option<Quality>,
    /// Most urgent priority of the jobs that want the URLs.
    pub priority: Priority,
    /// Number of its URLs.
    pub urls: usize,
    /// Time when the oldest URL entered the queue.
    #[schema(required)]
    pub oldest_at: Option<Timestamp>,
    /// Whether a pause stops the URLs.
    pub paused: bool,
}

/// A library and a folder in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueDestination {
    /// The library.
    pub library: Library,
    /// Name of the folder. `unique_id` and `folder_id` are both null for the default folder.
    #[schema(required)]
    pub unique_id: Option<String>,
    /// Number of the folder.
    #[schema(required)]
    pub folder_id: Option<i64>,
}

impl QueueDestination {
    fn of(destination: Option<&Destination>) -> Self {
        let (unique_id, folder_id) = match destination {
            Some(Destination::Name(name)) => (Some(name.clone()), None),
            Some(Destination::Number(number)) => (None, Some(*number)),
            Some(Destination::Public | Destination::Default) | None => (None, None),
        };
        let library = destination.map_or(Library::Private, Destination::library);
        Self { library, unique_id, folder_id }
    }
}

/// The queue and the times of its requests.
pub(crate) struct Outlook {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) times: Times,
    pub(crate) pace: Pace,
    /// The scopes of the pauses in force.
    pub(crate) paused: Vec<String>,
}

impl Outlook {
    /// Whether a pause stops everything.
    pub(crate) fn is_stopped(&self) -> bool {
        self.paused.iter().any(|scope| Pause::stops_all(scope))
    }
}

pub(crate) const SUBMITS: &str = "SELECT started_at, ended_at FROM submits INDEXED BY submits_by_start
     WHERE started_at > ?1 AND started_at <= ?2 AND code IS NOT 'recovered' ORDER BY started_at DESC LIMIT ?3";

pub(crate) const WANTED: &str = "SELECT asked.value->>3, (
       SELECT json_group_array(round) FROM wants
       WHERE wants.job = jobs.number AND mark IS NULL AND position BETWEEN asked.value->>1 AND asked.value->>2)
     FROM json_each(?1) AS asked CROSS JOIN jobs ON jobs.id = asked.value->>0";

pub(crate) const BEGUN: &str =
    "SELECT rounds.number, begun_at FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value";

impl Readers {
    /// Gives each job the place of its waiting URLs in the queue.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn estimate(&self, jobs: &mut [Job], pacing: Pacing) -> Result<(), ReadError> {
        let asked = Instant::now();
        let mut waiting: Vec<&mut Job> = jobs.iter_mut().filter(|job| job.progress.waiting > 0).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let rounds = self.rounds_of(&waiting).await?;
        let newest = rounds.iter().flatten().max().copied().unwrap_or_default();
        let outlook = self.outlook(pacing, newest, asked).await?;
        let (forecast, is_stopped) = (&outlook.snapshot.forecast, outlook.is_stopped());
        let urls: i64 = waiting.iter().map(|job| job.progress.urls).sum();
        let has_unread = !outlook.snapshot.queue.unread.is_empty();
        for (job, rounds) in waiting.iter_mut().zip(rounds) {
            let share = forecast.share(rounds.iter().copied());
            // URLs that were not read are somewhere before the end.
            let is_whole = urls <= MOST_URLS && !has_unread;
            let anywhere =
                || (!is_whole && forecast.requests() > 0).then(|| Share { ahead: 0, ..forecast.end() });
            let share = share.or_else(anywhere);
            // URLs too far behind to be read are at the end.
            let is_all = !has_unread || forecast.has(&rounds) >= waiting_of(job, rounds.len());
            let share = share.map(|share| if is_all { share } else { share.with(forecast.end()) });
            job.queue = share.map(|share| outlook.times.job(share, is_stopped));
        }
        Ok(())
    }

    /// Returns the rounds of the jobs' URLs. If there are too many URLs, it returns a sample of each job, from its
    /// first to its last.
    async fn rounds_of(&self, jobs: &[&mut Job]) -> Result<Vec<Vec<i64>>, ReadError> {
        let urls: i64 = jobs.iter().map(|job| job.progress.urls).sum();
        let each = SAMPLED_URLS / i64::try_from(jobs.len()).unwrap_or(i64::MAX).max(1);
        let mut asked = Vec::new();
        for (place, job) in jobs.iter().enumerate() {
            let last = job.progress.urls - 1;
            if urls <= MOST_URLS || last < each {
                asked.push(json!([job.id, 0, last, place]));
            } else {
                let parts = each.max(2) - 1;
                asked.extend(
                    (0..=parts).map(|part| last * part / parts).map(|at| json!([job.id, at, at, place])),
                );
            }
        }
        let rows: Vec<(i64, String)> =
            sqlx::query_as(WANTED).bind(json!(asked).to_string()).fetch_all(&self.pool).await?;
        let mut rounds = vec![Vec::new(); jobs.len()];
        for (place, found) in rows {
            let of_job = usize::try_from(place).ok().and_then(|place| rounds.get_mut(place));
            let found: Vec<i64> = serde_json::from_str(&found).unwrap_or_default();
            if let Some(of_job) = of_job {
                of_job.extend(found);
            }
        }
        Ok(rounds)
    }

    /// Returns the queue and the times of its requests. `newest` is the newest requested round, and `asked` is the
    /// time of the question.
    pub(crate) async fn outlook(
        &self,
        pacing: Pacing,
        newest: i64,
        asked: Instant,
    ) -> Result<Outlook, ReadError> {
        let Pacing { now, least, urls_per_day } = pacing;
        let interval = self.measured_interval(now, least).await?;
        let budget = match urls_per_day {
            Some(each_day) => {
                let sent = self.urls_sent_since(now.start_of_day()).await?;
                Some((each_day.saturating_sub(sent), each_day))
            }
            None => None,
        };
        let paused = self.pauses().await?.into_iter().map(|pause| pause.scope).collect();
        let size = self.policy.urls_per_task;
        let wish = Wish { now, interval, size, newest, asked };
        let snapshot = self.waiting.snapshot(&self.pool, wish).await?;
        let pace = Pace { now, interval, budget };
        let times = snapshot.forecast.times(pace);
        Ok(Outlook { snapshot, times, pace, paused })
    }

    /// The mean time between the submits of the last ten minutes, without time in which there was nothing to send. It
    /// is `least` if there were too few submits, and never less.
    async fn measured_interval(&self, now: Timestamp, least: Duration) -> Result<Duration, ReadError> {
        let submits: Vec<(i64, Option<i64>)> = sqlx::query_as(SUBMITS)
            .bind(now.before(SAMPLE_AGE).as_millis())
            .bind(now.as_millis())
            .bind(MOST_SUBMITS)
            .fetch_all(&self.pool)
            .await?;
        Ok(mean_interval(&submits, least))
    }

    /// Returns the waiting URLs.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn queue(&self, pacing: Pacing) -> Result<QueueStatus, ReadError> {
        let outlook = self.outlook(pacing, 0, Instant::now()).await?;
        let is_stopped = outlook.is_stopped();
        let Outlook { snapshot, times, pace, .. } = outlook;
        let mut gathered = gather(&snapshot);
        let waiting = gathered.iter().map(|(_, group)| group.urls).sum();
        let groups_total = gathered.len();
        let first = gathered.iter().map(|(_, group)| group.oldest).min();
        gathered.sort_by_key(|(_, group)| std::cmp::Reverse(group.urls));
        gathered.truncate(MOST_GROUPS);
        let oldest: Vec<i64> = gathered.iter().map(|(_, group)| group.oldest).chain(first).collect();
        let begun: Vec<(i64, i64)> =
            sqlx::query_as(BEGUN).bind(json!(oldest).to_string()).fetch_all(&self.pool).await?;
        let begun: BTreeMap<i64, i64> = begun.into_iter().collect();
        let begun = |round: i64| begun.get(&round).copied().map(Timestamp::from_millis);
        let shown = |((line, priority), group): ((Line, Priority), Gathered)| QueueGroup {
            platform: Platform::from_stored(line.platform),
            destination: QueueDestination::of(line.destination.as_ref()),
            quality: line.quality,
            priority,
            urls: group.urls,
            oldest_at: begun(group.oldest),
            paused: group.is_paused || is_stopped,
        };
        let (requests, forecast) = (snapshot.forecast.requests(), &snapshot.forecast);
        Ok(QueueStatus {
            pauses: self.pauses().await?,
            waiting,
            requests,
            interval_ms: u64::try_from(pace.interval.as_millis()).unwrap_or(u64::MAX),
            sent_by: times.after(requests).filter(|_| !is_stopped && !forecast.is_paused()),
            oldest_at: first.and_then(begun),
            groups: gathered.into_iter().map(shown).collect(),
            groups_total,
        })
    }
}

/// Estimates the waiting URLs in a sample of a job, by their share of all URLs that are not known or canceled.
fn waiting_of(job: &Job, examined: usize) -> usize {
    let progress = &job.progress;
    let all = (progress.urls - progress.known - progress.canceled).max(1);
    let examined = i64::try_from(examined).unwrap_or(i64::MAX).min(all);
    usize::try_from(progress.waiting.saturating_mul(examined) / all).unwrap_or_default()
}

/// The mean time between submits. They come newest first, each with its start and, if it has one, its end. Time after
/// an answer counts up to twice `least`, because beyond that there was nothing to send.
fn mean_interval(submits: &[(i64, Option<i64>)], least: Duration) -> Duration {
    if submits.len() < FEWEST_SUBMITS {
        return least;
    }
    let most = millis(least).saturating_mul(2);
    let gap = |pair: &[(i64, Option<i64>)]| {
        let [(next, _), (began, ended)] = pair else { return 0 };
        let answered = ended.map_or(0, |ended| ended - began).max(0);
        (next - began).clamp(0, answered.saturating_add(most))
    };
    let gaps: i64 = submits.windows(2).map(gap).sum();
    let count = i64::try_from(submits.len() - 1).unwrap_or(i64::MAX);
    Duration::from_millis(u64::try_from(gaps / count).unwrap_or_default()).max(least)
}

/// URLs of one line and priority.
struct Gathered {
    urls: usize,
    /// The lowest number of its rounds.
    oldest: i64,
    is_paused: bool,
}

type Kind = (Line, Priority);

/// The waiting posts by line and priority. A post that several keys or priorities want counts in the most urgent.
fn gather(snapshot: &Snapshot) -> Vec<(Kind, Gathered)> {
    let queue = &snapshot.queue;
    let mut kinds: BTreeMap<Kind, Gathered> = BTreeMap::new();
    let mut add = |line: &Line, priority: Priority, (urls, oldest, is_paused): (usize, i64, bool)| {
        let nothing = Gathered { urls: 0, oldest: i64::MAX, is_paused: false };
        let gathered = kinds.entry((line.clone(), priority)).or_insert(nothing);
        gathered.urls += urls;
        gathered.oldest = gathered.oldest.min(oldest);
        gathered.is_paused |= is_paused;
    };
    let mut of_lines: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for group in &queue.groups {
        of_lines.entry(group.line).or_default().push(group);
    }
    for (number, mut groups) in of_lines {
        let Some(line) = snapshot.lines.get(&number) else { continue };
        groups.sort_by_key(|group| group.priority);
        let is_shared = groups.len() > 1;
        let mut seen = std::collections::HashSet::new();
        let mut unread = queue.unread.get(&number).copied().unwrap_or_default();
        for group in groups {
            let posts = group.posts.iter().flatten().map(|&(_, post)| post);
            let oldest = posts.clone().min().unwrap_or(i64::MAX);
            let urls = posts.filter(|post| !is_shared || seen.insert(*post)).count();
            let urls = urls + std::mem::take(&mut unread);
            if urls > 0 {
                add(line, group.priority, (urls, oldest, group.is_paused));
            }
        }
    }
    for (task, line) in queue.tasks.iter().zip(&snapshot.tasks) {
        let oldest = task.posts.iter().min().copied().unwrap_or(i64::MAX);
        add(line, task.priority, (task.posts.len(), oldest, task.is_paused));
    }
    kinds.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(submits: &[(i64, Option<i64>)], least: u64) -> u128 {
        mean_interval(submits, Duration::from_millis(least)).as_millis()
    }

    #[test]
    fn the_interval_is_measured_without_idle_time() {
        let answered = |began| (began, Some(began + 100));
        assert_eq!(mean(&[answered(9_000), answered(0)], 1_000), 1_000, "too few");
        assert_eq!(mean(&[answered(3_000), answered(1_500), answered(0)], 1_000), 1_500);
        // There was nothing to send for an hour.
        assert_eq!(mean(&[answered(3_601_000), answered(1_000), answered(0)], 1_000), 1_550);
        // Upstream takes half a minute to answer.
        let slow = |began| (began, Some(began + 30_000));
        assert_eq!(mean(&[slow(60_000), slow(30_000), slow(0)], 1_000), 30_000);
        assert_eq!(mean(&[(20, None), answered(10), answered(0)], 1_000), 1_000, "never less");
    }
}
