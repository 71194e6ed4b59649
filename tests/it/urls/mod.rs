//! Spellings of post URLs as people paste them: which mean one post, which do not, and what is refused.

use std::collections::BTreeMap;

use scrapehook::domain::url::PostUrl;

const ONE_POST: &str = include_str!("one_post.txt");
const DIFFERENT_POSTS: &str = include_str!("different_posts.txt");

/// The paragraphs of a file without its introduction, each with its heading.
fn paragraphs(text: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    text.split("\n\n").skip(1).map(|paragraph| {
        let (heading, lines) = paragraph.trim().split_once('\n').expect(paragraph);
        (heading.strip_prefix("# ").expect(heading), lines.lines().collect())
    })
}

#[test]
fn spellings_of_one_post_are_one_and_no_two_posts_are() {
    let mut posts: BTreeMap<String, &str> = BTreeMap::new();
    let mut count = 0;
    for (platform, spellings) in paragraphs(ONE_POST) {
        let first = PostUrl::parse(spellings[0]).expect(spellings[0]);
        for spelling in &spellings {
            let url = PostUrl::parse(spelling).expect(spelling);
            assert_eq!(url.platform.as_str(), platform, "{spelling}");
            assert_eq!(url.canonical, first.canonical, "{spelling}");
            assert_eq!(url.given, *spelling);
            count += 1;
        }
        let other = posts.insert(first.canonical, spellings[0]);
        assert_eq!(other, None, "{}", spellings[0]);
    }
    for (_, spellings) in paragraphs(DIFFERENT_POSTS) {
        for spelling in spellings {
            let url = PostUrl::parse(spelling).expect(spelling);
            let other = posts.insert(url.canonical, spelling);
            assert_eq!(other, None, "{spelling}");
            count += 1;
        }
    }
    assert!(count > 300, "{count} spellings");
}
