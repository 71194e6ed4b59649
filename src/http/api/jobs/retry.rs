//! `POST /v1/jobs/{id}/retry`: another attempt for the failed URLs of a job.
//!
//! Must never decide which URLs these are. The store decides, and this file reads the request and explains why nothing
//! changed.

use std::collections::BTreeSet;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock;
use crate::domain::job::Job;
use crate::domain::nearest::unknown;
use crate::http::api::jobs::{JobPath, parse_id, read_job};
use crate::http::context::Context;
use crate::http::edge::auth::Caller;
use crate::http::edge::body::{self, Kind, escape};
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::http::edge::query::{NoParams, Params};
use crate::store::JobRetried;

/// The most bytes of the body. All existing codes fit several times.
const BODY: usize = 256 * 1024;
/// The most characters of a text that an error quotes.
const QUOTED_CHARS: usize = 64;
/// The codes that scrapehook gives to URLs. All others come from upstream.
const OWN_CODES: [&str; 7] =
    ["video_failed", "task_failed", "canceled", "no_video", "unattributed", "stalled", "unconfirmed"];

/// Selects the URLs to retry.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct JobRetryRequest {
    /// Only URLs that failed with one of these codes. Default: all failed URLs except canceled ones.
    #[schema(min_items = 1, example = json!(["stalled", "no_video"]))]
    codes: Option<Vec<UrlCode>>,
}

/// The `error.code` of a URL: `video_failed`, `task_failed`, `canceled`, `no_video`, `unattributed`, `stalled`,
/// `unconfirmed`, or a code of the memories.ai API.
#[derive(ToSchema)]
#[schema(
    pattern = "^(video_failed|task_failed|canceled|no_video|unattributed|stalled|unconfirmed|[0-9]{4}|http_[0-9]{3})$"
)]
#[expect(dead_code, reason = "the same")]
struct UrlCode(String);

/// Retries the failed URLs of a job.
///
/// scrapehook looks up each of them as if the job had just arrived. A URL that is indexed by now becomes `known`. A URL
/// that is queued or on its way in another job is shared. The rest is sent and charged again. A URL whose submit was
/// not answered (`unconfirmed`) may be paid for twice. Canceled URLs are included only if `codes` names `canceled`.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    tag = "jobs",
    params(JobPath),
    request_body = Option<JobRetryRequest>,
    responses(
        (status = 202, description = "The job. At least one of its URLs has changed.", body = Job),
        (
            status = 409,
            description = "No URL has changed. `detail` has the numbers of URLs that are known, on their way or in the \
                queue.",
        ),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
    ),
)]
pub(in crate::http) async fn retry_job(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let is_json = Kind::of(request.headers()) == Some(Kind::Json);
    let body = body::read_whole(request, BODY, context.limits.body_timeout).await?;
    let codes = read_codes(&body, is_json)?;
    if context.store.read().job(id).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    let has_codes = codes.is_some();
    let retried = context.store.retry_job(id, codes, caller.name, clock::now()).await?;
    if let JobRetried::Nothing { known, on_their_way, waiting, failed } = retried {
        let numbers = format!(
            "No URL of this job has changed: {known} indexed or known, {on_their_way} on their way, {waiting} in the \
             queue, {failed} failed."
        );
        let advice = unchanged(on_their_way + waiting > 0, failed > 0, has_codes);
        return Err(Problem::new(Code::WrongState, format!("{numbers} {advice}")));
    }
    let job = read_job(&context, id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)).into_response())
}

/// Advice for a job whose retry changes nothing.
const fn unchanged(is_running: bool, has_failed: bool, has_codes: bool) -> &'static str {
    match (has_codes, has_failed, is_running) {
        (true, true, _) => {
            "None has failed with these codes. GET /v1/jobs/{id}/urls?state=failed lists the codes of its failed URLs."
        }
        (false, true, _) => {
            "Those that failed were canceled. They are retried if `codes` (`--code`) names `canceled`."
        }
        (_, false, true) => "Wait until they have ended.",
        (_, false, false) => "To send indexed URLs again, submit a job with `force`.",
    }
}

