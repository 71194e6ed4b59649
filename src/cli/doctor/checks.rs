//! The checks of this machine and of the upstream.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::clock;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::network::{NoAnswer, TlsFault};
use crate::store::{self, Exposed, Inspected, LITTLE_ROOM, OpenError};
use crate::upstream::{Checked, KeyAnswer, Refusal, Upstream};
use crate::workers;

pub(super) const CONFIGURATION: &str = "configuration";
const DATABASE: &str = "database";
const PERMISSIONS: &str = "permissions";
const DISK: &str = "disk";
const UPSTREAM: &str = "upstream";
const KEY: &str = "key";
const CLOCK: &str = "clock";

/// A clock that is off by more puts days, deadlines and certificates in doubt.
const MOST_OFF: Duration = Duration::from_secs(60);
/// The upstream's date has whole seconds.
const DATE_STEP: Duration = Duration::from_secs(1);

const MIB: u64 = 1024 * 1024;

/// What can be said of the database without opening it for good; what it holds, where it is in order.
pub(super) async fn database(config: &Config) -> (Check, Option<Inspected>) {
    let path = &config.store.path;
    let base = config.upstream.base_url.trim_end_matches('/');
    let inspected = match store::inspect_database(path, base).await {
        Ok(Some(inspected)) => inspected,
        Ok(None) => {
            let seen = format!("{}: not there yet, the first start makes it", path.display());
            return (Check::skipped(DATABASE, seen), None);
        }
        Err(error) => return (Check::failed(DATABASE, error.to_string(), action(&error)), None),
    };
    let version =
        if inspected.is_older { "an older version, which the next start changes" } else { "this version" };
    let whole =
        if inspected.is_checked_whole { "whole" } else { "whole as far as three seconds of checking went" };
    let size = tenths(inspected.bytes, MIB);
    let service =
        if inspected.is_in_use { "an instance runs on it, which is fine" } else { "no instance runs on it" };
    let seen = format!("{}: of {version}, of this upstream, {whole}, {size} MiB; {service}", path.display());
    (Check::ok(DATABASE, seen), Some(inspected))
}

fn action(error: &OpenError) -> &'static str {
    match error {
        OpenError::InUse { .. } | OpenError::InUseElsewhere { .. } => "Stop the other instance.",
        OpenError::Linked { .. } => "Remove all names of the file but one, or copy it.",
        OpenError::Path { .. } => "Set store.path to the plain path of a file.",
        OpenError::Unwritable { .. } => "Let the user that runs the service read and write it.",
        OpenError::Foreign { .. } => "Set store.path to another file.",
        OpenError::Damaged { .. } => {
            "Stop the service, and put a copy of the database in its place that is whole."
        }
        OpenError::LoneLog { .. } => "Put the database back beside its log, or move the log away.",
        OpenError::Newer { .. } => "Use the newer version again, or set store.path to another file.",
        OpenError::OtherUpstream { .. } => {
            "Set upstream.base_url or store.path, or start once with --accept-upstream-change."
        }
        OpenError::Backup(_) => {
            "Make room beside the database, or let the user that runs the service write there."
        }
        OpenError::OldSqlite | OpenError::Sqlite { .. } | OpenError::Random(_) => {
            "Look at the file and its disk; the system's log may say more."
        }
    }
}

/// Whether the database, the files beside it and its scheduled copies are for their owner alone.
pub(super) fn permissions(config: &Config) -> Check {
    let path = &config.store.path;
    let mut files = store::files_of(path);
    if let Some(folder) = &config.backup.folder {
        files.extend(workers::scheduled_copies(path, folder));
    }
    if !files.iter().any(|file| file.exists()) {
        return Check::skipped(PERMISSIONS, "there is no database yet; it is made with mode 0600");
    }
    let exposed = store::exposed(files);
    if exposed.is_empty() {
        return Check::ok(PERMISSIONS, "the database, its log and its copies are for their owner alone");
    }
    let seen = exposed.iter().map(Exposed::to_string).collect::<Vec<_>>().join("; ");
    let remedies = exposed.iter().map(Exposed::remedy).collect::<Vec<_>>().join("; ");
    Check::failed(
        PERMISSIONS,
        format!("other users of this machine can read or write files of the database: {seen}"),
        format!("Run `{remedies}`. If others may have read the callback secret, change callback.secret."),
    )
}

/// Whether the database can be written where it is to be, and for how long.
pub(super) fn disk(path: &Path) -> Check {
    let folder = store::folder(path);
    let shown = folder.display();
    if !folder.is_dir() {
        return Check::failed(DISK, format!("{shown} is no folder"), "Make it, or set store.path.");
    }
    if let Err(error) = store::prove_writable(path) {
        let action = "Let the user that runs the service write to this folder, and make room on its disk.";
        return Check::failed(DISK, format!("{shown} can't be written: {error}"), action);
    }
    match store::free_room(path) {
        Some(free) if free < LITTLE_ROOM => Check::failed(
            DISK,
            format!("{shown} can be written, but only {} MiB are free", free / MIB),
            "Make room: without it callbacks are answered 503 and nothing is sent.",
        ),
        Some(free) => {
            Check::ok(DISK, format!("{shown} can be written, {} GiB are free", tenths(free, 1024 * MIB)))
        }
        None => Check::ok(DISK, format!("{shown} can be written; how much is free is not known")),
    }
}

fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Whether upstream can be reached, what it thinks of the key, and how far apart the clocks are.
pub(super) async fn upstream(config: &Config, upstream: &Upstream) -> [Check; 3] {
    let url = &config.upstream.base_url;
    let before = clock::now();
    let answer = upstream.check().await;
    let after = clock::now();
    match answer {
        Ok(Checked { date, key }) => {
            let reached = match &key {
                KeyAnswer::NoSuchRoute(refusal) => Check::failed(
                    UPSTREAM,
                    format!("{url} answers, but has no such API ({})", said(refusal)),
                    "Check upstream.base_url.",
                ),
                _ => Check::ok(UPSTREAM, format!("{url} answers")),
            };
            [reached, of_key(&key), of_clock(date, before, after)]
        }
        Err(reason) => {
            let seen = format!("{url}: {reason}");
            [
                Check::failed(UPSTREAM, seen, way_out(&reason)),
                Check::skipped(KEY, "upstream does not answer"),
                Check::skipped(CLOCK, "upstream does not answer"),
            ]
        }
    }
}

fn way_out(reason: &NoAnswer) -> &'static str {
    match reason {
        NoAnswer::Name(_) => "Check upstream.base_url, and whether this machine can resolve names.",
        NoAnswer::Connection(_) => {
            "Check upstream.base_url, this machine's way out, and HTTPS_PROXY where one is needed."
        }
        NoAnswer::Tls(TlsFault::Expired | TlsFault::NotYetValid) => {
            "Check this machine's clock; certificates go by it."
        }
        NoAnswer::Tls(TlsFault::UnknownIssuer | TlsFault::SelfSigned) => {
            "Install the system's root certificates, or that of a proxy in between that opens TLS."
        }
        NoAnswer::Tls(_) | NoAnswer::NotHttp => "Check scheme, host and port of upstream.base_url.",
        NoAnswer::Late | NoAnswer::Cut => "Try again; it may be busy, or a firewall is in between.",
    }
}

/// Upstream's code and words.
fn said(refusal: &Refusal) -> String {
    if refusal.message.is_empty() {
        refusal.code.clone()
    } else {
        format!("{}: {}", refusal.code, refusal.message)
    }
}

fn of_key(key: &KeyAnswer) -> Check {
    match key {
        KeyAnswer::Accepted(refusal) => {
            Check::ok(KEY, format!("accepted, by the poll of an unknown task ({})", said(refusal)))
        }
        KeyAnswer::Refused(refusal) => Check::failed(
            KEY,
            format!("refused ({})", said(refusal)),
            "Check upstream.api_key, and the account at upstream.",
        ),
        KeyAnswer::Unclear(refusal) => Check::not_proven(
            KEY,
            format!("the answer says nothing of it ({})", said(refusal)),
            "Try again in a minute.",
        ),
        KeyAnswer::NoSuchRoute(_) => Check::skipped(KEY, "there is no such API to ask"),
    }
}

/// Compares upstream's date with the times just before and after it was asked.
fn of_clock(date: Option<Timestamp>, before: Timestamp, after: Timestamp) -> Check {
    let Some(date) = date else {
        let action = "See that the machine's clock is kept, by NTP for example.";
        return Check::not_proven(CLOCK, "upstream does not tell its time", action);
    };
    let ahead = before.since(date.after(DATE_STEP));
    let behind = date.since(after);
    let off = ahead.max(behind);
    let seen = match off.as_secs() {
        0 => "as upstream's, to the second".to_owned(),
        seconds => {
            let way = if ahead > behind { "ahead of" } else { "behind" };
            format!("{} {way} upstream's", humantime::format_duration(Duration::from_secs(seconds)))
        }
    };
    if off > MOST_OFF {
        let action =
            "Set it and have it kept, by NTP for example: days, deadlines and certificates go by it.";
        return Check::failed(CLOCK, seen, action);
    }
    Check::ok(CLOCK, seen)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_time_of_the_answer() {
        let second = |second: i64| Timestamp::from_millis(second * 1_000);
        for (date, state, seen) in [
            (100, State::Ok, "as upstream's, to the second"),
            (98, State::Ok, "1s ahead of upstream's"),
            (104, State::Ok, "2s behind upstream's"),
            (162, State::Ok, "1m behind upstream's"),
            (163, State::Failed, "1m 1s behind upstream's"),
            (-3_501, State::Failed, "1h ahead of upstream's"),
        ] {
            let check = of_clock(Some(second(date)), second(100), second(102));
            assert_eq!((check.state, check.seen.as_str()), (state, seen), "{date}");
        }
        assert_eq!(of_clock(None, second(1), second(2)).state, State::NotProven);
    }

    #[test]
    fn room_is_told_in_tenths() {
        assert_eq!(tenths(0, MIB), "0.0");
        assert_eq!(tenths(MIB * 5 / 4, MIB), "1.2");
    }
}
