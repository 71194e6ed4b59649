//! `demo`: the simulator, the service and one job in one process, with a temporary database. Must never send anything
//! to the real API.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::simulate::{self, Fault};
use crate::app::App;
use crate::config::{Config, log_level_or};
use crate::simulator::{Settings, Simulator};
use crate::telemetry;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// End when the job is done instead of staying up
    #[arg(long)]
    exit: bool,
    /// Let one thing go wrong: the name of a switch of `simulate`, such as `lose`
    #[arg(long, value_name = "NAME", value_parser = simulate::fault)]
    fault: Option<Fault>,
}

const KEY: &str = "simulator";
/// The time between two requests for the job.
const LOOK: Duration = Duration::from_millis(150);
/// The longest duration. The simulator needs only seconds, so something is broken after this time.
const DEADLINE: Duration = Duration::from_secs(60);

/// Shows one job from its URLs to its indexed videos.
///
/// # Errors
/// A part could not start, or the job did not end with every video indexed.
pub async fn run(args: Demo) -> anyhow::Result<()> {
    let _ = telemetry::start(&log_level_or("error")?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let folder = Folder::create()?;
    let faults = args.fault.as_ref().map(|fault| fault.faults.clone()).unwrap_or_default();
    let simulator = Simulator::bind(Settings {
        api_key: KEY.to_owned(),
        download_delay: Duration::from_millis(1_500),
        index_delay: Duration::from_secs(4),
        faults,
        ..Settings::default()
    })
    .await?;
    // The listener comes first, because the callback URL must be known before the service starts.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let config = settings(&folder, &simulator.url(), listener.local_addr()?)?;
    let app = App::start(&config, false, listener).await?;
    let base = format!("http://{}", app.address());
    let stop = app.stop_token();
    let service = tokio::spawn(app.join());

    // The database is removed, whatever ends the demo.
    let mut stopped = std::pin::pin!(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    });
    let mut shown = tokio::select! {
        shown = show(&base, &simulator, &args) => shown,
        () = &mut stopped => Err(anyhow!("stopped before the job was done")),
    };
    if shown.is_ok() && !args.exit {
        let said = "Press Ctrl-C to stop. The database is then deleted.";
        shown = writeln!(anstream::stdout(), "\nStill serving on {base}. {said}").map_err(Into::into);
        if shown.is_ok() {
            stopped.await;
        }
    }
    stop.cancel();
    service.await??;
    simulator.shutdown().await;
    shown
}

/// A temporary folder for the database, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("scrapehook-demo-{}", uuid::Uuid::now_v7().simple()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(folder: &Folder, upstream: &str, address: SocketAddr) -> anyhow::Result<Config> {
    let set = |key: &str, value: String| (format!("SCRAPEHOOK_{key}"), value);
    Ok(Config::load_with(
        None,
        vec![
            set("SERVER__LISTEN", address.to_string()),
            set("SERVER__PUBLIC_URL", format!("http://{address}")),
            set("STORE__PATH", folder.0.join("demo.db").display().to_string()),
            set("UPSTREAM__BASE_URL", upstream.to_owned()),
            set("UPSTREAM__API_KEY", KEY.to_owned()),
            set("DISPATCH__MIN_INTERVAL", "200ms".to_owned()),
            // This is soon enough to be watched.
            set("DISPATCH__PROBE_AFTER", "1s".to_owned()),
            set("RECONCILE__AFTER", "3s".to_owned()),
        ],
    )?)
}

fn post_urls() -> Vec<String> {
    let tiktok = (0..8).map(|n| format!("https://www.tiktok.com/@chef/video/73012345678901234{n:02}"));
    let youtube = (0..6).map(|n| format!("https://www.youtube.com/watch?v=o9vgXOH4ET{n}"));
    let instagram = (0..6).map(|n| format!("https://www.instagram.com/p/CxYz12AbC{n}/"));
    tiktok.chain(youtube).chain(instagram).collect()
}

/// Submits the job, shows it, and explains its result with the simulator's own counts.
async fn show(base: &str, simulator: &Simulator, args: &Demo) -> anyhow::Result<()> {
    let fault = args.fault.as_ref();
    let client = crate::tls::client().no_proxy().build()?;
    let urls = post_urls();
    let mut out = anstream::stdout();
    writeln!(out, "Simulated API on {}, scrapehook on {base}.", simulator.url())?;
    writeln!(out, "One job: {} post URLs of TikTok, YouTube and Instagram.\n", urls.len())?;
    let job = client.post(format!("{base}/v1/jobs")).json(&json!({ "video_urls": urls })).send().await?;
    let job: Value = job.error_for_status()?.json().await?;
    let id = job["id"].as_str().context("the job has no id")?;
    let ended = tokio::time::timeout(DEADLINE, follow(&client, base, id)).await;

    let urls = read(&client, &format!("{base}/v1/jobs/{id}/urls?limit=500")).await?;
    let rows = urls["items"].as_array().cloned().unwrap_or_default();
    show_urls(&mut out, &rows)?;
    explain(&mut out, simulator, fault)?;
    let Ok(ended) = ended else {
        let status = read(&client, &format!("{base}/v1/status")).await?;
        return show_waiting(&mut out, &status, fault);
    };
    let job = ended?;
    if let Some(row) = rows.iter().find(|row| video_of(row).is_some()).filter(|_| !args.exit) {
        let url = row["url"].as_str().unwrap_or_default();
        writeln!(out, "\nLook them up:")?;
        writeln!(out, "  curl {base}/v1/jobs/{id}")?;
        writeln!(out, "  curl {base}/v1/videos/{}", video_of(row).unwrap_or_default())?;
        writeln!(out, "  curl -G {base}/v1/videos --data-urlencode 'url={url}'")?;
        writeln!(out, "  curl '{base}/v1/events?limit=20'")?;
    }
    // With some faults, a URL has no video.
    if job["state"] != "done" && fault.is_none() {
        bail!("the job ended as `{}`", job["state"].as_str().unwrap_or("?"));
    }
    Ok(())
}

