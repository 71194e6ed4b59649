//! `PATCH /v1/jobs/{id}`: changes the priority or the labels of a job.
//!
//! Must never decide which URLs get a priority. The store decides, and this file reads the request and explains why
//! nothing changed.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Request, State};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};

use crate::clock;
use crate::domain::job::Job;
use crate::domain::nearest::unknown;
use crate::domain::queue::Priority;
use crate::http::api::jobs::settings::{LABELS, TEXT_CHARS, read_labels, read_priority};
use crate::http::api::jobs::{JobPath, parse_id, read_job};
use crate::http::context::Context;
use crate::http::edge::body::{self, escape};
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::http::edge::query::{NoParams, Params};
use crate::store::{JobPatch, JobPatched};

/// The most bytes of the body. The longest labels fit, even if each character is escaped.
const BODY: usize = 256 * 1024;

/// Changes to a job. At least one field is needed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct JobPatchRequest {
    /// New urgency of the waiting URLs among the jobs of the same API key.
    #[schema(required = false)]
    priority: Priority,
    #[schema(required = false, schema_with = labels_schema)]
    labels: BTreeMap<String, String>,
}

fn labels_schema() -> Schema {
    let text = |pattern| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let (key, value) = (text(r"^[^:\x00]+$").min_length(Some(1)), text(r"^[^\x00]*$"));
    ObjectBuilder::new()
        .max_properties(Some(LABELS))
        .property_names(Some(key.max_length(Some(TEXT_CHARS)).build()))
        .additional_properties(Some(AdditionalProperties::from(value.max_length(Some(TEXT_CHARS)))))
        .description(Some("All labels of the job from now on. They replace the old ones."))
        .into()
}

/// Changes the priority or the labels of a job.
///
/// The waiting URLs of the job get the priority at once. URLs that were sent are not affected. `labels` replaces all
/// labels of the job, even after its end. A change makes no event.
#[utoipa::path(
    patch,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(JobPath),
    request_body = JobPatchRequest,
    responses(
        (status = 200, description = "The job as it is now.", body = Job),
        (
            status = 409,
            description = "The request has a priority, but no URL of the job waits to be sent. Nothing was changed. \
                `detail` has the numbers of URLs that are known, on their way, failed or canceled.",
        ),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
    ),
)]
pub(in crate::http) async fn patch_job(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Json<Job>, Problem> {
    let id = parse_id(&id)?;
    let body = body::read_json(request, BODY, context.limits.body_timeout).await?;
    match context.store.patch_job(id, read_patch(&body)?, clock::now()).await? {
        JobPatched::Done => {}
        JobPatched::NoJob => return Err(Problem::not_found("job")),
        JobPatched::NothingWaits { known, on_their_way, failed, canceled } => {
            let numbers = format!(
                "No URL of this job waits to be sent: {known} indexed or known, {on_their_way} on their way, {failed} \
                 failed, {canceled} canceled."
            );
            let advice = advice(on_their_way > 0, failed > 0, canceled > 0);
            return Err(Problem::new(Code::WrongState, format!("{numbers} {advice}")));
        }
    }
    read_job(&context, id).await.map(Json)
}

/// Advice for a job without waiting URLs.
const fn advice(is_running: bool, has_failed: bool, has_canceled: bool) -> &'static str {
    match (has_failed, has_canceled, is_running) {
        (true, ..) => "Retry its failed URLs first.",
        (false, true, _) => "Retry its canceled URLs first: `codes` (`--code`) must name `canceled`.",
        (false, false, true) => "URLs that were sent cannot be sent sooner.",
        (false, false, false) => "To send indexed URLs again, submit a job with `force` and this priority.",
    }
}

/// Reads a body.
fn read_patch(bytes: &[u8]) -> Result<JobPatch, Problem> {
    let mut faults = Faults::default();
    let Value::Object(fields) = body::parse_json(bytes)? else {
        faults.push("", "an object is expected");
        return Err(Problem::faults(faults));
    };
    body::repeated(bytes, "labels")
        .iter()
        .for_each(|pointer| faults.push(pointer, "is given more than once"));
    if fields.is_empty() {
        faults.push("", "`priority` or `labels` is expected");
    }
    let mut patch = JobPatch::default();
    for (name, value) in fields {
        match name.as_str() {
            "priority" => patch.priority = read_priority(&value, &mut faults),
            "labels" => patch.labels = Some(read_labels(value, &mut faults)),
            _ => {
                let said = unknown("unknown field", &name, ["priority", "labels"]);
                faults.push(format_args!("/{}", escape(&name)), said);
            }
        }
    }
    if faults.is_empty() { Ok(patch) } else { Err(Problem::faults(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_what_is_given_and_nothing_else() {
        let read = |body: &str| read_patch(body.as_bytes()).map_err(|problem| problem.word());
        let labels = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let (priority, none) = (Some(Priority::High), None);
        assert_eq!(read(r#"{"priority":"high"}"#), Ok(JobPatch { priority, labels: none.clone() }));
        assert_eq!(read(r#"{"labels":{}}"#), Ok(JobPatch { priority: None, labels: labels(&[]) }));
        let both = read(r#"{"labels":{"a":"b","":""},"priority":"high"}"#);
        assert_eq!(both, Err("invalid"));
        let both = read(r#"{"labels":{"a":"b"},"priority":"high"}"#);
        assert_eq!(both, Ok(JobPatch { priority, labels: labels(&[("a", "b")]) }));
        assert_eq!(read(""), Err("bad_json"));
        for nothing in ["{}", "null", "[]", r#"{"priority":null}"#, r#"{"labels":null}"#] {
            assert_eq!(read(nothing), Err("invalid"), "{nothing}");
        }
    }

    #[test]
    fn a_job_of_which_nothing_waits_is_told_with_advice() {
        for (is_running, has_failed, has_canceled, said) in [
            (false, false, false, "`force`"),
            (true, false, false, "sooner"),
            (true, true, true, "Retry its failed"),
            (false, true, false, "Retry its failed"),
            (true, false, true, "`--code`"),
        ] {
            assert!(advice(is_running, has_failed, has_canceled).contains(said), "{said}");
        }
    }
}
