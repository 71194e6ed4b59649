//! The dispatcher: sends waiting tasks and posts, one request at a time, each written to disk before it is sent.
//!
//! At most one submit is on its way, so a crash leaves at most one unconfirmed task. Must never send a task again
//! whose last submit may have arrived.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::{Step, StepError, Wakes, Worker};
use crate::config::Live;
use crate::domain::destination::{Destination, FolderFields};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::pause::Pause;
use crate::domain::retry::{PROBE_MOST, SUBMIT_FIRST, SUBMIT_MOST, backoff};
use crate::domain::time::Timestamp;
use crate::domain::token::{Claims, TokenKeys, callback_url};
use crate::domain::url::Platform;
use crate::failpoint::FailPoint;
use crate::store::{
    FirstProbe, NewPause, NextRequest, NextTurn, Request, Search, Store, SubmitEnd, Turn, WriteError,
};
use crate::telemetry::{Span, SpanName, Traces};
use crate::upstream::wire::SubmitBody;
use crate::upstream::{Budget, Kind, LONGEST_WAIT, Refusal, SubmitAnswer, Upstream};

/// The time between two tries to record how a submit ended.
const REWRITE_AFTER: Duration = Duration::from_secs(1);
/// Upstream's codes for missing credits. For YouTube, they may mean only that platform's points.
const CREDITS_SHORT: [&str; 2] = ["0402", "http_402"];

/// The rest of a day's budget, or the time at which the next day begins.
type Left = Result<Option<usize>, Timestamp>;

/// Makes the callback URL of a task, or none without a public URL.
#[derive(Clone, Debug)]
pub struct CallbackUrls {
    public_url: Option<String>,
    tokens: Arc<Live<TokenKeys>>,
}

impl CallbackUrls {
    /// Creates URLs below `public_url` with these tokens.
    pub fn new(public_url: Option<&str>, tokens: Arc<Live<TokenKeys>>) -> Self {
        Self { public_url: public_url.map(str::to_owned), tokens }
    }

    fn of(&self, request: &Request) -> Option<String> {
        let claims = Claims {
            task: request.task,
            destination: Some(request.destination.hash()),
            quality: Some(request.quality),
        };
        Some(callback_url(self.public_url.as_ref()?, &self.tokens.get().issue(claims)?))
    }
}

/// The limits on sending.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// The request budget, which submits and polls share.
    pub requests: Arc<Budget>,
    /// The most URLs per UTC day. None if there is no limit.
    pub urls_per_day: Option<u64>,
}

/// The worker that sends tasks.
#[derive(Debug)]
pub struct Dispatcher {
    store: Store,
    upstream: Upstream,
    budgets: Budgets,
    callback_urls: CallbackUrls,
    stop: CancellationToken,
    /// The end of the day for which the log already reports that the budget is spent.
    told_until: Option<Timestamp>,
    /// The number of submits in a row that upstream has certainly not taken.
    deferred: u32,
    hold_until: Option<Instant>,
    aside: Aside<Turn>,
    traces: Traces,
}

impl Dispatcher {
    /// Creates a dispatcher that sends as much as the budgets allow, and waits for its turn until `stop`.
    pub fn new(
        store: Store,
        upstream: Upstream,
        budgets: Budgets,
        callback_urls: CallbackUrls,
        stop: CancellationToken,
    ) -> Self {
        Self {
            store,
            upstream,
            budgets,
            callback_urls,
            stop,
            told_until: None,
            deferred: 0,
            hold_until: None,
            aside: Aside::default(),
            traces: Traces::default(),
        }
    }

