//! `scrapehook simulate`: runs the simulator in the foreground and tells what it does.
//!
//! Must never print a callback URL beyond its origin: the path holds a secret token.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::config::ConfigError;
use crate::simulator::{Faults, Line, Settings, Simulator};

const EXAMPLES: &str = "\
A fault with [<P>] takes a probability from 0 to 1. Without one, it always happens.

Examples:
  A well-behaved upstream, two seconds to the download:
    scrapehook simulate
  Every submit is charged, and its answer cut off:
    scrapehook simulate --cut
  Nothing is ever answered in a way that can be read:
    scrapehook simulate --wrong-types
  A bad day, the same one each time:
    scrapehook simulate --seed 7 --lose 0.2 --duplicate 0.3 --reorder --early-callback 0.5
  Short links are listed as what they lead to, and some videos without a URL:
    scrapehook simulate --resolved-url 0.5 --null-url 0.2
  Another program uses the account, too:
    scrapehook simulate --other-task --default-callback-url http://127.0.0.1:8080/callback
  An account that runs out of credits, with a strict rate limit:
    scrapehook simulate --credits 100 --min-interval 1s";

/// Run a fake of the scrape API that misbehaves on demand.
///
/// It listens on this machine, keeps everything in memory, and costs nothing. Point the service at
/// the URL that it prints.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Simulate {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The one API key to accept.
    #[arg(long, value_name = "KEY", default_value = "simulator")]
    api_key: String,
    /// Where all randomness comes from, to repeat a run [default: random, printed at start].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Credits of the account, one per URL [default: endless].
    #[arg(long, value_name = "N")]
    credits: Option<u64>,
    /// Points of the account, one more per YouTube URL [default: endless].
    #[arg(long, value_name = "N")]
    points: Option<u64>,
    /// Least time between two requests; more often is answered with 0429.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = humantime::parse_duration)]
    min_interval: Duration,
    /// Time from a submit to the download.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    download_delay: Duration,
    /// Longest time from the download to the end of a video's indexing.
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = humantime::parse_duration)]
    index_delay: Duration,
    /// The account's default callback URL, for tasks without one and for those of other programs.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    default_callback_url: Option<String>,
    #[command(flatten)]
    faults: FaultFlags,
}

