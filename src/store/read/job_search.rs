//! The search for jobs by text. Must never read a growing table from one end to the other in one call, so a search
//! says how far it has come.

use serde_json::json;

use crate::domain::id::JobId;
use crate::domain::job::Job;
use crate::domain::url::{CanonicalUrl, PostUrl};
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::jobs::JobFilter;

/// The jobs that are read at once.
const STEP: i64 = 200;

/// A search for jobs.
#[derive(Clone, Debug)]
pub struct JobSearch {
    /// The id of a job, a task or a video, or a URL in any spelling, or a part of a label, an id, a folder or a URL.
    pub text: String,
    /// The most URLs that one call looks through, except that it looks through at least one job.
    pub most_urls: i64,
}

/// The jobs that a search has found.
#[derive(Clone, Debug)]
pub struct FoundJobs {
    /// The jobs, newest first, one more than the limit if there are more.
    pub jobs: Vec<Job>,
    /// The last job that was looked at, if older ones were not.
    pub searched_to: Option<JobId>,
}

/// The jobs that an id or a URL names exactly: a job, a task by either of its ids, a video, or any spelling of a URL.
pub(crate) const NAMED: &str = "SELECT number FROM jobs WHERE id = ?1
     UNION SELECT served.job FROM tasks CROSS JOIN served ON served.task = tasks.number WHERE tasks.id = ?1
     UNION SELECT served.job FROM tasks INDEXED BY tasks_by_upstream_id
       CROSS JOIN served ON served.task = tasks.number WHERE upstream_id = ?1
     UNION SELECT wants.job FROM joins CROSS JOIN attempts USING (task, position)
       CROSS JOIN wants ON wants.round = attempts.round WHERE joins.video = ?1
     UNION SELECT wants.job FROM posts CROSS JOIN rounds ON rounds.post = posts.number
       CROSS JOIN wants ON wants.round = rounds.number WHERE posts.hash = ?2 AND posts.canonical = ?3";

/// Those of some jobs that have a URL with the text in it, as it was given or in its canonical form.
pub(crate) const WITH_URL: &str = "SELECT value FROM json_each(?1) AS asked
     WHERE EXISTS (SELECT 1 FROM jobs CROSS JOIN wants ON wants.job = jobs.number
       CROSS JOIN rounds ON rounds.number = wants.round CROSS JOIN posts ON posts.number = rounds.post
       WHERE jobs.id = asked.value
         AND (ifnull(wants.url, posts.url) LIKE ?2 ESCAPE '\\' OR posts.canonical LIKE ?2 ESCAPE '\\'))";

impl Readers {
    /// Searches for jobs, newest first. If the text is the id of a job, a task or a video, or a URL in any spelling,
    /// the search finds the jobs that it names. Otherwise, or if there are none, it finds the jobs whose labels, ids,
    /// folder or URLs contain it, without regard to case (in URLs, to the case of ASCII letters).
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn search_jobs(&self, search: &JobSearch, filter: &JobFilter) -> Result<FoundJobs, ReadError> {
        let named = self.named_jobs(&search.text).await?;
        if !named.is_empty() {
            let jobs = self.jobs(&JobFilter { among: Some(named), ..filter.clone() }).await?;
            return Ok(FoundJobs { jobs, searched_to: None });
        }
        let mut found = Vec::new();
        let mut step = JobFilter { limit: STEP, ..filter.clone() };
        let mut urls_left = search.most_urls;
        loop {
            let mut jobs = self.jobs(&step).await?;
            let is_last = length(&jobs) < STEP;
            let read = jobs.len();
            jobs.truncate(affordable(&jobs, &mut urls_left));
            let is_cut = jobs.len() < read;
            step.before = jobs.last().map(|job| job.id).or(step.before);
            found.extend(self.containing(&search.text, jobs).await?);
            if length(&found) >= filter.limit || (is_last && !is_cut) {
                found.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
                return Ok(FoundJobs { jobs: found, searched_to: None });
            }
            if is_cut || urls_left <= 0 {
                return Ok(FoundJobs { jobs: found, searched_to: step.before });
            }
        }
    }

    async fn named_jobs(&self, text: &str) -> Result<Vec<i64>, ReadError> {
        let canonical = PostUrl::parse(text).ok().map(|url| url.canonical);
        let hash = canonical.as_deref().map(CanonicalUrl::hash);
        let named = sqlx::query_scalar(NAMED).bind(text).bind(hash).bind(canonical);
        Ok(named.fetch_all(&self.pool).await?)
    }

    /// Returns those of the jobs that contain the text.
    async fn containing(&self, text: &str, jobs: Vec<Job>) -> Result<Vec<Job>, ReadError> {
        let wanted = text.to_lowercase();
        let others: Vec<JobId> = jobs.iter().filter(|job| !says(job, &wanted)).map(|job| job.id).collect();
        let with_url: Vec<String> = sqlx::query_scalar(WITH_URL)
            .bind(json!(others).to_string())
            .bind(like(text))
            .fetch_all(&self.pool)
            .await?;
        let has_url = |job: &Job| with_url.contains(&job.id.to_string());
        Ok(jobs.into_iter().filter(|job| says(job, &wanted) || has_url(job)).collect())
    }
}

/// Whether a job's id, folder or labels contain the text, which is in lower case.
fn says(job: &Job, wanted: &str) -> bool {
    let labels = job.labels.iter().map(|(key, value)| format!("{key}:{value}"));
    let folder = job.unique_id.clone().into_iter().chain(job.folder_id.map(|number| number.to_string()));
    [job.id.to_string()]
        .into_iter()
        .chain(folder)
        .chain(labels)
        .any(|text| text.to_lowercase().contains(wanted))
}

/// How many of the jobs have few enough URLs to be searched. At least one, so that each call gets on.
fn affordable(jobs: &[Job], urls_left: &mut i64) -> usize {
    let mut count = 0;
    for job in jobs {
        if count > 0 && *urls_left < job.progress.urls {
            break;
        }
        *urls_left -= job.progress.urls;
        count += 1;
    }
    count
}

/// A pattern for texts that contain this one.
fn like(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

fn length(jobs: &[Job]) -> i64 {
    i64::try_from(jobs.len()).unwrap_or(i64::MAX)
}
