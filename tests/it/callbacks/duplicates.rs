//! Callbacks that upstream sends more than once.

use scrapehook::simulator::Faults;

use crate::support::{Scene, mixed_urls};

#[tokio::test]
async fn duplicate_callbacks_are_answered_and_make_no_second_event() {
    let faults = Faults { duplicate: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(6)).await;
    let settled = service.until_settled(&job).await;
    assert_eq!((settled.state.as_str(), settled.progress.indexed), ("done", 6));

    // One for each of three tasks and one for each of six videos, all of them twice.
    upstream.until(|upstream| upstream.callbacks_sent().len() == 2 * (3 + 6)).await;
    assert!(upstream.callbacks_sent().iter().all(|callback| callback.answer == Some(200)));
    let kinds = service.kinds().await;
    for (kind, times) in
        [("task.downloaded", 3), ("video.indexed", 6), ("task.settled", 3), ("job.settled", 1)]
    {
        assert_eq!(kinds.iter().filter(|found| *found == kind).count(), times, "{kind}: {kinds:?}");
    }
    service.stop().await;
}
