//! The faults of `scrapehook simulate` as flags. Must never decide when a fault happens.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::simulator::Faults;

/// Defines the flags once. Their attributes are all alike, and clap can't share them.
macro_rules! fault_flags {
    ($($(#[doc = $help:literal])+ $name:ident),+ $(,)?) => {
        #[derive(Args, Clone, Debug)]
        #[command(next_help_heading = "Faults")]
        pub(super) struct FaultFlags {
            $(
                $(#[doc = $help])+
                #[arg(
                    long,
                    value_name = "P",
                    num_args = 0..=1,
                    default_value = "0",
                    default_missing_value = "1",
                    hide_default_value = true,
                    value_parser = probability,
                )]
                $name: f64,
            )+
            /// How late a slow answer comes.
            #[arg(long, value_name = "TIME", default_value = "3s", value_parser = humantime::parse_duration)]
            slow_by: Duration,
            /// How many polls leave out a late video after its end, see --late-video.
            #[arg(long, value_name = "N", default_value = "3")]
            late_by: u32,
            /// Refuse every submit with 0001 until this long after the start, and charge nothing.
            #[arg(
                long,
                value_name = "TIME",
                default_value = "0s",
                hide_default_value = true,
                value_parser = humantime::parse_duration,
            )]
            refused_for: Duration,
            /// Refuse a submit with 0003 if one of its URLs contains this text (can be repeated). Nothing is charged.
            #[arg(long = "bad-url", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
            bad_urls: Vec<String>,
            /// As --bad-url, with 0001, which can also mean a transient failure.
            #[arg(long = "unclear-url", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
            unclear_urls: Vec<String>,
            /// Refuse each submit for this folder, by name or number, with 0003 (can be repeated). Nothing is charged.
            #[arg(
                long = "bad-folder",
                value_name = "NAME",
                allow_negative_numbers = true,
                value_parser = NonEmptyStringValueParser::new(),
            )]
            bad_folders: Vec<String>,
            /// Refuse a submit that mixes hosts of one platform, such as youtu.be and www.youtube.com, with 0001.
            #[arg(long)]
            hosts_are_platforms: bool,
            /// Refuse the first N polls of each task with 0001.
            #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
            refused_polls: u32,
            /// List nothing in the first N polls of each task that are not refused.
            #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
            empty_polls: u32,
            /// Answer polls in the older shape, which doesn't name the videos' URLs.
            #[arg(long)]
            poll_without_urls: bool,
            /// Answer with codes as integers, without their leading zeros.
            #[arg(long)]
            integer_codes: bool,
        }

        impl From<FaultFlags> for Faults {
            fn from(flags: FaultFlags) -> Self {
                Self {
                    $($name: flags.$name,)+
                    slow_by: flags.slow_by,
                    late_by: flags.late_by,
                    refused_for: flags.refused_for,
                    bad_urls: flags.bad_urls,
                    unclear_urls: flags.unclear_urls,
                    bad_folders: flags.bad_folders,
                    hosts_are_platforms: flags.hosts_are_platforms,
                    refused_polls: flags.refused_polls,
                    empty_polls: flags.empty_polls,
                    poll_without_urls: flags.poll_without_urls,
                    integer_codes: flags.integer_codes,
                }
            }
        }
    };
}

