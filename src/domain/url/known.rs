//! The table of platforms: an entry for each, with the shapes of its posts.
//!
//! A new platform is one entry here, and its lines in `tests/it/urls`. Must never hold a shape that is not certain. A
//! URL without a known shape keeps all parts that could name a post, and is at worst paid for twice. A wrong shape
//! shows somebody else's video.

use super::platforms::{KnownPlatform, is_under};
use super::shape::{Characters, Form, Shape};

const DIGITS: Form = Form { of: Characters::Digits, length: (1, 20), except: "", names_post: true };

const BASE36: Form = Form { of: Characters::Base36, length: (4, 12), except: "", names_post: true };

/// The code of a short link. It is not an id, because one post can have many.
const CODE: Form = Form { of: Characters::Base64, length: (4, 32), except: "", names_post: false };

/// Instagram and Threads.
const SHORTCODE: Form =
    Form { of: Characters::Base64, length: (5, 64), except: "audio embed", names_post: true };

/// The three kinds of LinkedIn. They have 19 digits today. A shorter number in a title is not an id.
const LINKEDIN_ID: Form = Form { of: Characters::Digits, length: (16, 20), except: "", names_post: true };

/// A clip on Twitch.
const SLUG: Form =
    Form { of: Characters::Base64, length: (5, 120), except: "create embed", names_post: true };

/// The two words are players, and the query names the video.
const YOUTUBE_ID: Form =
    Form { of: Characters::Base64, length: (11, 11), except: "live_stream videoseries", names_post: true };

/// A shape in which the id alone names the post.
const fn shape(canonical: &'static str, id: Form, spellings: &'static str) -> Shape {
    Shape { canonical, id, spellings, keeps: "", reserved: "" }
}

/// The platform that this host belongs to.
pub(super) fn platform_of(host: &str) -> Option<&'static KnownPlatform> {
    KNOWN.iter().find(|platform| platform.domains.iter().any(|domain| is_under(host, domain)))
}

/// Platforms on which one post can have an id in several shapes, as AV and BV numbers of one video.
pub(super) const WITH_SEVERAL_IDS: &[&str] = &["bilibili", "reddit", "linkedin"];

