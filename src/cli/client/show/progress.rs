//! The progress of a job, on standard error. A terminal shows bars, and any other output gets a line after each
//! change.

use std::cell::RefCell;
use std::io::stderr;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::jobs::progress;
use super::output::{note, text, width};
use super::queue::expected;
use super::words::number;

/// The interval at which the bars update the clock in their lines.
const TICK: Duration = Duration::from_millis(250);

/// The widths of a bar and of the text in its line, in characters.
const BAR: usize = 40;
const TEXT_WIDTH: usize = 38;

/// The kind of output for progress.
pub(in crate::cli) enum Progress {
    Bars(Bars),
    /// The last line.
    Lines(RefCell<String>),
}

pub(in crate::cli) struct Bars {
    all: MultiProgress,
    clock: ProgressBar,
    sent: ProgressBar,
    downloaded: ProgressBar,
    indexed: ProgressBar,
}

impl Progress {
    /// Creates the output for one job.
    pub(in crate::cli) fn new(job: &str) -> anyhow::Result<Self> {
        let all = MultiProgress::new();
        if all.is_hidden() {
            return Ok(Self::Lines(RefCell::default()));
        }
        let clock = all.add(ProgressBar::new_spinner());
        clock.set_style(ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {msg}")?);
        clock.set_prefix(job.to_owned());
        clock.enable_steady_tick(TICK);
        let bar = width(stderr()).map_or(BAR, |width| width.saturating_sub(TEXT_WIDTH).clamp(1, BAR));
        let style =
            ProgressStyle::with_template(&format!("{{prefix:>12}} {{bar:{bar}}} {{pos}}/{{len}} {{msg}}"))?;
        let bar = |name: &'static str| {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style.clone());
            bar.set_prefix(name);
            bar
        };
        let (sent, downloaded, indexed) = (bar("sent"), bar("downloaded"), bar("indexed"));
        Ok(Self::Bars(Bars { all, clock, sent, downloaded, indexed }))
    }

    /// Whether somebody watches it continuously.
    pub(in crate::cli) const fn is_live(&self) -> bool {
        matches!(self, Self::Bars(_))
    }

    /// Shows the progress of the job.
    pub(in crate::cli) fn show(&self, job: &Value) {
        let counts = &job["progress"];
        match self {
            Self::Bars(bars) => {
                let urls = number(counts, "urls");
                let sent = urls.saturating_sub(number(counts, "waiting"));
                let downloaded = sent.saturating_sub(number(counts, "sent"));
                // Failed URLs count as past the earlier stages, whether or not they passed through them.
                let indexed = number(counts, "indexed") + number(counts, "known");
                for (bar, passed) in
                    [(&bars.sent, sent), (&bars.downloaded, downloaded), (&bars.indexed, indexed)]
                {
                    bar.set_length(urls);
                    bar.set_position(passed);
                }
                let failed = match number(counts, "failed") {
                    0 => String::new(),
                    failed => format!("{failed} failed"),
                };
                let said = [failed, expected(job)].into_iter().filter(|words| !words.is_empty());
                bars.clock.set_message(said.collect::<Vec<_>>().join(", "));
            }
            Self::Lines(last) => {
                let line = format!("{} is {}. {}", text(job, "id"), text(job, "state"), progress(counts));
                if last.replace(line.clone()) != line {
                    match expected(job) {
                        expected if expected.is_empty() => note(&line),
                        expected => note(&format!("{line}, {expected}")),
                    }
                }
            }
        }
    }

    /// Shows the number of indexed videos. A video is indexed some time before its URL, which needs a poll.
    pub(in crate::cli) fn show_videos(&self, videos: usize) {
        if let Self::Bars(bars) = self {
            bars.indexed.set_message(if videos == 1 {
                "1 video".to_owned()
            } else {
                format!("{videos} videos")
            });
        }
    }

    /// Prints a note without disturbing the bars.
    pub(in crate::cli) fn say(&self, said: &str) {
        match self {
            Self::Bars(bars) => bars.all.suspend(|| note(said)),
            Self::Lines(_) => note(said),
        }
    }

    /// Ends the output. The last line stays, without the videos, because the last of them may not have been counted.
    pub(in crate::cli) fn end(&self) {
        if let Self::Bars(bars) = self {
            bars.clock.finish_and_clear();
            bars.indexed.set_message("");
            for bar in [&bars.sent, &bars.downloaded, &bars.indexed] {
                bar.abandon();
            }
        }
    }
}
