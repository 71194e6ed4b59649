//! The rules that find problems, each with its text. Must never do IO.

use std::time::Duration;

use super::observed::{DayBudget, Observed, Unproven};
use crate::callback_check::CheckState;
use crate::domain::pause::Pause;
use crate::domain::problem::Problem;
use crate::domain::refusal::UNCLEAR;
use crate::domain::time::Timestamp;
use crate::store::{DisabledSubscriber, FailureKind, LITTLE_ROOM, LastBackup, Overview, WriteError};
use crate::upstream::Refusal;

/// Callbacks of the fastest platform come within a minute, so this long without any is a sign of a problem.
const NO_CALLBACK_FOR: Duration = Duration::from_secs(15 * 60);

const UPSTREAM_UNANSWERED: &str = "upstream_unanswered";
const CALLBACKS_UNREACHABLE: &str = "callbacks_unreachable";
const BACKUP_FAILED: &str = "backup_failed";

/// The problems, always in the same order.
pub fn find(observed: &Observed) -> Vec<Problem> {
    let Observed { now, overview, .. } = observed;
    // If no URL waits, no try can end such a pause, and nobody misses anything.
    let is_felt = |pause: &&Pause| overview.waiting > 0 || !pause.is_for_refusals();
    let mut problems: Vec<Problem> =
        observed.pauses.iter().filter(is_felt).map(|pause| paused(pause, *now)).collect();
    problems.extend(observed.unlisted.and_then(|unlisted| restored(overview.waiting, unlisted)));
    problems.extend(observed.day_budget.and_then(|budget| spent(budget, overview.waiting, *now)));
    problems.extend(observed.unproven.map(not_writable));
    problems.extend(observed.outage.as_ref().map(|(lasts, instead)| unanswered(*lasts, instead, *now)));
    problems.extend(observed.free_room.and_then(room));
    problems.extend(backup(&observed.last_backup));
    problems.extend(of_tasks(overview));
    problems.extend(unreachable(observed));
    problems.extend(without_callbacks(observed));
    problems.extend(observed.disabled.iter().map(disabled));
    problems
}

/// Whether it is unknown if a problem with this code has ended. After a start, nobody knows how the last request, the
/// last callback check and the last backup went, until there was another one.
pub fn is_unclear(observed: &Observed, code: &str) -> bool {
    match code {
        UPSTREAM_UNANSWERED => !observed.was_answered,
        CALLBACKS_UNREACHABLE => {
            observed.has_callbacks && observed.callback_check.state == CheckState::NotChecked
        }
        BACKUP_FAILED => observed
            .backup_every
            .is_some_and(|every| observed.last_backup.at.is_none_or(|at| observed.now.since(at) >= every)),
        _ => false,
    }
}

fn paused(pause: &Pause, now: Timestamp) -> Problem {
    let action = match (pause.scope.as_str(), pause.code.as_str()) {
        (Pause::OPERATOR, _) => "Run `scrapehook resume` to continue sending.",
        (Pause::RESTORED, _) => {
            "The waiting URLs may have been sent after the backup was taken, and would then be charged again. Compare \
             them with your memories.ai account, `scrapehook cancel` the jobs whose URLs were sent, then run \
             `scrapehook resume`."
        }
        (Pause::REPEATS, _) => {
            "Compare your memories.ai account with `scrapehook tasks --state queued`, and cancel the tasks that the \
             API took. `scrapehook resume` sends each of the others once, and each refusal may be charged as well."
        }
        (Pause::ALL, UNCLEAR) => {
            "If the memories.ai API is in trouble, wait. scrapehook tries one URL at a time, and continues with the \
             refused requests after the first success."
        }
        (scope, _) if Pause::line(scope).is_some() => {
            "Check that the folder can take videos. scrapehook tries one URL at a time, and sends the rest after the \
             first success. `scrapehook resume` tries all of it now."
        }
        (_, Pause::UNCONFIRMED) => {
            "Check whether the memories.ai API works. scrapehook tries one task at a time. `scrapehook resume` sends \
             at once, and each further lost answer may be charged."
        }
        (_, "0402" | "http_402") => {
            "Top up the account. scrapehook tries one task from time to time, and `scrapehook resume` sends at once."
        }
        _ => {
            "Fix the account or its key (upstream.api_key). scrapehook tries one task from time to time, and \
             `scrapehook resume` sends at once."
        }
    };
    let reason = pause.reason();
    let reason = match pause.scope.as_str() {
        // With the name of the operator, as in "paused by me".
        Pause::OPERATOR => format!("Sending is {reason}"),
        _ => format!("Sending is paused: {}", reason.trim_end_matches('.')),
    };
    let next = pause.probe_at.filter(|at| *at > now).map(|at| format!(" The next try is at {at}."));
    Problem {
        code: "sending_paused",
        // The same scope can be paused again for another reason, and that is another problem.
        scope: Some(format!("{} {}", pause.scope, pause.code)),
        since: Some(pause.since),
        detail: format!("{reason}.{}", next.unwrap_or_default()),
        action,
    }
}

