//! The plan: a job's URLs in the fewest tasks that obey upstream's rules.

use std::collections::{BTreeMap, HashSet};

use super::url::{Platform, PostUrl};

/// The URLs of one task: one platform, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTask {
    /// The platform of all its URLs.
    pub platform: Platform,
    /// At least one, at most the cap.
    pub urls: Vec<PostUrl>,
}

/// Folds spellings of one post into the first of them.
pub fn fold(mut urls: Vec<PostUrl>) -> Vec<PostUrl> {
    let mut seen = HashSet::new();
    urls.retain(|url| seen.insert(url.canonical.clone()));
    urls
}

/// Cuts folded URLs into the fewest tasks of at most `cap` URLs.
pub fn plan(urls: Vec<PostUrl>, cap: usize) -> Vec<PlannedTask> {
    let mut platforms: BTreeMap<Platform, Vec<PostUrl>> = BTreeMap::new();
    for url in urls {
        platforms.entry(url.platform.clone()).or_default().push(url);
    }
    let mut tasks = Vec::new();
    for (platform, urls) in platforms {
        for urls in urls.chunks(cap.max(1)) {
            tasks.push(PlannedTask { platform: platform.clone(), urls: urls.to_vec() });
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> PostUrl {
        PostUrl::parse(text).expect(text)
    }

    #[test]
    fn spellings_of_one_post_are_sent_once_as_first_given() {
        let urls =
            vec![url("https://youtu.be/o9vgXOH4ET0"), url("https://www.youtube.com/watch?v=o9vgXOH4ET0")];
        let tasks = plan(fold(urls), 50);
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].urls.len(), 1);
        assert_eq!(tasks[0].urls[0].given, "https://youtu.be/o9vgXOH4ET0");
    }

    proptest! {
        #[test]
        fn the_plan_is_the_fewest_tasks_that_obey_the_rules(
            picks in prop::collection::vec((0_u8..4, 0_u16..90), 0..300),
            cap in 1_usize..60,
        ) {
            let urls: Vec<_> = picks.iter().map(|(host, post)| match host {
                0 => url(&format!("https://youtu.be/v{post}")),
                1 => url(&format!("https://www.tiktok.com/@u/video/{post}")),
                2 => url(&format!("https://www.instagram.com/p/C{post}/")),
                _ => url(&format!("https://example.com/{post}")),
            }).collect();
            let mut posts: BTreeMap<Platform, HashSet<String>> = BTreeMap::new();
            for url in &urls {
                posts.entry(url.platform.clone()).or_default().insert(url.canonical.clone());
            }
            let tasks = plan(fold(urls), cap);
            let fewest: usize = posts.values().map(|posts| posts.len().div_ceil(cap)).sum();
            prop_assert_eq!(tasks.len(), fewest);
            let mut sent = HashSet::new();
            for task in &tasks {
                prop_assert!(!task.urls.is_empty() && task.urls.len() <= cap);
                for url in &task.urls {
                    prop_assert_eq!(&url.platform, &task.platform);
                    prop_assert!(sent.insert(url.canonical.clone()), "sent twice");
                }
            }
            prop_assert_eq!(sent.len(), posts.values().map(HashSet::len).sum::<usize>());
        }
    }
}