    /// Traces its submits here.
    #[must_use]
    pub fn traced_by(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// The number of URLs that the day's budget still allows, or none if there is no limit. If the budget is spent,
    /// the time at which the next one begins.
    async fn left_today(&mut self, now: Timestamp) -> Result<Left, StepError> {
        let Some(most) = self.budgets.urls_per_day else { return Ok(Ok(None)) };
        let sent = self.store.read().urls_sent_since(now.start_of_day()).await?;
        if sent < most {
            return Ok(Ok(Some(usize::try_from(most - sent).unwrap_or(usize::MAX))));
        }
        let tomorrow = now.next_day();
        if self.told_until != Some(tomorrow) {
            tracing::warn!(sent, most, %tomorrow, "dispatch.max_urls_per_day is spent, sending continues tomorrow");
            self.told_until = Some(tomorrow);
        }
        Ok(Err(tomorrow))
    }

    async fn send(&mut self, next: NextTurn, pauses: &[Pause], now: Timestamp) -> Result<Step, StepError> {
        let NextTurn { turn, is_probe, .. } = next;
        let started = Instant::now();
        let at = || now.after(started.elapsed());
        tokio::select! {
            () = self.budgets.requests.turn(Kind::Submit) => {}
            () = self.stop.cancelled() => return Ok(Step::Idle),
        }
        let left_today = match self.left_today(at()).await? {
            Ok(left_today) => left_today,
            Err(tomorrow) => return Ok(Step::WaitUntil(tomorrow)),
        };
        let made_at = at();
        // While sending is paused because of refusals, one post is tried. A refused task is tried whole.
        let left_today = if is_probe { Some(1) } else { left_today };
        let next = NextRequest::new(turn, made_at, left_today);
        let request = match self.store.form(next).await {
            Ok(request) => request,
            Err(error) if error.is_about_a_record() => {
                self.aside.put(turn, Instant::now());
                return Ok(Step::Worked);
            }
            Err(error) => return Err(error.into()),
        };
        self.aside.take_back(turn);
        let Some(task) = &request else { return Ok(Step::Worked) };
        FailPoint::SubmitBegun.pass();
        let FolderFields { unique_id, folder_id } = task.destination.fields();
        let body = SubmitBody {
            video_urls: task.urls.clone(),
            tiktok_post_urls: Vec::new(),
            unique_id: unique_id.map(str::to_owned),
            folder_id,
            callback_url: self.callback_urls.of(task),
            quality: Some(task.quality.to_string()),
        };
        let (began, asked) = (at(), Instant::now());
        let answer = self.upstream.submit(&body, task.destination == Destination::Public).await;
        FailPoint::SubmitAnswered.pass();
        self.traces.record(Span {
            task: task.task,
            name: SpanName::Submit,
            began,
            took: asked.elapsed(),
            attributes: vec![
                ("scrapehook.outcome", answer.word().to_owned()),
                ("scrapehook.urls", task.urls.len().to_string()),
            ],
            has_failed: !matches!(answer, SubmitAnswer::Accepted(_)),
        });
        self.write_down(task, answer, pauses, at()).await
    }

    async fn write_down(
        &mut self,
        task: &Request,
        answer: SubmitAnswer,
        pauses: &[Pause],
        at: Timestamp,
    ) -> Result<Step, StepError> {
        if !matches!(answer, SubmitAnswer::Retry(..)) {
            self.deferred = 0;
            self.hold_until = None;
        }
        match answer {
            SubmitAnswer::Accepted(upstream_id) => {
                self.budgets.requests.went_well();
                self.end(task.task, at, SubmitEnd::Accepted(upstream_id.clone())).await?;
                tracing::info!(task = %task.task, upstream_id, urls = task.urls.len(), "submitted");
                self.resume(pauses, at, |pause| concerns(pause, task)).await?;
            }
            SubmitAnswer::Final(refusal) => {
                self.refused(task, refusal, pauses, at).await?;
            }
            SubmitAnswer::Retry(refusal, retry_after) => {
                self.deferred = self.deferred.saturating_add(1);
                let wait =
                    backoff(self.deferred, SUBMIT_FIRST, SUBMIT_MOST).max(retry_after.unwrap_or_default());
                tracing::warn!(
                    task = %task.task, code = refusal.code, reason = refusal.message, ?wait,
                    "submit not accepted"
                );
                if refusal.is_too_fast() {
                    self.budgets.requests.too_fast(retry_after);
                }
                self.hold_until = Some(Instant::now() + wait);
                self.end(task.task, at, SubmitEnd::Deferred(failure(refusal), wait)).await?;
            }
            SubmitAnswer::Account(refusal) => {
                self.refused_for_account(task, refusal, at).await?;
            }
            SubmitAnswer::Unknown(refusal) => {
                tracing::error!(
                    task = %task.task, code = refusal.code, reason = refusal.message, urls = task.urls.len(),
                    "no usable answer to this submit, it may have been charged and is not sent again"
                );
                let said = refusal.message.trim_end_matches('.');
                let message = format!("{said}. memories.ai may have charged for it");
                self.end(task.task, at, SubmitEnd::Unknown(Failure::new(refusal.code, message))).await?;
            }
        }
        Ok(Step::Worked)
    }

    /// Handles a final refusal of the request.
    async fn refused(
        &mut self,
        task: &Request,
        refusal: Refusal,
        pauses: &[Pause],
        at: Timestamp,
    ) -> Result<(), StepError> {
        tracing::warn!(task = %task.task, code = refusal.code, reason = refusal.message, "submit refused");
        self.budgets.requests.went_well();
        self.end(task.task, at, SubmitEnd::refused(failure(refusal), at)).await?;
        // Upstream answers again. Whether the account is in order is still unknown.
        self.resume(pauses, at, |pause| pause.code == Pause::UNCONFIRMED).await?;
        // The store has already moved the probes of pauses for refusals.
        let is_of_account = |pause: &&Pause| {
            pause.code != Pause::UNCONFIRMED && !pause.is_for_refusals() && concerns(pause, task)
        };
        for pause in pauses.iter().filter(is_of_account) {
            let failure = Failure::new(pause.code.clone(), pause.message.clone());
            self.pause(&pause.scope, failure, at).await?;
        }
        Ok(())
    }

    /// Handles a refusal because of the account.
    async fn refused_for_account(
        &mut self,
        task: &Request,
        refusal: Refusal,
        at: Timestamp,
    ) -> Result<(), StepError> {
        let is_points =
            CREDITS_SHORT.contains(&refusal.code.as_str()) && task.platform.as_str() == Platform::YOUTUBE;
        let scope = if is_points { Platform::YOUTUBE } else { Pause::ALL };
        tracing::error!(
            scope,
            code = refusal.code,
            reason = refusal.message,
            "submit refused because of the account"
        );
        let failure = failure(refusal);
        self.end(task.task, at, SubmitEnd::Deferred(failure.clone(), Duration::ZERO)).await?;
        self.pause(scope, failure, at).await?;
        Ok(())
    }

    /// Records how a submit ended. The answer must not be lost, so this is repeated until it is on disk or the
    /// service stops.
    async fn end(&self, task: TaskId, at: Timestamp, end: SubmitEnd) -> Result<(), WriteError> {
        loop {
            match self.store.end_submit(task, at, end.clone()).await {
                Err(WriteError::Failed(_) | WriteError::Busy) if !self.stop.is_cancelled() => {
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(REWRITE_AFTER) => {}
                    }
                }
                result => {
                    FailPoint::SubmitEnded.pass();
                    return result;
                }
            }
        }
    }

