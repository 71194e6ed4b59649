//! The checks of this machine and of upstream. They must never change either.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::report::Check;
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
const BACKUPS: &str = "backups";
const DISK: &str = "disk";
const UPSTREAM: &str = "upstream";
const KEY: &str = "key";
const CLOCK: &str = "clock";

/// The largest difference between the clocks. Beyond it, days, deadlines and certificates are in doubt.
const MOST_OFF: Duration = Duration::from_secs(60);
/// The resolution of upstream's date.
const DATE_STEP: Duration = Duration::from_secs(1);

const MIB: u64 = 1024 * 1024;

/// Inspects the database without opening it for writing. Returns its content if it is in order.
pub(super) async fn database(config: &Config) -> (Check, Option<Inspected>) {
    let path = &config.store.path;
    let base = config.upstream.base_url.trim_end_matches('/');
    let inspected = match store::inspect_database(path, base).await {
        Ok(Some(inspected)) => inspected,
        Ok(None) => {
            let seen = format!("{} does not exist yet. The first start creates it", path.display());
            return (Check::skipped(DATABASE, seen), None);
        }
        Err(error) => return (Check::failed(DATABASE, error.to_string(), action(&error)), None),
    };
    let version =
        if inspected.is_older { "an older version, which the next start migrates" } else { "this version" };
    let whole =
        if inspected.is_checked_whole { "undamaged" } else { "no damage found in three seconds of checking" };
    let size = tenths(inspected.bytes, MIB);
    let service = if inspected.is_in_use {
        "An instance is running on it, which is fine"
    } else {
        "No instance is running on it"
    };
    let seen = format!(
        "{}: {size} MiB, {whole}, from {version}, for this upstream.base_url. {service}",
        path.display()
    );
    (Check::ok(DATABASE, seen), Some(inspected))
}

fn action(error: &OpenError) -> &'static str {
    match error {
        OpenError::InUse { .. } => "Stop the other instance.",
        OpenError::InUseElsewhere { .. } => "Stop the other process.",
        OpenError::Linked { .. } => {
            "Remove all names of the file except the one that the service was last started with."
        }
        OpenError::Mounted { .. } => "Mount the folder of the database with its log, not the file alone.",
        OpenError::Path { .. } => "Set store.path to the plain path of a file.",
        OpenError::Unwritable { .. } => "Give the service's user read and write access to it.",
        OpenError::Foreign { .. } => "Set store.path to another file.",
        OpenError::Damaged { .. } => "Stop the service, and replace the database with a backup.",
        OpenError::LoneLog { .. } => "Put the database back beside its log, or move the log elsewhere.",
        OpenError::Newer { .. } => "Use the newer version again, or set store.path to another file.",
        OpenError::OtherUpstream { .. } => {
            "Correct upstream.base_url or store.path, or start once with --accept-upstream-change."
        }
        OpenError::Full { .. } | OpenError::NoRoom { .. } => "Free some space on the database's disk.",
        OpenError::Backup(_) => {
            "Free some space beside the database, or give the service's user write access there."
        }
        OpenError::OldSqlite | OpenError::Sqlite { .. } | OpenError::Random(_) => {
            "Check the file and its disk. The system's log may say more."
        }
    }
}

/// Checks that the database, the files beside it and its scheduled copies are accessible for their owner alone.
pub(super) fn permissions(config: &Config) -> Check {
    let path = &config.store.path;
    let copies = config.backup.folder.as_ref().map(|folder| workers::scheduled_copies(path, folder));
    let found = store::exposed([store::files_of(path)].into_iter().chain(copies));
    let unknown = found.unknown.join("; ");
    if found.exposed.is_empty() && unknown.is_empty() {
        return match found.checked {
            0 => Check::skipped(PERMISSIONS, "there is no database yet. It will be created with mode 0600"),
            _ => Check::ok(PERMISSIONS, "only the owner can access the database, its log and its copies"),
        };
    }
    if found.exposed.is_empty() {
        return Check::not_proven(
            PERMISSIONS,
            format!("not all files of the database can be checked: {unknown}"),
            "Run doctor as the service's user, and give that user access to these folders.",
        );
    }
    let mut seen = found.exposed.iter().map(Exposed::to_string).collect::<Vec<_>>().join("; ");
    if !unknown.is_empty() {
        seen.push_str(&format!(". Not all files can be checked: {unknown}"));
    }
    let remedies = found.exposed.iter().map(Exposed::remedy).collect::<Vec<_>>().join("; ");
    Check::failed(
        PERMISSIONS,
        format!("other users of this machine can read or write files of the database: {seen}"),
        format!("Run `{remedies}`. If others may have read the callback secret, change callback.secret."),
    )
}

/// Checks that scheduled copies can be listed and written.
pub(super) fn backups(config: &Config) -> Check {
    let Some(folder) = &config.backup.folder else {
        return Check::skipped(BACKUPS, "backup.folder is not set, so no scheduled copies are made");
    };
    let shown = folder.display();
    let failed = |seen: String| {
        let action = "Create the folder, and give the service's user read and write access to it.";
        Check::failed(BACKUPS, format!("backup.folder: {seen}"), action)
    };
    if let Err(error) = fs::read_dir(folder) {
        return failed(format!("{shown} can't be listed: {error}"));
    }
    match store::prove_writable(&folder.join("copy")) {
        Ok(()) => Check::ok(BACKUPS, format!("{shown} can be listed and written")),
        Err(error) => failed(format!("{shown} can't be written: {error}")),
    }
}