/// The codes in a body, without duplicates. Returns none if it has none. An empty body counts as one without fields.
fn read_codes(bytes: &[u8], is_json: bool) -> Result<Option<Vec<String>>, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    if !is_json {
        return Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json."));
    }
    let mut faults = Faults::default();
    let fields = match body::parse_json(bytes)? {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => {
            faults.push("", "must be an object");
            return Err(Problem::faults(faults));
        }
    };
    for name in fields.keys().filter(|name| *name != "codes") {
        faults.push(format_args!("/{}", escape(name)), unknown("unknown field", name, ["codes"]));
    }
    body::repeated(bytes, "").iter().for_each(|pointer| faults.push(pointer, "is given more than once"));
    let codes = match fields.get("codes") {
        None | Some(Value::Null) => None,
        Some(Value::Array(codes)) => Some(check_codes(codes, &mut faults)),
        Some(_) => {
            faults.push("/codes", "must be a list of codes");
            None
        }
    };
    if faults.is_empty() { Ok(codes) } else { Err(Problem::faults(faults)) }
}

fn check_codes(codes: &[Value], faults: &mut Faults) -> Vec<String> {
    if codes.is_empty() {
        faults.push("/codes", "must name at least one code. Leave it out to retry all failed URLs");
    }
    let mut known = BTreeSet::new();
    for (place, code) in codes.iter().enumerate() {
        match code.as_str() {
            Some(code) if exists(code) => drop(known.insert(code.to_owned())),
            Some(code) => {
                let code: String = code.chars().take(QUOTED_CHARS).collect();
                faults.push(
                    format_args!("/codes/{place}"),
                    unknown(&format!("unknown code {code:?}"), &code, OWN_CODES.iter().copied()),
                );
            }
            None => faults.push(format_args!("/codes/{place}"), "must be a string"),
        }
    }
    known.into_iter().collect()
}

/// Whether a URL can fail with this code. Upstream's codes have four digits. Without one, the HTTP status is the code.
fn exists(code: &str) -> bool {
    let are_digits =
        |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    OWN_CODES.contains(&code)
        || are_digits(code, 4)
        || code.strip_prefix("http_").is_some_and(|status| are_digits(status, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Option<Vec<String>>, String> {
        read_codes(body.as_bytes(), true).map_err(|problem| problem.word().to_owned())
    }

    fn names(codes: &[&str]) -> Result<Option<Vec<String>>, String> {
        Ok(Some(codes.iter().map(|code| (*code).to_owned()).collect()))
    }

    #[test]
    fn codes_are_read_once_each() {
        for none in ["", " \n", "null", "{}", r#"{"codes":null}"#] {
            assert_eq!(read(none), Ok(None), "{none:?}");
        }
        assert_eq!(
            read(r#"{"codes":["stalled","0003","http_503","stalled"]}"#),
            names(&["0003", "http_503", "stalled"])
        );
        for code in OWN_CODES {
            assert_eq!(read(&format!(r#"{{"codes":["{code}"]}}"#)), names(&[code]));
        }
    }

    #[test]
    fn only_codes_of_urls_exist() {
        for code in [
            "",
            "000",
            "00003",
            "000a",
            "http_",
            "http_50",
            "http_5031",
            "Stalled",
            " stalled",
            "no_answer",
            "٠٠٠٣",
        ] {
            assert!(!exists(code), "{code}");
        }
    }

    #[test]
    fn a_retry_that_changes_nothing_says_what_to_do() {
        for (is_running, has_failed, has_codes, advice) in [
            (false, false, false, "`force`"),
            (true, false, false, "Wait"),
            (true, false, true, "Wait"),
            (true, true, false, "`canceled`"),
            (true, true, true, "state=failed"),
        ] {
            assert!(unchanged(is_running, has_failed, has_codes).contains(advice), "{advice}");
        }
    }
}
