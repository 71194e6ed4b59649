//! Arrivals: decides where the URLs of a job go, when the job arrives and when it is retried. Must never send
//! anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::destination::Destination;
use crate::domain::forming::travels_alone;
use crate::domain::outcome::UrlState;
use crate::domain::url::{CanonicalUrl, PostUrl};
use crate::domain::want::{Arrival, Ask, Mark, Post, Terms, look_up};
use crate::store::batch::Batch;
use crate::store::batch::changes::{Round, Touch};
use crate::store::column;
use crate::store::derive::places::{self, Class, Entering};
use crate::store::derive::posts::{self, History, Lines};
use crate::store::derive::queue;

/// The way in which the post of a round is sent (see the column `kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travel {
    WithOthers = 0,
    ShortLink = 1,
    Alone = 2,
}

/// The job that asks for posts, and its terms.
pub(crate) struct Asking<'a> {
    /// The number of the job.
    pub(crate) job: i64,
    /// The class in whose turns it waits.
    pub(crate) class: Class,
    pub(crate) destination: &'a Destination,
    pub(crate) terms: Terms,
    pub(crate) ask: Ask,
    pub(crate) touch: Touch,
}

/// A URL that asks for its post.
pub(crate) struct Asked {
    pub(crate) position: i64,
    pub(crate) url: PostUrl,
}

/// A URL of a job, and its round from now on.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) position: i64,
    pub(crate) round: Round,
    pub(crate) mark: Option<Mark>,
    /// The state of the want.
    pub(crate) state: UrlState,
    /// The URL as given, if it differs from that of the post.
    pub(crate) url: Option<String>,
    /// Whether the round is new.
    pub(crate) entered: bool,
}

/// The rows for rounds that enter the queue.
#[derive(Default)]
struct New {
    posts: Vec<Value>,
    rounds: Vec<Value>,
    places: Vec<Entering>,
}

/// Numbers the URLs of a job in each line, because they take turns by requests.
#[derive(Default)]
struct Numbers(BTreeMap<i64, i64>);

impl Numbers {
    fn next(&mut self, line: i64) -> i64 {
        let next = self.0.entry(line).or_default();
        *next += 1;
        *next - 1
    }
}

/// Finds the round of each URL, and begins new rounds.
pub(crate) async fn place(
    batch: &mut Batch<'_>,
    asking: &Asking<'_>,
    urls: Vec<Asked>,
) -> Result<Vec<Placed>, sqlx::Error> {
    let canonical = urls.iter().map(|asked| asked.url.canonical.as_str());
    let mut histories = posts::histories(batch.connection, asking.destination, canonical).await?;
    let destination = posts::destination(batch.connection, asking.destination).await?;
    let (mut next_post, mut next_round) = posts::next_numbers(batch.connection).await?;
    let mut lines = Lines::of(destination);
    let (mut placed, mut new) = (Vec::with_capacity(urls.len()), New::default());
    let (mut joined, mut numbers) = (BTreeMap::new(), Numbers::default());
    for Asked { position, url } in urls {
        let history = histories.remove(&url.canonical).unwrap_or_default();
        let post = Post { attempts: &history.attempts, queued: history.queued };
        let arrival = look_up(&post, asking.terms, asking.ask);
        let (round, mark, entered) = match arrival {
            Arrival::Join(round) => (round, None, false),
            Arrival::Known => match history.known(asking.terms.quality) {
                Some(round) => (round, Some(Mark::Known), false),
                None => return Err(sqlx::Error::RowNotFound),
            },
            Arrival::Enter => {
                let line =
                    lines.number(batch.connection, url.platform.as_str(), asking.terms.quality).await?;
                let post = history.post.unwrap_or_else(|| {
                    let hash = CanonicalUrl::hash(&url.canonical);
                    let row =
                        (next_post, destination, hash, &url.canonical, &url.given, url.platform.as_str());
                    new.posts.push(json!(row));
                    next_post += 1;
                    next_post - 1
                });
                let kind = travel(&url, &history, asking.ask) as i64;
                let place = numbers.next(line);
                new.places.push(Entering { round: next_round, line, kind, place });
                let given = spelling(&url, &history);
                let (at, state) = (asking.touch.at.as_millis(), UrlState::Waiting.number());
                new.rounds.push(json!([next_round, post, asking.job, given, at, line, kind, state]));
                next_round += 1;
                (next_round - 1, None, true)
            }
        };
        if history.queued == Some(round) {
            let line = lines.number(batch.connection, url.platform.as_str(), asking.terms.quality).await?;
            joined.insert(round, numbers.next(line));
        }
        let state = if mark.is_some() { UrlState::Known } else { UrlState::Waiting };
        let url = if entered { spelling(&url, &history).map(str::to_owned) } else { Some(url.given) };
        placed.push(Placed { position, round, mark, state, url, entered });
    }
    let (class, at) = (asking.class, asking.touch.at);
    write(batch.connection, new.posts, new.rounds, &new.places).await?;
    places::enter(batch, class, &new.places, at).await?;
    read_shared(batch.connection, &mut placed).await?;
    queue::raise(batch, &joined.keys().copied().collect(), asking.terms.quality, asking.touch).await?;
    let joining = queue::joining(batch, &joined).await?;
    places::join(batch, class, joining, at).await?;
    Ok(placed)
}

