//! A thousand jobs behind one broken post: one charge, and all of them end.

use futures_util::future::join_all;
use scrapehook::domain::id::JobId;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::store::SubmitEnd;

use crate::support::file::{DAY, File, at, callback, lost};
use crate::support::rounds::{X, failed, refused, stands, wanted};

const THIRD: usize = 334;

/// How the attempt ends that all of them wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Failed,
    Refused,
    Lost,
}

async fn third(file: &File, jobs: &mut Vec<JobId>) {
    let more = (0..THIRD).map(|_| wanted(file, &[X], Quality::P360, false));
    jobs.extend(join_all(more).await);
}

#[tokio::test]
async fn a_thousand_jobs_that_wait_for_one_broken_post_cost_one_charge_and_all_of_them_end() {
    for end in [End::Failed, End::Refused, End::Lost] {
        let file = File::started().await;
        let mut jobs = Vec::new();
        third(&file, &mut jobs).await;
        let task = file.send(1).await.unwrap().task;
        third(&file, &mut jobs).await;
        let (answer, late) = match end {
            End::Failed => (SubmitEnd::Accepted("u".to_owned()), at(2)),
            End::Refused => (refused(), at(2)),
            End::Lost => (lost(), at(2).after(DAY)),
        };
        if end == End::Refused {
            third(&file, &mut jobs).await;
        }
        file.submit(task, answer).await;
        if end != End::Refused {
            third(&file, &mut jobs).await;
        }
        if end == End::Failed {
            file.store.receive_callback(callback(task, 3, failed(), "u")).await.unwrap();
        }
        file.store.sweep(late).await.unwrap();
        for job in &jobs {
            // So many are told in several commits.
            while stands(&file, *job).await.0 == JobState::Running {
                tokio::task::yield_now().await;
            }
            assert_eq!(stands(&file, *job).await.0, JobState::Failed, "{end:?}");
        }
        assert!(file.send(4).await.is_none(), "{end:?}: nobody has asked since");
        // Nobody knows the fate of a submit that was lost: who comes now shares it, and gets its end.
        if end == End::Lost {
            let later = wanted(&file, &[X], Quality::P360, false).await;
            assert!(file.send(5).await.is_none());
            assert_eq!(stands(&file, later).await.0, JobState::Failed);
        }
        assert!(jobs.len() >= 1_000);
        file.close().await;
    }
}
