//! Counts how often somebody asked for a post, from what the API shows. Must never look at how the store decides.

use std::collections::{BTreeMap, BTreeSet};

use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::Quality;
use scrapehook::domain::outcome::UrlState;
use scrapehook::domain::task::{Task, TaskState, TaskUrl};
use scrapehook::store::Readers;

/// A post of a scenario in one of its folders, both by number.
pub type Post = (usize, usize);

/// A job that was taken.
#[derive(Clone, Debug)]
pub struct Asker {
    pub id: JobId,
    pub folder: usize,
    pub quality: Quality,
    pub force: bool,
}

/// A request that went out.
#[derive(Clone, Debug)]
pub struct Sent {
    pub task: TaskId,
    pub folder: usize,
    pub quality: Quality,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Indexed,
    OnItsWay,
    Unconfirmed,
    Ended,
}

/// A job's URL as the API shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub job: Asker,
    pub post: Post,
    pub state: UrlState,
    pub code: Option<String>,
}

/// Everything that the API shows of a scenario.
#[derive(Debug, Default)]
pub struct View {
    pub urls: Vec<Shown>,
    attempts: Vec<(Post, Sent, Standing)>,
}

impl View {
    /// Reads it. Jobs and tasks that are not there are left out: a copy was restored.
    pub async fn read(
        read: &Readers,
        (jobs, sent): (&[Asker], &[Sent]),
        posts: &BTreeMap<String, usize>,
    ) -> Self {
        let mut view = Self::default();
        for job in jobs {
            for (_, url) in read.job_urls(job.id, None, 0, 99).await.unwrap() {
                let code = url.error.map(|error| error.failure.code);
                let post = (posts[&url.url], job.folder);
                view.urls.push(Shown { job: job.clone(), post, state: url.state, code });
            }
        }
        let mut seen = BTreeSet::new();
        // A task that was sent twice counts from the last time on.
        for sent in sent.iter().rev().filter(|sent| seen.insert(sent.task)) {
            let Some(task) = read.task(sent.task).await.unwrap() else { continue };
            for url in task.urls.iter().flatten() {
                let Some(post) = posts.get(&url.url) else { continue };
                if let Some(standing) = standing(&task, url) {
                    view.attempts.push(((*post, sent.folder), sent.clone(), standing));
                }
            }
        }
        view
    }

    /// Whether a post waits for its turn.
    pub fn waits(&self, post: Post) -> bool {
        self.urls.iter().any(|url| url.post == post && url.state == UrlState::Waiting)
    }

    /// Whether somebody waits for a post by force.
    pub fn is_forced(&self, post: Post) -> bool {
        let is_forced = |url: &&Shown| url.post == post && url.job.force;
        self.urls.iter().filter(is_forced).any(|url| url.state == UrlState::Waiting)
    }

    fn serving(&self, post: Post, quality: Quality) -> impl Iterator<Item = &(Post, Sent, Standing)> {
        self.attempts.iter().filter(move |(of, sent, _)| *of == post && sent.quality >= quality)
    }

    /// Whether another task than this one is proven to have the post in at least this quality.
    pub fn is_proven(&self, post: Post, quality: Quality, besides: TaskId) -> bool {
        let is_other = |(_, sent, _): &&(Post, Sent, Standing)| sent.task != besides;
        let is_proof = |standing| matches!(standing, Standing::Indexed | Standing::OnItsWay);
        self.serving(post, quality).filter(is_other).any(|(.., standing)| is_proof(*standing))
    }

    /// Whether a want may cost a charge: nothing that may have been charged for its post is indexed, on its way,
    /// unconfirmed or waiting. A retry sets unconfirmed attempts aside.
    pub fn is_ask(&self, post: Post, (quality, force): (Quality, bool), is_retry: bool) -> bool {
        if self.waits(post) {
            return false;
        }
        let mut serving = self.serving(post, quality).map(|(.., standing)| *standing).peekable();
        let is_unconfirmed = serving.peek() == Some(&Standing::Unconfirmed) && !is_retry;
        let has_it = |standing| matches!(standing, Standing::Indexed | Standing::OnItsWay);
        force || !(is_unconfirmed || serving.any(has_it))
    }

    /// The posts for which a retry of this job asks, if these codes are named.
    pub fn asked_by_retry(&self, job: &Asker, codes: Option<&[String]>) -> BTreeSet<Post> {
        let is_named = |code: &str| match codes {
            Some(codes) => codes.iter().any(|named| named == code),
            None => code != "canceled",
        };
        let failed = self.urls.iter().filter(|url| url.job.id == job.id && url.state == UrlState::Failed);
        let named = failed.filter(|url| url.code.as_deref().is_some_and(is_named)).map(|url| url.post);
        named.filter(|post| self.is_ask(*post, (job.quality, job.force), true)).collect()
    }

    /// The posts for which a retry of this task asks: those that a job has not got.
    pub fn asked_by_task_retry(&self, task: TaskId) -> BTreeSet<Post> {
        let of_task = self
            .attempts
            .iter()
            .filter(|(_, sent, standing)| sent.task == task && *standing != Standing::Indexed);
        let posts: BTreeSet<Post> = of_task.map(|(post, ..)| *post).collect();
        let is_open = |url: &&Shown| {
            !matches!(url.state, UrlState::Indexed | UrlState::Known)
                && url.code.as_deref() != Some("canceled")
        };
        let open = self.urls.iter().filter(|url| posts.contains(&url.post)).filter(is_open);
        let asks = |url: &&Shown| self.is_ask(url.post, (url.job.quality, url.job.force), true);
        open.filter(asks).map(|url| url.post).collect()
    }
}

/// Where a URL stands in a task; none if the task waits to be sent.
fn standing(task: &Task, url: &TaskUrl) -> Option<Standing> {
    Some(match (url.state, task.state) {
        (UrlState::Waiting, _) => return None,
        (UrlState::Sent | UrlState::Failed, TaskState::Unconfirmed) => Standing::Unconfirmed,
        (UrlState::Sent | UrlState::Downloaded, _) => Standing::OnItsWay,
        (UrlState::Indexed, _) if is_attributed(task, url) => Standing::Indexed,
        _ => Standing::Ended,
    })
}

/// Whether an indexed URL makes its post known for good. In a task of several URLs it may be joined to a video that
/// upstream has listed without its URL, and then somebody may ask again.
fn is_attributed(task: &Task, url: &TaskUrl) -> bool {
    let is_own = |id: &String| task.videos.iter().flatten().any(|video| video.id == *id && video.attributed);
    task.urls.as_ref().is_none_or(|urls| urls.len() == 1)
        || url.video_ids.is_empty()
        || url.video_ids.iter().any(is_own)
}
