//! The bodies in upstream's format that the URL of a job receives: one that says that it is downloaded, and one for
//! each indexed video.

use std::collections::HashSet;

use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::domain::outcome::UrlState;
use crate::domain::video::VideoState;
use crate::store::{ReadError, Store};

/// The key of the delivery that says that a job is downloaded. No video has this id.
pub const DOWNLOADED: &str = "SUCCEEDED";

/// URLs of a job that are read at once.
const PAGE: i64 = 500;

/// The keys of the deliveries that an event brings to the URL of a job. Those that were made already are repeated,
/// because the store keeps each key once.
///
/// A job can share the videos of older jobs, of which no event tells it. So its beginning and its end name all of its
/// videos.
///
/// # Errors
/// [`ReadError`]
pub async fn upstream_keys(store: &Store, job: JobId, event: &Event) -> Result<Vec<String>, ReadError> {
    let videos = match (event.kind, &event.video_id) {
        (EventKind::TaskDownloaded, _) => return Ok(vec![DOWNLOADED.to_owned()]),
        (EventKind::VideoIndexed, Some(video)) => vec![video.clone()],
        (EventKind::JobCreated | EventKind::JobSettled, _) => indexed_videos(store, job).await?,
        _ => Vec::new(),
    };
    let downloaded = (!videos.is_empty()).then(|| DOWNLOADED.to_owned());
    Ok(downloaded.into_iter().chain(videos).collect())
}

/// The indexed videos of a job, in the order of its URLs.
async fn indexed_videos(store: &Store, job: JobId) -> Result<Vec<String>, ReadError> {
    let (mut videos, mut seen, mut from) = (Vec::new(), HashSet::new(), 0);
    loop {
        let urls = store.read().job_urls(job, None, from, PAGE).await?;
        let Some((last, _)) = urls.last() else { return Ok(videos) };
        from = last + 1;
        let has_videos = |state| matches!(state, UrlState::Indexed | UrlState::Known | UrlState::Downloaded);
        let ids =
            urls.into_iter().filter(|(_, url)| has_videos(url.state)).flat_map(|(_, url)| url.video_ids);
        let ids: Vec<String> = ids.filter(|id| seen.insert(id.clone())).collect();
        let found = store.read().videos_with_ids(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let indexed = found.iter().filter(|video| video.state == VideoState::Indexed);
        let indexed: HashSet<&str> = indexed.map(|video| video.id.as_str()).collect();
        videos.extend(ids.iter().filter(|id| indexed.contains(id.as_str())).cloned());
    }
}
