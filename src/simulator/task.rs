//! A task that can be polled, with the list of each poll. Must never look at the account.

use rand::Rng;
use tokio::time::Instant;

use super::answers::Refusal;
use super::faults::{Dice, Faults};
use super::listed::{ListedVideo, Video};
use super::order::Place;

/// A task, with the number of its polls so far.
#[derive(Debug)]
pub(super) struct Task {
    /// The place of its videos.
    pub(super) place: Place,
    videos: Vec<Video>,
    polls: u32,
}

/// The answer to a poll of a task.
#[derive(Debug)]
pub(super) enum Listing {
    /// The list.
    Videos(Vec<ListedVideo>),
    /// Data with null in place of the list.
    NullVideos,
    /// Data without a list.
    NoVideos,
    /// Null in place of the data.
    NullData,
}

impl Listing {
    /// The number of videos in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Videos(videos) => videos.len(),
            Self::NullVideos | Self::NoVideos | Self::NullData => 0,
        }
    }
}

impl Task {
    /// Creates a task without any poll so far.
    pub(super) fn new(place: Place, videos: Vec<Video>) -> Self {
        Self { place, videos, polls: 0 }
    }

    /// Answers the next poll.
    pub(super) fn poll(
        &mut self,
        dice: &mut Dice,
        faults: &Faults,
        task_id: &str,
        now: Instant,
    ) -> Result<Listing, Refusal> {
        let is_null = dice.fault("null-list", faults.null_list, task_id);
        let form: u32 = dice.rng.random_range(0..3);
        let earlier = self.polls;
        self.polls = self.polls.saturating_add(1);
        if earlier < faults.refused_polls {
            dice.applied.push(("refused-polls", task_id.to_owned()));
            return Err(unknown_task());
        }
        if earlier < faults.refused_polls.saturating_add(faults.empty_polls) {
            dice.applied.push(("empty-polls", task_id.to_owned()));
            return Ok(Listing::Videos(Vec::new()));
        }
        let videos = self.videos.iter_mut().filter_map(|video| video.polled(now)).collect();
        Ok(match (is_null, form) {
            (false, _) => Listing::Videos(videos),
            (true, 0) => Listing::NullVideos,
            (true, 1) => Listing::NoVideos,
            (true, _) => Listing::NullData,
        })
    }
}

/// The refusal of a poll for a task that does not exist.
pub(super) fn unknown_task() -> Refusal {
    Refusal::application("0001", "The task does not exist.")
}