/// The day's budget is spent, and URLs wait.
fn spent(DayBudget { sent, most }: DayBudget, waiting: i64, now: Timestamp) -> Option<Problem> {
    (sent >= most).then(|| Problem {
        code: "budget_spent",
        scope: None,
        since: None,
        detail: format!(
            "dispatch.max_urls_per_day is spent: {sent} of {most} URLs were sent today, and {waiting} wait until {}.",
            now.next_day()
        ),
        action: "Sending continues automatically then. To send more today, raise dispatch.max_urls_per_day and \
                 restart.",
    })
}

/// The possible cost of a resume after a restore. None if no URL waits.
fn restored(waiting: i64, unlisted: i64) -> Option<Problem> {
    (waiting > 0).then(|| Problem {
        code: "may_be_charged_again",
        scope: None,
        since: None,
        detail: format!(
            "URLs that wait and may be charged again: {waiting}. Tasks that came back and have not listed all of \
             their URLs yet: {unlisted}."
        ),
        action: "Wait until the tasks have listed their URLs, which then leave the queue. Cancel the jobs whose URLs \
                 were sent after the backup, then run `scrapehook resume`.",
    })
}

fn unanswered(lasts: Duration, instead: &Refusal, now: Timestamp) -> Problem {
    Problem {
        code: UPSTREAM_UNANSWERED,
        scope: None,
        since: Some(now.before(lasts)),
        detail: format!("The memories.ai API gives no usable answer: {}: {}.", instead.code, instead.message),
        action: "Check whether the memories.ai API works. `scrapehook doctor` checks the connection to it. The next \
                 submit or poll asks again, and nothing is lost.",
    }
}

fn not_writable(unproven: Unproven) -> Problem {
    let action = match unproven.error {
        WriteError::Failed(FailureKind::Full) => {
            "Free space on the database's disk. The service then recovers automatically."
        }
        WriteError::Failed(FailureKind::ReadOnly) => {
            "Give this user write access to the database and its folder, or find out why the system made the disk \
             read-only."
        }
        WriteError::Failed(FailureKind::Disk) => {
            "Check the disk, its quota and the limit on file sizes. The log names the failed operation."
        }
        WriteError::Failed(FailureKind::Locked) => "Close any other program that has the database open.",
        WriteError::Failed(FailureKind::Damaged) => {
            "Stop the service, and restore the newest backup with `scrapehook restore`."
        }
        WriteError::Failed(FailureKind::Gone) => "Put the file back, and start the service again.",
        WriteError::Failed(FailureKind::Record | FailureKind::Other) => "Find the reason in the log.",
        WriteError::Busy => "This usually passes. If it does not, check the disk.",
        WriteError::Stopped => "If you did not stop the service, start it again.",
    };
    Problem {
        code: "not_writable",
        scope: None,
        since: Some(unproven.since),
        detail: format!(
            "The database cannot be written: {}. The service answers callbacks with 503 and sends nothing.",
            unproven.error
        ),
        action,
    }
}