async fn read(client: &Client, url: &str) -> anyhow::Result<Value> {
    Ok(client.get(url).send().await?.error_for_status()?.json().await?)
}

fn video_of(url: &Value) -> Option<&str> {
    url["video_ids"][0].as_str()
}

fn show_urls(out: &mut impl Write, urls: &[Value]) -> std::io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["URL", "video id", "state"]);
    for row in urls {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let state = match row["error"]["code"].as_str() {
            Some(code) => format!("{}: {code}", text(&row["state"])),
            None => text(&row["state"]),
        };
        table.add_row([text(&row["url"]), video_of(row).unwrap_or("-").to_owned(), state]);
    }
    writeln!(out, "{table}")
}

/// Shows a job that waits. With some faults, it waits longer than anybody watches, because its submits are
/// unconfirmed or sending is paused.
fn show_waiting(out: &mut impl Write, status: &Value, fault: Option<&Fault>) -> anyhow::Result<()> {
    if fault.is_none() {
        bail!("the job did not end in time");
    }
    writeln!(out, "\nThe job still waits. `scrapehook status` would report:")?;
    for problem in status["problems"].as_array().into_iter().flatten() {
        let text = |name: &str| problem[name].as_str().unwrap_or_default();
        writeln!(out, "  {} {}", text("detail"), text("action"))?;
    }
    Ok(())
}

fn explain(out: &mut impl Write, simulator: &Simulator, fault: Option<&Fault>) -> std::io::Result<()> {
    let charged = simulator.charged();
    let twice = charged.values().filter(|times| **times > 1).count();
    let stored = simulator.callbacks_sent().iter().filter(|sent| sent.answer == Some(200)).count();
    writeln!(out, "\nHow it went:")?;
    writeln!(
        out,
        "  {} requests carried the URLs, each for one platform and on disk before it was sent.",
        simulator.submitted()
    )?;
    let polls = simulator.polls();
    match stored {
        0 => writeln!(out, "  No callback arrived. scrapehook polled {polls} times.")?,
        _ => writeln!(
            out,
            "  {stored} callbacks were answered 200, each after it was on disk. scrapehook polled {polls} times."
        )?,
    }
    writeln!(out, "  The API charged {} URLs, {twice} of them twice.", charged.len())?;
    if let Some(fault) = fault {
        writeln!(out, "  Fault: {}: {}.", fault.name, fault.words)?;
    }
    Ok(())
}

/// Draws the job's progress until it has ended.
async fn follow(client: &Client, base: &str, id: &str) -> anyhow::Result<Value> {
    let style = ProgressStyle::with_template("{prefix:>12} {bar:40} {pos}/{len}")?;
    let bars = indicatif::MultiProgress::new();
    let bar = |name: &'static str| {
        let bar = bars.add(ProgressBar::new(0));
        bar.set_style(style.clone());
        bar.set_prefix(name);
        (name, bar)
    };
    let stages = [bar("sent"), bar("downloaded"), bar("indexed")];
    loop {
        let job = client.get(format!("{base}/v1/jobs/{id}")).send().await?.error_for_status()?;
        let job: Value = job.json().await?;
        let count = |name: &str| job["progress"][name].as_u64().unwrap_or(0);
        // A video is indexed before its URL, because a poll has to join them first.
        let videos = format!("{base}/v1/videos?job={id}&state=indexed&limit=500");
        let videos: Value = client.get(videos).send().await?.error_for_status()?.json().await?;
        let videos = videos["items"].as_array().map_or(0, Vec::len) as u64;
        // Each stage also counts the URLs that are already past it.
        let mut passed = count("indexed") + count("failed");
        for (name, bar) in stages.iter().rev() {
            if *name != "indexed" {
                passed += count(name);
            }
            bar.set_length(count("urls"));
            bar.set_position(if *name == "indexed" { videos } else { passed });
        }
        if job["state"] != "running" {
            for (_, bar) in &stages {
                bar.finish();
            }
            return Ok(job);
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_of_the_demo_is_for_its_owner_alone_and_goes_with_it() {
        let folder = Folder::create().unwrap();
        let path = folder.0.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