/// Writes the flags once: their attributes are all alike, and clap can't share them.
macro_rules! fault_flags {
    ($($(#[doc = $help:literal])+ $name:ident),+ $(,)?) => {
        #[derive(Args, Clone, Debug)]
        #[command(next_help_heading = "Faults")]
        struct FaultFlags {
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

fn http_url(text: &str) -> Result<String, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|_| text.to_owned())
        .ok_or_else(|| "a callback URL begins with http:// or https://".to_owned())
}

/// Runs the simulator until Ctrl-C or SIGTERM.
pub async fn run(args: Simulate) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (narrator, mut lines) = mpsc::unbounded_channel();
    let settings = Settings {
        listen: args.listen,
        api_key: args.api_key,
        seed: args.seed.unwrap_or_else(rand::random),
        credits: args.credits,
        points: args.points,
        min_interval: args.min_interval,
        download_delay: args.download_delay,
        index_delay: args.index_delay,
        default_callback_url: args.default_callback_url,
        faults: args.faults.into(),
        narrate: Some(narrator),
    };
    let (seed, faults) = (settings.seed, settings.faults.clone());
    let started = Instant::now();
    let simulator = Simulator::bind(settings).await.map_err(|error| {
        ConfigError::new(format!(
            "--listen: can't listen on {}: {error}; choose another address",
            args.listen
        ))
    })?;

    let mut out = anstream::stdout();
    print_start(&mut out, &simulator.url(), seed, &faults)?;
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                let seconds = started.elapsed().as_secs_f64();
                writeln!(out, "{seconds:>8.1}s  {}", Told(&line))?;
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    simulator.shutdown().await;
    Ok(())
}

fn print_start(out: &mut impl Write, url: &str, seed: u64, faults: &Faults) -> io::Result<()> {
    let active: Vec<String> =
        faults.active().iter().map(|(name, probability)| format!("{name} {probability}")).collect();
    let active = if active.is_empty() { "none".to_owned() } else { active.join(", ") };
    let bold = Style::new().bold();
    writeln!(out, "{bold}url{bold:#}     {url}")?;
    writeln!(out, "{bold}seed{bold:#}    {seed}")?;
    writeln!(out, "{bold}faults{bold:#}  {active}")
}

/// A happening as one aligned line.
struct Told<'a>(&'a Line);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut word = |colour: AnsiColor, word: &str| {
            let style = colour.on_default();
            write!(f, "{style}{word:<8}{style:#}  ")
        };
        match self.0 {
            Line::Accepted { task_id, urls, platform, quality, callback_origin } => {
                word(AnsiColor::Green, "accepted")?;
                let noun = if *urls == 1 { "URL" } else { "URLs" };
                write!(f, "task {task_id}: {urls} {platform} {noun} at {quality}, ")?;
                match callback_origin {
                    Some(origin) => write!(f, "callbacks to {origin}"),
                    None => write!(f, "no callbacks"),
                }
            }
            Line::Refused { request, code, msg } => {
                word(AnsiColor::Red, "refused")?;
                write!(f, "{request} with {code}: {msg}")
            }
            Line::Polled { task_id, videos } => {
                word(AnsiColor::BrightBlack, "polled")?;
                write!(f, "task {task_id}: {videos} listed")
            }
            Line::Callback { task_id, status, video_id, origin, answer } => {
                word(if answer.is_ok() { AnsiColor::Cyan } else { AnsiColor::Red }, "callback")?;
                // Ids differ in length, so they come last.
                write!(f, "{status:<18}  ")?;
                match answer {
                    Ok(status) => write!(f, "{status} from {origin}, task {task_id}")?,
                    Err(reason) => write!(f, "{reason} from {origin}, task {task_id}")?,
                }
                video_id.as_ref().map_or(Ok(()), |video_id| write!(f, ", video {video_id}"))
            }
            Line::Fault { fault, on } => {
                word(AnsiColor::Yellow, "fault")?;
                write!(f, "{fault} on {on}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        simulate: Simulate,
    }

    fn parse(args: &[&str]) -> Result<Simulate, clap::Error> {
        Cli::try_parse_from([&["simulate"], args].concat()).map(|cli| cli.simulate)
    }

    #[test]
    fn a_fault_without_a_probability_is_certain() {
        let args = parse(&["--cut", "--lose", "0.2", "--slow", "--slow-by", "90s"]).unwrap();
        let faults = Faults::from(args.faults);
        assert_eq!(faults.active(), [("lose", 0.2), ("cut", 1.0), ("slow", 1.0)]);
        assert_eq!(faults.slow_by, Duration::from_secs(90));
    }

    #[test]
    fn faults_of_polls_count_them() {
        let args = parse(&["--late-video", "0.5", "--refused-polls", "2", "--empty-polls=3"]).unwrap();
        let faults = Faults::from(args.faults);
        assert_eq!(faults.active(), [("late-video", 0.5), ("refused-polls", 2.0), ("empty-polls", 3.0)]);
        assert_eq!(faults.late_by, 3);
    }

    #[test]
    fn a_default_callback_url_is_one_for_http() {
        let args = parse(&["--default-callback-url", "http://127.0.0.1:8080/callback"]).unwrap();
        assert_eq!(args.default_callback_url.as_deref(), Some("http://127.0.0.1:8080/callback"));
        for text in ["localhost:8080", "/callback", "ftp://a.example/"] {
            let error = parse(&["--default-callback-url", text]).unwrap_err().to_string();
            assert!(error.contains("begins with http:// or https://"), "{error}");
        }
    }

    #[test]
    fn without_flags_nothing_goes_wrong() {
        assert_eq!(Faults::from(parse(&[]).unwrap().faults).active(), []);
    }

    #[test]
    fn a_probability_outside_its_range_is_refused_in_words() {
        for text in ["2", "-0.1", "NaN", "often"] {
            let error = parse(&[&format!("--cut={text}")]).unwrap_err().to_string();
            assert!(error.contains("a number from 0 to 1"), "{error}");
        }
    }

    #[test]
    fn every_happening_is_one_line_with_its_word_in_front() {
        let line = Line::Refused { request: "submit", code: "0402", msg: "not enough points".to_owned() };
        let told = anstream::adapter::strip_str(&Told(&line).to_string()).to_string();
        assert_eq!(told, "refused   submit with 0402: not enough points");
    }
}