fault_flags! {
    /// Download at once, and send SUCCEEDED before the submit is answered.
    early_callback,
    /// Send a callback twice.
    duplicate,
    /// Hold back a task's callbacks and send them in shuffled order.
    reorder,
    /// Never send a callback.
    lose,
    /// Download nothing of a task, and send FAILED.
    fail_task,
    /// End a video as FAIL, without a callback.
    fail_video,
    /// Never find a video for a URL.
    no_video,
    /// Find two videos for a URL.
    second_video,
    /// Find three to five videos for a URL.
    several_videos,
    /// List a video only after some polls that follow its end, see --late-by.
    late_video,
    /// List a video with null as its URL.
    null_url,
    /// List a video under another URL of its post, as the one that a short link leads to.
    resolved_url,
    /// List a video under another URL of its post, in a shape that no platform has.
    unknown_url,
    /// List a video's URL with http for https, without www or without the last slash.
    other_spelling,
    /// List a video with null as its id.
    no_id,
    /// Answer a poll with null, or with nothing, in place of the list.
    null_list,
    /// List a video of another program's task among those of a task.
    other_video,
    /// Make two tasks of a submit, which list the same videos and both call back; charge it once.
    second_task,
    /// Make a task of another program with a submit, for another post, see --default-callback-url.
    other_task,
    /// Make a task of another program with a submit that lists the same videos.
    other_task_same_urls,
    /// Answer a request with 0429.
    rate_limited,
    /// Answer a submit with 0402.
    no_credits,
    /// Refuse a submit with 0001, and charge nothing.
    refused,
    /// Accept and charge a submit and send its callbacks, but answer it with 0001.
    refused_but_charged,
    /// Answer a request with HTTP 503.
    unavailable,
    /// Accept and charge a submit, then close the connection without an answer.
    cut,
    /// Answer a request late, see --slow-by.
    slow,
    /// Close a connection before its request is read: nothing is done or charged.
    cut_unread,
    /// Carry out a request, and never answer it.
    hang,
    /// Carry out a request, and answer at one byte a second.
    drip,
    /// Carry out a request, and answer with a page of HTML on HTTP 200.
    html,
    /// Carry out a request, and answer with 10 MiB.
    huge,
    /// Carry out a request, and answer with fields of the wrong types.
    wrong_types,
    /// Carry out a request, and answer with HTTP 307 to its own route: whoever follows asks twice.
    redirect,
}

fn probability(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|probability| (0.0..=1.0).contains(probability))
        .ok_or_else(|| "a probability is a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        faults: FaultFlags,
    }

    fn parse(args: &[&str]) -> Result<Faults, clap::Error> {
        Cli::try_parse_from([&["simulate"], args].concat()).map(|cli| cli.faults.into())
    }

    #[test]
    fn a_fault_without_a_probability_is_certain() {
        let faults = parse(&["--cut", "--lose", "0.2", "--slow", "--slow-by", "90s"]).unwrap();
        assert_eq!(faults.active(), [("lose", 0.2), ("cut", 1.0), ("slow", 1.0)]);
        assert_eq!(faults.slow_by, Duration::from_secs(90));
    }

    #[test]
    fn faults_of_polls_count_them() {
        let faults = parse(&["--late-video", "0.5", "--refused-polls", "2", "--empty-polls=3"]).unwrap();
        assert_eq!(faults.active(), [("late-video", 0.5), ("refused-polls", 2.0), ("empty-polls", 3.0)]);
        assert_eq!(faults.late_by, 3);
    }

    #[test]
    fn without_flags_nothing_goes_wrong() {
        assert_eq!(parse(&[]).unwrap().active(), []);
    }

    #[test]
    fn a_probability_outside_its_range_is_refused_in_words() {
        for text in ["2", "-0.1", "NaN", "often"] {
            let error = parse(&[&format!("--cut={text}")]).unwrap_err().to_string();
            assert!(error.contains("a number from 0 to 1"), "{error}");
        }
    }

    #[test]
    fn refusals_name_times_texts_and_folders() {
        let faults = parse(&[
            "--refused",
            "0.5",
            "--refused-for=1m 30s",
            "--bad-url",
            "/video/7",
            "--bad-url=b",
            "--unclear-url=c",
            "--bad-folder",
            "-1",
            "--bad-folder=team a",
            "--refused-but-charged",
            "--hosts-are-platforms",
        ])
        .unwrap();
        assert_eq!(
            faults.active(),
            [
                ("refused", 0.5),
                ("refused-but-charged", 1.0),
                ("refused-for", 90.0),
                ("bad-url", 2.0),
                ("unclear-url", 1.0),
                ("bad-folder", 2.0),
                ("hosts-are-platforms", 1.0),
            ]
        );
        assert_eq!(faults.bad_urls, ["/video/7", "b"]);
        assert_eq!(faults.bad_folders, ["-1", "team a"]);
        for blank in ["--bad-url=", "--unclear-url=", "--bad-folder="] {
            assert!(parse(&[blank]).is_err(), "{blank}");
        }
    }
}
