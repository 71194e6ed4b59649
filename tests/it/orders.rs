//! Every order: whatever of the answer to a submit, callbacks, polls and hints arrives, and in whatever order,
//! what has arrived decides the end.
//!
//! All orders of all choices from two sets are tried, with two callbacks of indexed videos, or four with
//! `SCRAPEHOOK_ORDERS_VIDEOS=4`; beyond them a random walk, which `SCRAPEHOOK_ORDERS_SEED` replays and
//! `SCRAPEHOOK_ORDERS` makes longer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::job::UrlState;
use scrapehook::domain::task::{Failure, TaskState};
use scrapehook::domain::video::VideoState;
use scrapehook::store::{DuePoll, PollEnd, PolledVideo, ReceivedHint, SubmitEnd};
use sha2::{Digest, Sha256};

use crate::aftermath::number;
use crate::file::{File, at, callback, lost};

/// Something that arrives for a task of two URLs. Videos belong to the URL of their number's parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Accepted,
    Lost,
    Rejected,
    Succeeded,
    Failed,
    Indexed(u8),
    VideoFailed(u8),
    /// A poll lists this video as still indexing.
    Seen(u8),
    /// A poll lists these as ended, one well and one not.
    Polled(u8, u8),
    Hint,
}

type End = (TaskState, Vec<UrlState>, Vec<(String, VideoState)>);

fn video(task: TaskId, number: u8) -> String {
    format!("v{number}-{task}")
}

fn poll(task: TaskId, videos: &[(u8, VideoState)], urls: &[String]) -> (DuePoll, PollEnd) {
    let due = DuePoll { task, upstream_id: task.to_string(), unique_id: None, news: 0, due: at(0) };
    let listed = |&(number, state): &(u8, VideoState)| PolledVideo {
        id: video(task, number),
        state,
        url: Some(urls[usize::from(number % 2)].clone()),
    };
    (due, PollEnd::Listed { videos: videos.iter().map(listed).collect(), names_urls: true, is_whole: true })
}

async fn arrive(file: &File, task: TaskId, urls: &[String], news: News, when: i64) {
    let why = || Failure::new("failed", "upstream said so");
    let said = |meaning| callback(task, when, Some(meaning), &task.to_string());
    let store = &file.store;
    match news {
        News::Accepted => {
            store.end_submit(task, at(when), SubmitEnd::Accepted(task.to_string())).await.unwrap();
        }
        News::Lost => store.end_submit(task, at(when), lost()).await.unwrap(),
        News::Rejected => store.end_submit(task, at(when), SubmitEnd::Rejected(why())).await.unwrap(),
        News::Succeeded => store.receive_callback(said(Meaning::Succeeded)).await.unwrap(),
        News::Failed => store.receive_callback(said(Meaning::Failed(why()))).await.unwrap(),
        News::Indexed(number) => {
            store.receive_callback(said(Meaning::VideoIndexed(video(task, number)))).await.unwrap();
        }
        News::VideoFailed(number) => {
            store.receive_callback(said(Meaning::VideoFailed(video(task, number), why()))).await.unwrap();
        }
        News::Seen(number) => {
            let (due, end) = poll(task, &[(number, VideoState::Indexing)], urls);
            store.record_poll(due, at(when), at(when), end).await.unwrap();
        }
        News::Polled(good, bad) => {
            let (due, end) = poll(task, &[(good, VideoState::Indexed), (bad, VideoState::Failed)], urls);
            store.record_poll(due, at(when), at(when), end).await.unwrap();
        }
        News::Hint => {
            let body = format!("{task} failed");
            let hint = ReceivedHint {
                at: at(when),
                body_hash: Sha256::digest(&body).into(),
                body: body.into(),
                upstream_id: Some(task.to_string()),
            };
            // A full queue of hints is no matter here.
            let _ = store.receive_hint(hint).await;
        }
    }
}

/// Lets each sequence arrive at a task of its own, and gives the ends.
async fn ends(sequences: &[Vec<News>]) -> Vec<End> {
    let file = File::started().await;
    let mut ends = Vec::new();
    // As many tasks as one job has room for.
    for (round, sequences) in sequences.chunks(4_000).enumerate() {
        let urls: Vec<[String; 2]> = (0..sequences.len())
            .map(|n| [0, 1].map(|post| format!("https://host{round}-{n}.example/post{post}")))
            .collect();
        let mut tasks = file.job_of(&urls.concat()).await;
        let platform = async |task: &TaskId| {
            file.store.read().task(*task).await.unwrap().unwrap().urls.unwrap()[0].url.clone()
        };
        let mut by_url = BTreeMap::new();
        for task in &tasks {
            by_url.insert(platform(task).await, *task);
        }
        tasks = urls.iter().map(|urls| by_url[&urls[0]]).collect();
        for task in &tasks {
            assert!(file.store.begin_submit(*task, at(1)).await.unwrap());
        }
        let longest = sequences.iter().map(Vec::len).max().unwrap_or_default();
        for step in 0..longest {
            let when = 10 + i64::try_from(step).unwrap();
            let arriving = sequences.iter().zip(&tasks).zip(&urls).filter_map(|((sequence, task), urls)| {
                sequence.get(step).map(|news| arrive(&file, *task, urls, *news, when))
            });
            join_all(arriving).await;
        }
        for task in tasks {
            let task = file.store.read().task(task).await.unwrap().unwrap();
            let mut videos: Vec<_> =
                task.videos.unwrap().into_iter().map(|video| (video.id, video.state)).collect();
            for (id, _) in &mut videos {
                id.truncate(2);
            }
            videos.sort();
            ends.push((task.state, task.urls.unwrap().into_iter().map(|url| url.state).collect(), videos));
        }
    }
    file.close().await;
    ends
}