fn disabled(subscriber: &DisabledSubscriber) -> Problem {
    let DisabledSubscriber { id, name, disabled_at, disabled_seq, disabled_reason } = subscriber;
    Problem {
        code: "subscriber_disabled",
        scope: Some(id.clone()),
        since: Some(Timestamp::from_millis(*disabled_at)),
        detail: format!(
            "The subscriber {name} receives no webhooks: {disabled_reason}. It misses the events from {disabled_seq} \
             on."
        ),
        action: "Mend the receiver, then run `scrapehook subscribers set SUBSCRIBER --enabled true`. `scrapehook \
                 subscribers replay SUBSCRIBER --from SEQ` sends what it has missed, and without `--from` what was \
                 given up.",
    }
}

/// "1 task", "2 tasks".
fn counted(count: i64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn of_tasks(overview: &Overview) -> impl Iterator<Item = Problem> {
    let unconfirmed = overview.unconfirmed.map(|tasks| Problem {
        code: "unconfirmed",
        scope: None,
        since: Some(tasks.since),
        detail: format!(
            "The memories.ai API did not answer the submit of {}. It may have charged for them, so scrapehook does \
             not send them again automatically.",
            counted(tasks.count, "task")
        ),
        action: "Wait first, because a callback usually confirms them within minutes. After that, look for the tasks \
                 of `scrapehook tasks --state unconfirmed` in your memories.ai account. Run `scrapehook adopt TASK \
                 UPSTREAM_ID` for each that is there, `retry TASK` for each that is not, and `cancel TASK` for each \
                 that nobody wants any more.",
    });
    let stalled = overview.stalled.map(|tasks| Problem {
        code: "stalled",
        scope: None,
        since: Some(tasks.since),
        detail: format!("{} had no news for reconcile.deadline.", counted(tasks.count, "task")),
        action: "Run `scrapehook refresh` to ask once more. `scrapehook retry` sends the URLs that are not indexed \
                 again, and is charged.",
    });
    let hints = overview.hints.map(|hints| Problem {
        code: "quarantined",
        scope: None,
        since: Some(hints.since),
        detail: format!("{} without a good token, kept as hints.", counted(hints.count, "callback")),
        action: "GET /v1/quarantine shows them. If they are from memories.ai, compare the account's own callback URL \
                 with server.public_url, and callback.secret with its earlier value. Otherwise ignore them.",
    });
    [unconfirmed, stalled, hints].into_iter().flatten()
}

/// The public URL leads elsewhere, or nowhere. A callback that still came proves the check wrong, because the view from
/// inside is not always that of senders.
fn unreachable(observed: &Observed) -> Option<Problem> {
    let Observed { callback_check: check, overview, .. } = observed;
    let is_refuted = overview.last_callback_at.zip(check.since).is_some_and(|(came, since)| came >= since);
    (check.state == CheckState::Failed && !is_refuted).then(|| Problem {
        code: CALLBACKS_UNREACHABLE,
        scope: None,
        since: check.since,
        detail: format!("Callbacks will not arrive: {}.", check.detail),
        action: check.action,
    })
}

/// No callback came for accepted tasks, so the way for callbacks may be closed.
fn without_callbacks(observed: &Observed) -> Option<Problem> {
    let is_long = |since| observed.has_callbacks && observed.now.since(since) >= NO_CALLBACK_FOR;
    let silent = observed.overview.silent.filter(|silent| is_long(silent.since))?;
    Some(Problem {
        code: "silence",
        scope: None,
        since: Some(silent.since),
        detail: format!("{} accepted since then, but no callback came.", counted(silent.count, "task")),
        action: "Check that server.public_url reaches this service from outside. `scrapehook doctor` checks it from \
                 inside. Polls bring the results meanwhile.",
    })
}

fn backup(last: &LastBackup) -> Option<Problem> {
    let (_, words) = last.failure.as_ref()?;
    Some(Problem {
        code: BACKUP_FAILED,
        scope: None,
        // The time of the last good copy.
        since: last.at,
        detail: format!("The database could not be copied: {words}."),
        action: "Make backup.folder writable, or make room in it. scrapehook tries again every five minutes.",
    })
}

fn room(free: u64) -> Option<Problem> {
    (free < LITTLE_ROOM).then(|| Problem {
        code: "disk",
        scope: None,
        since: None,
        detail: format!("Only {} MiB are free on the database's disk.", free / (1024 * 1024)),
        action: "Free space on it. On a full disk, the service answers callbacks with 503 and sends nothing.",
    })
}