pub(super) const KNOWN: &[KnownPlatform] = &[
    KnownPlatform {
        name: "tiktok",
        domains: &["tiktok.com"],
        hosts: &["www.tiktok.com tiktok.com m.tiktok.com", "vm.tiktok.com", "vt.tiktok.com"],
        ignores: "_d _r _t is_copy_url is_from_webapp sender_device sender_web_id share_app_id share_link_id web_id",
        shapes: &[
            // The number alone names the post, because the name of the user can change.
            shape(
                "https://www.tiktok.com/video/{id}",
                DIGITS,
                "www.tiktok.com/@*/video/{id} www.tiktok.com/@/video/{id} www.tiktok.com/@*/photo/{id}
                 www.tiktok.com/video/{id}
                 www.tiktok.com/v/{id} www.tiktok.com/v/{id}.html www.tiktok.com/share/video/{id}
                 www.tiktok.com/share/photo/{id}
                 www.tiktok.com/embed/{id} www.tiktok.com/embed/v2/{id} www.tiktok.com/embed/v3/{id}
                 www.tiktok.com/player/v1/{id}",
            ),
            shape("https://www.tiktok.com/t/{id}", CODE, "www.tiktok.com/t/{id}"),
            shape("https://vm.tiktok.com/{id}", CODE, "vm.tiktok.com/{id}"),
            shape("https://vt.tiktok.com/{id}", CODE, "vt.tiktok.com/{id}"),
        ],
    },
    KnownPlatform {
        name: "youtube",
        domains: &["youtube.com", "youtu.be", "youtube-nocookie.com"],
        hosts: &[
            "www.youtube.com youtube.com m.youtube.com",
            "youtu.be www.youtu.be",
            "www.youtube-nocookie.com youtube-nocookie.com",
        ],
        ignores: "ab_channel feature pp",
        shapes: &[shape(
            "https://www.youtube.com/watch?v={id}",
            YOUTUBE_ID,
            "www.youtube.com/watch?v={id} www.youtube.com/?v={id} www.youtube.com/shorts/{id} www.youtube.com/embed/{id}
             www.youtube.com/live/{id} www.youtube.com/v/{id} www.youtube.com/e/{id}
             music.youtube.com/watch?v={id} www.youtube-nocookie.com/embed/{id} www.youtube-nocookie.com/v/{id}
             www.youtube-nocookie.com/e/{id}
             youtu.be/{id} youtu.be/watch?v={id} youtu.be/?v={id}",
        )],
    },
    KnownPlatform {
        name: "instagram",
        domains: &["instagram.com", "instagr.am"],
        hosts: &["www.instagram.com instagram.com m.instagram.com", "instagr.am www.instagr.am"],
        ignores: "ig_rid igshid",
        shapes: &[Shape {
            canonical: "https://www.instagram.com/p/{id}/",
            id: SHORTCODE,
            // A post can be reached below the name of its author as well.
            spellings: "www.instagram.com/p/{id} www.instagram.com/p/{id}/embed
                        www.instagram.com/p/{id}/embed/captioned www.instagram.com/*/p/{id}
                        www.instagram.com/*/p/{id}/embed www.instagram.com/*/reel/{id}/embed
                        www.instagram.com/reel/{id} www.instagram.com/reel/{id}/embed
                        www.instagram.com/reel/{id}/embed/captioned www.instagram.com/*/reel/{id}
                        www.instagram.com/tv/{id} www.instagram.com/tv/{id}/embed
                        www.instagram.com/tv/{id}/embed/captioned www.instagram.com/*/tv/{id}
                        www.instagram.com/reels/{id} www.instagram.com/reels/{id}/embed
                        www.instagram.com/reels/{id}/embed/captioned
                        instagr.am/p/{id} instagr.am/p/{id}/embed instagr.am/p/{id}/embed/captioned
                        instagr.am/*/p/{id}
                        instagr.am/reel/{id} instagr.am/reel/{id}/embed instagr.am/reel/{id}/embed/captioned
                        instagr.am/tv/{id} instagr.am/tv/{id}/embed instagr.am/tv/{id}/embed/captioned
                        instagr.am/reels/{id} instagr.am/reels/{id}/embed instagr.am/reels/{id}/embed/captioned",
            keeps: "",
            // After `share` comes a token, which is not a shortcode.
            reserved: "accounts direct explore p reel reels s share stories tv",
        }],
    },
    KnownPlatform {
        name: "x",
        domains: &["x.com", "twitter.com"],
        hosts: &[
            "x.com www.x.com m.x.com mobile.x.com",
            "twitter.com www.twitter.com m.twitter.com mobile.twitter.com",
        ],
        ignores: "ref_src ref_url",
        shapes: &[shape(
            "https://x.com/i/status/{id}",
            DIGITS,
            "x.com/*/status/{id} x.com/*/statuses/{id} x.com/statuses/{id} x.com/i/web/status/{id}
             x.com/*/status/{id}/photo/* x.com/*/status/{id}/video/* x.com/i/videos/tweet/{id}
             x.com/*/status/{id}/analytics x.com/*/status/{id}/likes x.com/*/status/{id}/retweets
             x.com/*/status/{id}/quotes
             twitter.com/*/status/{id} twitter.com/*/statuses/{id} twitter.com/statuses/{id}
             twitter.com/i/web/status/{id} twitter.com/*/status/{id}/photo/* twitter.com/*/status/{id}/video/*
             twitter.com/i/videos/tweet/{id} twitter.com/*/status/{id}/analytics twitter.com/*/status/{id}/likes
             twitter.com/*/status/{id}/retweets twitter.com/*/status/{id}/quotes",
        )],
    },
    KnownPlatform {
        name: "facebook",
        domains: &["facebook.com", "fb.com", "fb.watch"],
        hosts: &[
            "www.facebook.com facebook.com m.facebook.com mbasic.facebook.com touch.facebook.com",
            "fb.com www.fb.com m.fb.com",
            "fb.watch www.fb.watch",
        ],
        ignores: "__tn__ _rdr locale",
        shapes: &[
            Shape {
                canonical: "https://www.facebook.com/watch/?v={id}",
                id: DIGITS,
                spellings: "www.facebook.com/watch?v={id} www.facebook.com/watch/live?v={id}
                            www.facebook.com/video.php?v={id} www.facebook.com/reel/{id}
                            www.facebook.com/*/videos/{id} www.facebook.com/*/videos/*/{id}
                            web.facebook.com/watch?v={id} web.facebook.com/reel/{id} web.facebook.com/*/videos/{id}
                            fb.com/watch?v={id} fb.com/reel/{id} fb.com/*/videos/{id}",
                keeps: "",
                reserved: "groups share watch",
            },
            shape("https://fb.watch/{id}/", CODE, "fb.watch/{id}"),
        ],
    },
    KnownPlatform {
        name: "vimeo",
        domains: &["vimeo.com"],
        hosts: &["vimeo.com www.vimeo.com m.vimeo.com"],
        ignores: "",
        shapes: &[Shape {
            canonical: "https://vimeo.com/{id}",
            id: DIGITS,
            spellings: "vimeo.com/{id} vimeo.com/{id}/{key} vimeo.com/channels/*/{id} vimeo.com/groups/*/videos/{id}
                        player.vimeo.com/video/{id}",
            // The key of an unlisted video, which cannot be seen without it.
            keeps: "h",
            reserved: "",
        }],
    },
    KnownPlatform {
        name: "twitch",
        domains: &["twitch.tv"],
        hosts: &["www.twitch.tv twitch.tv m.twitch.tv", "clips.twitch.tv"],
        ignores: "tt_content tt_medium",
        shapes: &[
            shape(
                "https://www.twitch.tv/videos/{id}",
                DIGITS,
                "www.twitch.tv/videos/{id} www.twitch.tv/*/v/{id} www.twitch.tv/*/video/{id}
                 player.twitch.tv/?video={id} player.twitch.tv/?video=v{id}",
            ),
            shape(
                "https://clips.twitch.tv/{id}",
                SLUG,
                "clips.twitch.tv/{id} clips.twitch.tv/embed?clip={id} www.twitch.tv/*/clip/{id}
                 www.twitch.tv/clip/{id}",
            ),
        ],
    },
    KnownPlatform {
        name: "bilibili",
        domains: &["bilibili.com", "b23.tv"],
        hosts: &["www.bilibili.com bilibili.com m.bilibili.com", "b23.tv www.b23.tv"],
        ignores: "from_source share_medium share_plat share_session_id share_source share_tag",
        shapes: &[
            Shape {
                canonical: "https://www.bilibili.com/video/BV{id}",
                id: Form { of: Characters::Alphanumeric, length: (10, 10), except: "", names_post: true },
                spellings: "www.bilibili.com/video/BV{id} b23.tv/BV{id}",
                // The part of a post that has several.
                keeps: "p",
                reserved: "",
            },
            Shape {
                canonical: "https://www.bilibili.com/video/av{id}",
                id: DIGITS,
                spellings: "www.bilibili.com/video/av{id} b23.tv/av{id}",
                keeps: "p",
                reserved: "",
            },
            Shape {
                canonical: "https://b23.tv/{id}",
                id: CODE,
                spellings: "b23.tv/{id}",
                keeps: "p",
                reserved: "",
            },
        ],
    },
    KnownPlatform {
        name: "reddit",
        domains: &["reddit.com", "redd.it"],
        hosts: &["www.reddit.com reddit.com m.reddit.com", "redd.it www.redd.it"],
        ignores: "rdt share_id",
        shapes: &[
            shape(
                "https://www.reddit.com/comments/{id}",
                BASE36,
                "www.reddit.com/r/*/comments/{id} www.reddit.com/r/*/comments/{id}/* www.reddit.com/comments/{id}
                 www.reddit.com/comments/{id}/*
                 www.reddit.com/user/*/comments/{id} www.reddit.com/user/*/comments/{id}/*
                 old.reddit.com/r/*/comments/{id} old.reddit.com/r/*/comments/{id}/* old.reddit.com/comments/{id}
                 new.reddit.com/r/*/comments/{id}/* np.reddit.com/r/*/comments/{id}/* redd.it/{id}",
            ),
            // The id of a video is another than the id of its post.
            shape(
                "https://v.redd.it/{id}",
                Form { of: Characters::Base36, length: (8, 20), except: "", names_post: true },
                "v.redd.it/{id}",
            ),
        ],
    },
    KnownPlatform {
        name: "dailymotion",
        domains: &["dailymotion.com", "dai.ly"],
        hosts: &["www.dailymotion.com dailymotion.com m.dailymotion.com", "dai.ly www.dai.ly"],
        ignores: "",
        shapes: &[shape(
            "https://www.dailymotion.com/video/x{id}",
            BASE36,
            "www.dailymotion.com/video/x{id} www.dailymotion.com/video/x{id}_* dai.ly/x{id}
             www.dailymotion.com/embed/video/x{id}
             geo.dailymotion.com/player.html?video=x{id} geo.dailymotion.com/player/*?video=x{id}",
        )],
    },
    KnownPlatform {
        name: "threads",
        domains: &["threads.net", "threads.com"],
        hosts: &["www.threads.com threads.com", "www.threads.net threads.net"],
        ignores: "xmt",
        shapes: &[shape(
            "https://www.threads.com/t/{id}",
            SHORTCODE,
            "www.threads.com/@*/post/{id} www.threads.com/t/{id} www.threads.net/@*/post/{id} www.threads.net/t/{id}",
        )],
    },
    KnownPlatform {
        name: "linkedin",
        domains: &["linkedin.com"],
        hosts: &["www.linkedin.com linkedin.com m.linkedin.com"],
        ignores: "rcm trk trackingId",
        // Three kinds of ids: one post can have one of each, and two posts the same number in two of them.
        shapes: &[
            shape(
                "https://www.linkedin.com/feed/update/urn:li:activity:{id}",
                LINKEDIN_ID,
                "www.linkedin.com/feed/update/urn:li:activity:{id} www.linkedin.com/posts/*-activity-{id}
                 www.linkedin.com/posts/*-activity-{id}-{code}
                 www.linkedin.com/embed/feed/update/urn:li:activity:{id}",
            ),
            shape(
                "https://www.linkedin.com/feed/update/urn:li:ugcPost:{id}",
                LINKEDIN_ID,
                "www.linkedin.com/feed/update/urn:li:ugcPost:{id} www.linkedin.com/posts/*-ugcPost-{id}
                 www.linkedin.com/posts/*-ugcPost-{id}-{code}
                 www.linkedin.com/embed/feed/update/urn:li:ugcPost:{id}",
            ),
            shape(
                "https://www.linkedin.com/feed/update/urn:li:share:{id}",
                LINKEDIN_ID,
                "www.linkedin.com/feed/update/urn:li:share:{id} www.linkedin.com/posts/*-share-{id}
                 www.linkedin.com/posts/*-share-{id}-{code}
                 www.linkedin.com/embed/feed/update/urn:li:share:{id}",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::url::parts::Parts;

    /// Not included in the source, because the image is built without it.
    const ONE_POST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/urls/one_post.txt");

    #[test]
    fn every_spelling_is_one_of_a_line_in_the_tests() {
        let text = std::fs::read_to_string(ONE_POST).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("http")).collect();
        let mut missing = Vec::new();
        for (platform, shape) in
            KNOWN.iter().flat_map(|known| known.shapes.iter().map(move |shape| (known, shape)))
        {
            for spelling in shape.spellings.split_whitespace() {
                let alone = Shape { spellings: spelling, ..*shape };
                let is_spelled = |line: &&str| {
                    let (_, rest) = line.split_once("://").unwrap();
                    let url = Parts::split(true, rest).unwrap();
                    matches!(alone.canonical(platform.first_host(url.dotless_host()), &url), Ok(Some(_)))
                };
                if !lines.iter().any(is_spelled) {
                    missing.push(spelling);
                }
            }
        }
        assert!(missing.is_empty(), "no line has these spellings: {missing:#?}");
    }
}
