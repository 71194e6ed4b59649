//! Every order: whatever of the answer to a submit, callbacks, polls, hints and an operator's word arrives, and in
//! whatever order, what has arrived decides the end.
//!
//! Tried are tasks of one URL that holds an id, of one short link, and of both, with up to four videos. Exhaustive are
//! all orders of all choices of at most two of everything, and all orders of all choices from some sets of five.
//! `SCRAPEHOOK_ORDERS_NEWS=3` tries three of everything and `SCRAPEHOOK_ORDERS_SET=6` sets of six, for some minutes
//! each. Each sequence ends with polls that list all that was listed before, until the list is complete if it can be.
//! Beyond that there is a random walk with more videos and with repeated news, which `SCRAPEHOOK_ORDERS_SEED` replays
//! and `SCRAPEHOOK_ORDERS` makes longer.

mod arrivals;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState;

use self::arrivals::How::{Exact, Nameless, Spelled, Unnamed, WithoutId};
use self::arrivals::News::{
    Accepted, Adopt, Empty, Failed, Hint, Indexed, Listed, Lost, Refused, Rejected, Succeeded, VideoFailed,
};
use self::arrivals::{Driven, End, News, tasks};
use crate::support::aftermath::number;
use crate::support::file::File;

/// Everything that is tried in every order of a few.
const ALL: [News; 24] = [
    Accepted,
    Lost,
    Rejected,
    Succeeded,
    Failed,
    Indexed(0),
    Indexed(1),
    Indexed(2),
    Indexed(3),
    VideoFailed(1),
    VideoFailed(2),
    Listed(Exact, 0, VideoState::Indexed),
    Listed(Exact, 1, VideoState::Indexing),
    Listed(Spelled, 0, VideoState::Indexing),
    Listed(Spelled, 1, VideoState::Indexed),
    Listed(Unnamed, 2, VideoState::Failed),
    Listed(Unnamed, 1, VideoState::Indexed),
    Listed(WithoutId, 0, VideoState::Indexed),
    Listed(Nameless, 2, VideoState::Indexing),
    Listed(Spelled, 3, VideoState::Indexing),
    Empty,
    Refused,
    Hint,
    Adopt,
];

/// Sets of which every choice is tried in every order. The last of each waits for more time.
const SETS: [[News; 6]; 6] = [
    [Accepted, Succeeded, Failed, Indexed(1), Listed(Exact, 1, VideoState::Failed), Indexed(0)],
    [Lost, Adopt, VideoFailed(0), Listed(Unnamed, 1, VideoState::Indexing), Indexed(1), Succeeded],
    [
        Accepted,
        Succeeded,
        Indexed(2),
        Listed(Spelled, 1, VideoState::Indexed),
        Listed(Exact, 0, VideoState::Indexed),
        Empty,
    ],
    [
        Lost,
        Failed,
        Listed(WithoutId, 0, VideoState::Indexed),
        Listed(Exact, 0, VideoState::Indexing),
        VideoFailed(1),
        Refused,
    ],
    [
        Rejected,
        Succeeded,
        Listed(Unnamed, 0, VideoState::Indexed),
        Listed(Unnamed, 1, VideoState::Indexed),
        Listed(Nameless, 2, VideoState::Failed),
        Hint,
    ],
    [
        Accepted,
        Succeeded,
        VideoFailed(0),
        Listed(Unnamed, 1, VideoState::Indexed),
        Listed(Unnamed, 3, VideoState::Failed),
        Indexed(2),
    ],
];

/// Which of the two URLs a task has.
const TASKS: [&[usize]; 3] = [&[0], &[1], &[0, 1]];

/// Lets each sequence arrive at a task of its own. Gives what took effect of it, and its end.
async fn ends(sequences: &[Vec<News>], which: &[usize]) -> Vec<(Vec<News>, End)> {
    let file = File::started().await;
    let mut ends = Vec::new();
    for (chunk, sequences) in sequences.chunks(4_000).enumerate() {
        let first = chunk * 4_000;
        let tasks = tasks(&file, first..first + sequences.len(), which).await;
        let mut took_effect: Vec<Vec<News>> = vec![Vec::new(); tasks.len()];
        let longest = sequences.iter().map(Vec::len).max().unwrap_or_default();
        for step in 0..longest {
            let when = 10 + i64::try_from(step).unwrap();
            let arriving = tasks.iter().zip(sequences).enumerate().filter_map(|(n, (task, sequence))| {
                sequence
                    .get(step)
                    .map(|&news| async move { (n, news, task.arrive(first + n, news, when).await) })
            });
            for (n, news, is_done) in join_all(arriving).await {
                took_effect[n].extend(is_done.then_some(news));
            }
        }
        let before = join_all(tasks.iter().map(Driven::stands)).await;
        let closing = tasks.iter().zip(sequences).enumerate();
        join_all(closing.map(|(n, (task, sequence))| task.close(first + n, sequence))).await;
        let after = join_all(tasks.iter().map(Driven::stands)).await;
        let found = join_all(tasks.iter().map(Driven::found)).await;
        for (((news, before), after), found) in took_effect.into_iter().zip(before).zip(after).zip(found) {
            ends.push((news, End { before, after, found }));
        }
    }
    file.close().await;
    ends
}