/// Checks that the database's folder can be written, and how much space is free.
pub(super) fn disk(path: &Path) -> Check {
    let folder = store::folder(path);
    let shown = folder.display();
    if !folder.is_dir() {
        return Check::failed(DISK, format!("{shown} is not a folder"), "Create it, or correct store.path.");
    }
    if let Err(error) = store::prove_writable(path) {
        let action = "Give the service's user write access to this folder, and free some space on its disk.";
        return Check::failed(DISK, format!("{shown} can't be written: {error}"), action);
    }
    match store::free_room(path) {
        Some(free) if free < LITTLE_ROOM => Check::failed(
            DISK,
            format!("{shown} can be written, but has only {} MiB of free space", free / MIB),
            "Free some space. On a full disk, callbacks are answered 503 and scrapehook sends nothing.",
        ),
        Some(free) => Check::ok(
            DISK,
            format!("{shown} can be written, and has {} GiB of free space", tenths(free, 1024 * MIB)),
        ),
        None => Check::ok(DISK, format!("{shown} can be written, but its free space is unknown")),
    }
}

fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Checks that upstream can be reached and accepts the key, and compares the clocks.
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
                    format!("{url} answers, but not as the scrape API ({})", said(refusal)),
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
                Check::skipped(KEY, "the memories.ai API does not answer"),
                Check::skipped(CLOCK, "the memories.ai API does not answer"),
            ]
        }
    }
}

fn way_out(reason: &NoAnswer) -> &'static str {
    match reason {
        NoAnswer::Name(_) => "Check upstream.base_url, and whether this machine can resolve names.",
        NoAnswer::Connection(_) => {
            "Check upstream.base_url, this machine's network and firewall, and HTTPS_PROXY if you need a proxy."
        }
        NoAnswer::Tls(TlsFault::Expired | TlsFault::NotYetValid) => {
            "Check this machine's clock, because it decides whether a certificate is valid."
        }
        NoAnswer::Tls(TlsFault::UnknownIssuer | TlsFault::SelfSigned) => {
            "Install the system's root certificates, or that of a proxy that intercepts TLS."
        }
        NoAnswer::Tls(_) | NoAnswer::NotHttp => "Check the scheme, host and port of upstream.base_url.",
        NoAnswer::Late | NoAnswer::Cut => {
            "Try again later. The memories.ai API may be busy, or a firewall may be in between."
        }
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
        KeyAnswer::Accepted(refusal) => Check::ok(
            KEY,
            format!("accepted: the memories.ai API answered the poll of an unknown task ({})", said(refusal)),
        ),
        KeyAnswer::Refused(refusal) => Check::failed(
            KEY,
            format!("refused ({})", said(refusal)),
            "Check upstream.api_key, and your memories.ai account.",
        ),
        KeyAnswer::Unclear(refusal) => Check::not_proven(
            KEY,
            format!("the answer does not show whether the memories.ai API accepts it ({})", said(refusal)),
            "Try again in a minute.",
        ),
        KeyAnswer::NoSuchRoute(_) => Check::skipped(KEY, "the server does not answer as the scrape API"),
    }
}

/// Compares upstream's date with the times just before and after the request.
fn of_clock(date: Option<Timestamp>, before: Timestamp, after: Timestamp) -> Check {
    let Some(date) = date else {
        let action = "Keep this machine's clock synchronized, for example with NTP.";
        return Check::not_proven(CLOCK, "the answer has no date", action);
    };
    let ahead = before.since(date.after(DATE_STEP));
    let behind = date.since(after);
    let off = ahead.max(behind);
    let seen = match off.as_secs() {
        0 => "the same as that of the memories.ai API, to the second".to_owned(),
        seconds => {
            let way = if ahead > behind { "ahead of" } else { "behind" };
            format!(
                "{} {way} that of the memories.ai API",
                humantime::format_duration(Duration::from_secs(seconds))
            )
        }
    };
    if off > MOST_OFF {
        let action = "Synchronize it, for example with NTP. Days, deadlines and certificates depend on it.";
        return Check::failed(CLOCK, seen, action);
    }
    Check::ok(CLOCK, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::State;

    #[test]
    fn a_clock_is_compared_with_the_time_of_the_answer() {
        let second = |second: i64| Timestamp::from_millis(second * 1_000);
        for (date, state, seen) in [
            (100, State::Ok, "the same as that of the memories.ai API, to the second"),
            (98, State::Ok, "1s ahead of that of the memories.ai API"),
            (104, State::Ok, "2s behind that of the memories.ai API"),
            (162, State::Ok, "1m behind that of the memories.ai API"),
            (163, State::Failed, "1m 1s behind that of the memories.ai API"),
            (-3_501, State::Failed, "1h ahead of that of the memories.ai API"),
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
