//! Estimates for a job that has not arrived, from the places that its URLs would have. Must never write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use tokio::time::Instant;

use crate::blocking;
use crate::domain::destination::Destination;
use crate::domain::estimate::{Group, Queue};
use crate::domain::forecast::JobQueue;
use crate::domain::job::Quality;
use crate::domain::queue::{Priority, turn};
use crate::domain::time::Timestamp;
use crate::store::column::row;
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::estimates::{Outlook, Pacing};
use crate::store::read::waiting::Heads;

/// A job as it would enter the queue.
pub(crate) struct Arriving<'a> {
    /// The name of its API key.
    pub(crate) key: Option<&'a str>,
    pub(crate) priority: Priority,
    pub(crate) destination: Destination,
    pub(crate) quality: Quality,
    /// The URLs that are not known already, in their order.
    pub(crate) urls: Vec<ArrivingUrl>,
}

pub(crate) enum ArrivingUrl {
    /// A new round would begin. The values are the platform of the post, and how it travels.
    New(String, usize),
    /// The URL would share this round.
    Joined(i64),
}

impl ArrivingUrl {
    fn platform(&self) -> Option<&String> {
        match self {
            Self::New(platform, _) => Some(platform),
            Self::Joined(_) => None,
        }
    }

    fn joined(&self) -> Option<i64> {
        match self {
            Self::New(..) => None,
            Self::Joined(round) => Some(*round),
        }
    }
}

/// The first number for rows that are not in the file. No row has such a number.
const NEW: i64 = i64::MAX / 2;

/// The lines of platforms, and the number of the request that last served the group of a class in each of them.
pub(crate) const LINES: &str = "SELECT platform, lines.number AS line, ifnull(served, 0) AS served
     FROM json_each(?1) CROSS JOIN lines ON platform = value
         AND lines.destination = (SELECT number FROM destinations WHERE hash = ?2) AND quality = ?3
       LEFT JOIN queue_groups ON queue_groups.key = ?4 AND priority = ?5 AND queue_groups.line = lines.number";

row! {
    /// A line that the store knows.
    struct LineRow {
        platform: String,
        line: i64,
        served: i64,
    }
}

impl Readers {
    /// Estimates when the waiting URLs of the job would be sent. None if none would wait.
    pub(crate) async fn estimate_arriving(
        &self,
        arriving: Arriving<'_>,
        pacing: Pacing,
    ) -> Result<Option<JobQueue>, ReadError> {
        if arriving.urls.is_empty() {
            return Ok(None);
        }
        let newest = arriving.urls.iter().filter_map(ArrivingUrl::joined).max().unwrap_or_default();
        let outlook = self.outlook(pacing, newest, Instant::now()).await?;
        let is_stopped = outlook.is_stopped();
        let Outlook { snapshot, pace, paused, .. } = outlook;
        let name = arriving.key.unwrap_or_default();
        let key: Option<(i64, i64)> = sqlx::query_as("SELECT number, clock FROM api_keys WHERE name = ?1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        let platforms: BTreeSet<&String> = arriving.urls.iter().filter_map(ArrivingUrl::platform).collect();
        let key = key.unwrap_or((NEW, 0));
        let lines: Vec<LineRow> = sqlx::query_as(LINES)
            .bind(json!(platforms).to_string())
            .bind(&arriving.destination.hash()[..])
            .bind(arriving.quality.number())
            .bind(key.0)
            .bind(arriving.priority.number())
            .fetch_all(&self.pool)
            .await?;
        let place = Place {
            key,
            priority: arriving.priority,
            served: lines.iter().map(|row| (row.line, row.served)).collect(),
            lines: lines.into_iter().map(|row| (row.platform, row.line)).collect(),
            paused,
        };
        let urls = arriving.urls;
        let made = move || {
            let mut queue = snapshot.queue.clone();
            let posts = place.enter(&mut queue, &snapshot.heads, &urls, pace.now);
            let forecast = queue.forecast(pace.now, pace.interval);
            let share = forecast.share(posts);
            share.map(|share| forecast.times(pace).job(share, is_stopped))
        };
        Ok(blocking::run(made).await.map_err(|_| sqlx::Error::WorkerCrashed)?)
    }
}

/// The place where a job's posts would wait.
struct Place {
    /// The API key with its clock.
    key: (i64, i64),
    priority: Priority,
    /// The lines of the platforms that have a line.
    lines: BTreeMap<String, i64>,
    /// The number of the request that last served the group of each of these lines.
    served: BTreeMap<i64, i64>,
    /// The scopes of the pauses in force.
    paused: Vec<String>,
}

impl Place {
    /// Puts the posts into the queue as the store would, and returns their numbers. A post that already waits has the
    /// better of its two turns.
    fn enter(&self, queue: &mut Queue, heads: &Heads, urls: &[ArrivingUrl], now: Timestamp) -> Vec<i64> {
        let waiting = joined(queue, urls);
        let mut groups = Groups { place: self, made: BTreeMap::new(), entered: BTreeMap::new() };
        // If the same request served several lines, the store takes the one with the lowest number first.
        let lines: BTreeSet<i64> =
            urls.iter().filter_map(ArrivingUrl::platform).map(|platform| groups.line(platform)).collect();
        lines.into_iter().for_each(|line| groups.enter(queue, heads, line));
        let mut posts = Vec::with_capacity(urls.len());
        for (number, url) in (NEW..).zip(urls) {
            let (post, place) = match url {
                ArrivingUrl::New(platform, kind) => (number, Some((groups.line(platform), *kind))),
                ArrivingUrl::Joined(round) => (*round, waiting.get(round).copied()),
            };
            posts.push(post);
            let Some((line, kind)) = place else { continue };
            let Some((group, turn)) = groups.next(queue, heads, line) else { continue };
            if let Some(of_kind) = queue.groups[group].posts.get_mut(kind) {
                of_kind.push((turn, post));
            }
        }
        if !groups.entered.is_empty() {
            queue.clocks.entry(self.key.0).or_insert(self.key.1.max(heads.clock));
            queue.since.entry((self.key.0, self.priority)).or_insert(now);
        }
        for (group, ..) in groups.entered.into_values() {
            for posts in &mut queue.groups[group].posts {
                posts.sort_unstable_by_key(|&(turn, post)| (post, turn));
                posts.dedup_by_key(|(_, post)| *post);
                posts.sort_unstable();
            }
        }
        posts
    }