/// All orders of all choices of at most so many, each choice once. A submit has one answer.
fn orders_of_choices(set: &[News], most: usize) -> Vec<Vec<News>> {
    let is_answer = |news: &News| matches!(news, Accepted | Lost | Rejected);
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..most {
        last = last
            .iter()
            .flat_map(|sequence: &Vec<News>| {
                let is_answered = sequence.iter().any(is_answer);
                let is_free = |news: &&News| !(sequence.contains(news) || is_answered && is_answer(news));
                set.iter()
                    .filter(is_free)
                    .map(|news| [sequence.as_slice(), &[*news]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
        all.extend(last.clone());
    }
    all
}

/// Sequences of the same news, each once or more, must have the same end; gives the ends by what arrived.
async fn assert_order_is_no_matter(sequences: &[Vec<News>], which: &[usize]) -> BTreeMap<Vec<News>, End> {
    let mut by_news: BTreeMap<Vec<News>, (End, Vec<News>)> = BTreeMap::new();
    for (sequence, (news, end)) in sequences.iter().zip(ends(sequences, which).await) {
        // Hints ask for polls, and so do refusals; neither changes anything itself.
        let news: BTreeSet<News> = news.into_iter().filter(|news| !matches!(news, Hint | Refused)).collect();
        let news = news.into_iter().collect();
        let (expected, other) = by_news.entry(news).or_insert_with(|| (end.clone(), sequence.clone()));
        assert_eq!(*expected, end, "{which:?}: {other:?} and {sequence:?}");
    }
    by_news.into_iter().map(|(news, (end, _))| (news, end)).collect()
}

#[tokio::test]
async fn every_order_of_a_few_of_everything_has_one_end() {
    let most = usize::try_from(number("SCRAPEHOOK_ORDERS_NEWS", 2)).unwrap();
    let sequences = orders_of_choices(&ALL, most);
    println!("{} sequences for each task", sequences.len());
    for which in TASKS {
        let ends = assert_order_is_no_matter(&sequences, which).await;
        let end = |news: &[News]| ends[news].after.0;
        assert_eq!(end(&[]), TaskState::Submitting);
        assert_eq!((end(&[Lost]), end(&[Rejected])), (TaskState::Unconfirmed, TaskState::Rejected));
        assert_eq!((end(&[Lost, Failed]), end(&[Accepted, Failed])), (TaskState::Failed, TaskState::Failed));
        assert_eq!(ends[&vec![Lost]].found, (0, which.len(), which.len()));
        assert_eq!(ends[&vec![Lost, Adopt]].found, (0, which.len(), 0));
    }
}

#[tokio::test]
async fn every_order_of_every_choice_has_one_end() {
    let most = usize::try_from(number("SCRAPEHOOK_ORDERS_SET", 5)).unwrap();
    for set in SETS {
        let set = &set[..most];
        let sequences = orders_of_choices(set, most);
        for which in TASKS {
            let ends = assert_order_is_no_matter(&sequences, which).await;
            if set[0] == Accepted && which.len() == 2 && set.contains(&Failed) {
                let end = |news: &[News]| ends[news].after.0;
                assert_eq!(end(&[Accepted, Succeeded, Failed]), TaskState::Failed, "nothing more comes");
                let polled = Listed(Exact, 1, VideoState::Failed);
                assert_eq!(end(&[Failed, Indexed(1), polled]), TaskState::Partial);
                assert_eq!(ends[&vec![Accepted, Succeeded, Failed]].before.0, TaskState::Downloaded);
            }
        }
    }
}

/// Each choice in several orders, all but the answer and decisions perhaps doubled.
fn shuffled(news: &[News], random: &mut StdRng) -> Vec<Vec<News>> {
    let mut sequences = Vec::new();
    for _ in 0..4 {
        let mut sequence = news.to_vec();
        for again in news.iter().filter(|news| !matches!(news, Accepted | Lost | Rejected | Adopt)) {
            if random.random_bool(0.3) {
                sequence.push(*again);
            }
        }
        sequence.push(Hint);
        sequence.shuffle(random);
        sequences.push(sequence);
    }
    sequences
}

#[tokio::test]
async fn a_random_walk_through_longer_orders_ends_where_what_arrived_says() {
    const STATES: [VideoState; 3] = [VideoState::Indexing, VideoState::Failed, VideoState::Indexed];
    let (seed, count) = (number("SCRAPEHOOK_ORDERS_SEED", 3), number("SCRAPEHOOK_ORDERS", 400));
    println!("seed {seed}: {count} sequences for each task");
    let mut random = StdRng::seed_from_u64(seed);
    for which in TASKS {
        let mut sequences = Vec::new();
        while sequences.len() < usize::try_from(count).unwrap() {
            let mut news = vec![[Accepted, Lost, Rejected][random.random_range(0..3)]];
            for _ in 0..random.random_range(1..9) {
                let (video, state) = (random.random_range(0..5), STATES[random.random_range(0..3)]);
                news.push(match random.random_range(0..10) {
                    0 => Succeeded,
                    1 => Failed,
                    2 | 3 => Indexed(video),
                    4 => VideoFailed(video),
                    5 => [Empty, Refused, Adopt][random.random_range(0..3)],
                    _ => {
                        let how = [Exact, Spelled, Unnamed, WithoutId, Nameless];
                        Listed(how[random.random_range(0..5)], video, state)
                    }
                });
            }
            news.sort();
            news.dedup();
            sequences.extend(shuffled(&news, &mut random));
        }
        assert_order_is_no_matter(&sequences, which).await;
    }
}
