//! `scrapehook simulate`: runs the simulator in the foreground and prints its transcript.
//!
//! Must never print a callback URL beyond its origin, because the path holds a secret token.

mod flags;

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Arg, Args, CommandFactory, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::config::ConfigError;
use crate::domain::nearest::unknown;
use crate::simulator::{Faults, Line, Settings, Simulator};
use flags::FaultFlags;

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
  Nothing is accepted for half a minute, and posts of one user never are:
    scrapehook simulate --refused-for 30s --bad-url tiktok.com/@user/
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
    /// Least time between two requests. A request that comes too soon is answered with 0429.
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

/// A fault alone.
#[derive(Debug, Parser)]
struct OneFault {
    #[command(flatten)]
    faults: FaultFlags,
}

/// A fault that always happens, and its description.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) faults: Faults,
    pub(super) words: String,
}

/// Returns the fault with the name of a switch that needs no value.
///
/// # Errors
/// No switch has this name.
pub(super) fn fault(name: &str) -> Result<Fault, String> {
    let command = OneFault::command();
    let is_switch = |argument: &&Arg| argument.get_num_args().is_some_and(|values| values.min_values() == 0);
    let switches: Vec<&Arg> = command.get_arguments().filter(is_switch).collect();
    let Some(switch) = switches.iter().find(|switch| switch.get_long() == Some(name)) else {
        let names = switches.iter().filter_map(|switch| switch.get_long());
        let said = "no fault of `scrapehook simulate --help` that takes no value has this name";
        return Err(unknown(said, name, names));
    };
    let one = OneFault::try_parse_from(["demo", &format!("--{name}")]).map_err(|error| error.to_string())?;
    let words = switch.get_help().map(ToString::to_string).unwrap_or_default();
    let words = words.trim_end_matches('.').to_owned();
    Ok(Fault { name: name.to_owned(), faults: one.faults.into(), words })
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
            "--listen: can't listen on {}: {error}. Choose another address",
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

/// A line of the transcript, with aligned columns.
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
    fn a_default_callback_url_is_one_for_http() {
        let args = parse(&["--default-callback-url", "http://127.0.0.1:8080/callback"]).unwrap();
        assert_eq!(args.default_callback_url.as_deref(), Some("http://127.0.0.1:8080/callback"));
        for text in ["localhost:8080", "/callback", "ftp://a.example/"] {
            let error = parse(&["--default-callback-url", text]).unwrap_err().to_string();
            assert!(error.contains("begins with http:// or https://"), "{error}");
        }
    }

    #[test]
    fn every_happening_is_one_line_with_its_word_in_front() {
        let line = Line::Refused { request: "submit", code: "0402", msg: "not enough points".to_owned() };
        let told = anstream::adapter::strip_str(&Told(&line).to_string()).to_string();
        assert_eq!(told, "refused   submit with 0402: not enough points");
    }
}