/// The URL as given, if the post is spelled otherwise. A new post has the spelling of the URL that brought it.
fn spelling<'a>(url: &'a PostUrl, history: &History) -> Option<&'a str> {
    history.url.as_ref().filter(|kept| **kept != url.given).map(|_| url.given.as_str())
}

/// Decides how a post is sent, from its history.
pub(crate) fn travel(url: &PostUrl, history: &History, ask: Ask) -> Travel {
    let has_id = || CanonicalUrl::from_stored(url.canonical.clone()).id.is_some();
    if travels_alone(history.last_end().as_ref(), ask) {
        Travel::Alone
    } else if has_id() {
        Travel::WithOthers
    } else {
        Travel::ShortLink
    }
}

async fn write(
    connection: &mut SqliteConnection,
    posts: Vec<Value>,
    rounds: Vec<Value>,
    places: &[Entering],
) -> Result<(), sqlx::Error> {
    let mut waiting: BTreeMap<i64, i64> = BTreeMap::new();
    for place in places {
        *waiting.entry(place.line).or_default() += 1;
    }
    let counted = waiting.into_iter().map(|counted| json!(counted)).collect();
    for (sql, rows) in
        [(posts::INSERT_POSTS, posts), (posts::INSERT_ROUNDS, rounds), (posts::COUNT_WAITING, counted)]
    {
        if !rows.is_empty() {
            sqlx::query(sql).bind(Value::Array(rows).to_string()).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

pub(crate) const STATES: &str = "SELECT asked.key AS place, rounds.state, posts.url
     FROM json_each(?1) AS asked CROSS JOIN rounds ON rounds.number = asked.value
       CROSS JOIN posts ON posts.number = rounds.post";

/// Reads the states of shared rounds, and finds the URLs that are spelled like their posts.
async fn read_shared(connection: &mut SqliteConnection, placed: &mut [Placed]) -> Result<(), sqlx::Error> {
    let mut shared: Vec<&mut Placed> = placed.iter_mut().filter(|placed| !placed.entered).collect();
    if shared.is_empty() {
        return Ok(());
    }
    let rounds: Vec<Round> = shared.iter().map(|placed| placed.round).collect();
    let rows: Vec<(i64, i64, String)> =
        sqlx::query_as(STATES).bind(json!(rounds).to_string()).fetch_all(connection).await?;
    for (place, state, url) in rows {
        let Some(placed) = usize::try_from(place).ok().and_then(|place| shared.get_mut(place)) else {
            continue;
        };
        if placed.mark.is_none() {
            let id = placed.round.to_string();
            placed.state = column::numbered(("rounds", "state", &id), state, UrlState::from_number)?;
        }
        placed.url.take_if(|given| *given == url);
    }
    Ok(())
}

pub(crate) const SERVE: &str = "INSERT INTO served (task, job, after)
     SELECT DISTINCT attempts.task, asked.value->>1, ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
     FROM json_each(?1) AS asked CROSS JOIN attempts ON attempts.round = asked.value->>0 WHERE true
     ON CONFLICT DO NOTHING";

/// Records that the tasks of these rounds serve these jobs. Each pair is a round and the number of a job.
pub(crate) async fn serve(batch: &mut Batch<'_>, pairs: &BTreeSet<(Round, i64)>) -> Result<(), sqlx::Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let new: Vec<(i64,)> = sqlx::query_as(
        "SELECT DISTINCT task FROM json_each(?1) AS asked CROSS JOIN attempts ON attempts.round = asked.value->>0",
    )
    .bind(json!(pairs).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(SERVE).bind(json!(pairs).to_string()).execute(&mut *batch.connection).await?;
    let tasks: Vec<i64> = new.into_iter().map(|(task,)| task).collect();
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT tasks.id FROM json_each(?1) CROSS JOIN tasks ON tasks.number = value")
            .bind(json!(tasks).to_string())
            .fetch_all(&mut *batch.connection)
            .await?;
    for id in ids {
        // The number of jobs that a task serves is loaded with it.
        batch.changes.stale.insert(column::parsed(("tasks", "id", &id), &id)?);
    }
    Ok(())
}