/// All orders of all choices, each choice once.
fn orders_of_choices(set: &[News]) -> Vec<Vec<News>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..set.len() {
        last = last
            .iter()
            .flat_map(|sequence: &Vec<News>| {
                let rest = set.iter().filter(|news| !sequence.contains(news));
                rest.map(|news| [sequence.as_slice(), &[*news]].concat()).collect::<Vec<_>>()
            })
            .collect();
        all.extend(last.clone());
    }
    all
}

/// Sequences of the same news, each once or more, must have the same end; gives the ends by what arrived.
async fn assert_order_is_no_matter(sequences: Vec<Vec<News>>) -> BTreeMap<Vec<News>, End> {
    let mut by_news: BTreeMap<Vec<News>, End> = BTreeMap::new();
    for (sequence, end) in sequences.iter().zip(ends(&sequences).await) {
        let mut news = sequence.clone();
        news.sort();
        news.dedup();
        // A hint asks for a poll, and changes nothing itself.
        news.retain(|news| *news != News::Hint);
        let expected = by_news.entry(news).or_insert_with(|| end.clone());
        assert_eq!(*expected, end, "{sequence:?}");
    }
    by_news
}

#[tokio::test]
async fn every_order_of_every_choice_has_one_end() {
    use News::{Accepted, Failed, Indexed, Lost, Polled, Seen, Succeeded, VideoFailed};
    let videos = u8::try_from(number("SCRAPEHOOK_ORDERS_VIDEOS", 2)).unwrap();
    let mut count = 0;
    for set in [[Accepted, Succeeded, Failed, Polled(0, 1)], [Lost, Succeeded, VideoFailed(0), Seen(1)]] {
        let set: Vec<_> = set.into_iter().chain((0..videos).map(Indexed)).collect();
        let sequences = orders_of_choices(&set);
        count += sequences.len();
        let ends = assert_order_is_no_matter(sequences).await;
        let end = |news: &[News]| ends[news].0;
        if set[0] == Accepted {
            assert_eq!(end(&[]), TaskState::Submitting);
            assert_eq!(end(&[Failed]), TaskState::Failed);
            assert_eq!(end(&[Accepted, Succeeded, Failed]), TaskState::Downloaded);
            assert_eq!(end(&[Failed, Indexed(1), Polled(0, 1)]), TaskState::Indexed);
            assert_eq!(end(&[Polled(0, 1)]), TaskState::Partial);
        } else {
            assert_eq!(end(&[Lost]), TaskState::Unconfirmed);
            assert_eq!(end(&[Lost, Seen(1)]), TaskState::Downloaded);
        }
    }
    println!("{count} sequences");
}

#[tokio::test]
async fn a_random_walk_through_longer_orders_ends_where_what_arrived_says() {
    let (seed, count) = (number("SCRAPEHOOK_ORDERS_SEED", 3), number("SCRAPEHOOK_ORDERS", 600));
    let mut random = StdRng::seed_from_u64(seed);
    let mut sequences = Vec::new();
    while sequences.len() < usize::try_from(count).unwrap() {
        let answer = [News::Accepted, News::Lost, News::Rejected][random.random_range(0..3)];
        let mut news = vec![answer];
        for _ in 0..random.random_range(1..9) {
            let number = random.random_range(0..8);
            news.push(match random.random_range(0..7) {
                0 => News::Succeeded,
                1 => News::Failed,
                2 | 3 => News::Indexed(number),
                4 => News::VideoFailed(number),
                5 => News::Seen(number),
                _ => News::Polled(number, random.random_range(0..8)),
            });
        }
        news.sort();
        news.dedup();
        // Each choice in several orders, all but the answer perhaps doubled, with hints in between.
        for _ in 0..4 {
            let mut sequence = news.clone();
            for again in news.iter().filter(|news| **news != answer) {
                if random.random_bool(0.3) {
                    sequence.push(*again);
                }
            }
            sequence.push(News::Hint);
            sequence.shuffle(&mut random);
            sequences.push(sequence);
        }
    }
    println!("seed {seed}: {} sequences", sequences.len());
    assert_order_is_no_matter(sequences).await;
}