    /// Returns the place of the group of a line, and makes the group if there is none. A new group comes after the
    /// line that was served longest ago.
    fn group(&self, queue: &mut Queue, line: i64, is_paused: bool) -> usize {
        let class = (self.key.0, self.priority);
        let of_class = |group: &&Group| (group.key, group.priority) == class;
        let is_it = |group: &Group| of_class(&group) && group.line == line;
        if let Some(place) = queue.groups.iter().position(is_it) {
            return place;
        }
        let is_paused = is_paused || queue.groups.iter().any(|group| group.line == line && group.is_paused);
        let running = queue.groups.iter().filter(of_class).filter(|group| !group.is_paused);
        let first = running.map(|group| group.served).min().unwrap_or_default();
        queue.groups.push(Group {
            number: NEW + i64::try_from(queue.groups.len()).unwrap_or_default(),
            key: class.0,
            priority: class.1,
            line,
            served: self.served.get(&line).copied().unwrap_or_default().max(first),
            is_paused,
            posts: Default::default(),
        });
        queue.groups.len() - 1
    }
}

/// The groups that a job enters.
struct Groups<'a> {
    place: &'a Place,
    /// The new lines of platforms that have none.
    made: BTreeMap<&'a str, i64>,
    /// For each line the group, the turn that it has reached, and the number of posts that have entered.
    entered: BTreeMap<i64, (usize, i64, i64)>,
}

impl<'a> Groups<'a> {
    fn line(&mut self, platform: &'a str) -> i64 {
        let next = NEW + i64::try_from(self.made.len()).unwrap_or_default();
        let known = self.place.lines.get(platform).copied();
        known.unwrap_or_else(|| *self.made.entry(platform).or_insert(next))
    }

    /// Prepares the group of a line.
    fn enter(&mut self, queue: &mut Queue, heads: &Heads, line: i64) {
        if self.entered.contains_key(&line) {
            return;
        }
        let place = self.place;
        let known = place.lines.iter().map(|(platform, line)| (platform.as_str(), *line));
        let made = self.made.iter().map(|(platform, line)| (*platform, *line));
        let mut platforms = known.chain(made).filter(|&(_, other)| other == line);
        let is_paused = platforms.any(|(platform, _)| place.paused.iter().any(|scope| scope == platform));
        let group = place.group(queue, line, is_paused);
        let row = heads.groups.iter().find(|row| row.number == queue.groups[group].number);
        self.entered.insert(line, (group, row.map_or(0, |row| row.turn), 0));
    }

    /// Returns the group of a line, and the turn of the next URL in it.
    fn next(&mut self, queue: &mut Queue, heads: &Heads, line: i64) -> Option<(usize, i64)> {
        self.enter(queue, heads, line);
        let (group, reached, count) = self.entered.get_mut(&line)?;
        *count += 1;
        Some((*group, *reached + turn(*count - 1, queue.size)))
    }
}

/// Finds the lines of shared rounds, and how these rounds travel. Rounds in tasks are left out.
fn joined(queue: &Queue, urls: &[ArrivingUrl]) -> HashMap<i64, (i64, usize)> {
    let shared: BTreeSet<i64> = urls.iter().filter_map(ArrivingUrl::joined).collect();
    let mut waiting = HashMap::new();
    for group in queue.groups.iter().filter(|_| !shared.is_empty()) {
        for (kind, posts) in group.posts.iter().enumerate() {
            let found = posts.iter().filter(|(_, post)| shared.contains(post));
            waiting.extend(found.map(|&(_, post)| (post, (group.line, kind))));
        }
    }
    waiting
}