    async fn pause(&self, scope: &str, failure: Failure, at: Timestamp) -> Result<(), WriteError> {
        let pause = NewPause { scope: scope.to_owned(), failure, first_probe: FirstProbe::Later };
        self.store.pause(pause, Source::Submit, at).await
    }

    async fn resume(
        &self,
        pauses: &[Pause],
        at: Timestamp,
        which: impl Fn(&Pause) -> bool,
    ) -> Result<(), WriteError> {
        for pause in pauses.iter().filter(|pause| which(pause)) {
            tracing::info!(scope = pause.scope, "sending continues");
            self.store.resume(pause.scope.clone(), Source::Submit, at).await?;
        }
        Ok(())
    }
}

fn concerns(pause: &Pause, task: &Request) -> bool {
    let line = Pause::line(&pause.scope);
    pause.scope == Pause::ALL
        || pause.scope == task.platform.as_str()
        || (line.is_some() && line == task.line)
}

fn failure(refusal: Refusal) -> Failure {
    Failure::new(refusal.code, refusal.message)
}

impl Worker for Dispatcher {
    const WAKES: Wakes = Wakes::QueueChanges;

    /// Sends the request whose turn it is, unless sending is paused or held. A paused account is probed with one
    /// request.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let hold = self.hold_until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(hold) = hold.filter(|hold| !hold.is_zero()) {
            return Ok(Step::WaitUntil(now.after(hold)));
        }
        let pauses = self.store.read().pauses().await?;
        if pauses.iter().any(|pause| matches!(&*pause.scope, Pause::OPERATOR | Pause::RESTORED)) {
            return Ok(Step::Idle);
        }
        let is_kept = |probe_at: &Timestamp| *probe_at > now && *probe_at <= now.after(PROBE_MOST);
        let paused: Vec<(&Pause, Timestamp)> =
            pauses.iter().filter_map(|pause| Some((pause, pause.probe_at.filter(is_kept)?))).collect();
        if let Some((_, probe_at)) = paused.iter().find(|(pause, _)| pause.scope == Pause::ALL) {
            return Ok(Step::WaitUntil(*probe_at));
        }
        let is_tried = |pause: &&Pause| {
            !Pause::stops_all(&pause.scope)
                && pause.scope != Pause::REPEATS
                && !pause.probe_at.is_some_and(|at| is_kept(&at))
        };
        let probes = pauses.iter().filter(is_tried).map(|pause| pause.scope.clone()).collect();
        let first_probe = paused.iter().map(|(_, probe_at)| *probe_at).min();
        let aside = self.aside.those_that_wait(Instant::now());
        let after_refusals = pauses.iter().any(|pause| pause.scope == Pause::ALL && pause.is_for_refusals());
        let search = Search { aside, probes, after_refusals };
        match self.store.read().next_turn(&search, now, LONGEST_WAIT).await? {
            Some(next) if next.due <= now => match self.left_today(now).await? {
                Ok(_) => self.send(next, &pauses, now).await,
                Err(tomorrow) => Ok(Step::WaitUntil(tomorrow)),
            },
            Some(next) => Ok(Step::WaitUntil(first_probe.map_or(next.due, |probe| probe.min(next.due)))),
            None => Ok(first_probe.map_or(Step::Idle, Step::WaitUntil)),
        }
    }
}
