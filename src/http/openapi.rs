//! The API's description, generated from the handlers, and the page that shows it.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa::{OpenApi, ToSchema};

use crate::http::context::Context;
use crate::http::drop_in::envelope;
use crate::http::edge::auth::SESSION;
use crate::http::edge::problem::ProblemBody;

/// The parts of the document that are not operations.
#[derive(OpenApi)]
#[openapi(
    info(
        description = "scrapehook submits scrape jobs to the memories.ai API, receives its callbacks, and reports the \
            state of each job, task and video."
    ),
    components(schemas(ProblemBody)),
    paths(crate::http::callback::receive_callback, crate::http::callback::receive_hint)
)]
pub(super) struct Described;

const PROBLEM: &str = "application/problem+json";
const KEY: &str = "api_key";
/// The same keys as clients of upstream send them.
const BARE_KEY: &str = "bare_api_key";

/// Answers of every operation.
const ALWAYS: [(&str, &str); 2] = [
    ("500", "An internal error occurred. The log has details."),
    ("503", "The database cannot be used, or the service is stopping."),
];
/// Answers of operations that need a key.
const KEYED: [(&str, &str); 3] = [
    ("400", "The request is malformed, or a query parameter or cursor is invalid."),
    ("401", "The API key is missing or unknown."),
    ("403", "The API key is read-only, or no keys are set and the request does not come from this machine."),
];
/// Answers of operations that may have a request body.
const WITH_BODY: [(&str, &str); 4] = [
    ("408", "The request body arrived too late."),
    ("413", "The request body is too large."),
    ("415", "The request body is compressed, or is not in UTF-8."),
    ("422", "The request body is invalid."),
];

/// Examples of requests and answers, by the names of their schemas. docs/api.md shows the same ones.
const EXAMPLES: [(&str, &str); 9] = [
    ("JobRequest", include_str!("../../docs/examples/job_request.json")),
    ("Job", include_str!("../../docs/examples/job.json")),
    ("JobPlan", include_str!("../../docs/examples/plan.json")),
    ("Task", include_str!("../../docs/examples/task.json")),
    ("Video", include_str!("../../docs/examples/video.json")),
    ("Event", include_str!("../../docs/examples/event.json")),
    ("QueueStatus", include_str!("../../docs/examples/queue.json")),
    ("Status", include_str!("../../docs/examples/status.json")),
    ("ProblemBody", include_str!("../../docs/examples/problem.json")),
];

/// Request bodies. Unknown fields in them are errors.
const REQUESTS: [&str; 8] = [
    "JobRequest",
    "AdoptRequest",
    "JobRetryRequest",
    "JobPatchRequest",
    "NewSubscriber",
    "SubscriberPatch",
    "ReplayRequest",
    "SignIn",
];
/// The beginning of the names of answers below `/serve`.
const ENVELOPE: &str = "Envelope_";
/// The request bodies that need at least one field.
const NOT_EMPTY: [&str; 2] = ["JobPatchRequest", "SubscriberPatch"];

/// Adds the answers that operations have in common, and the schema of their problems.
pub(super) fn complete(mut document: openapi::OpenApi) -> openapi::OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(KEY.to_owned(), SecurityScheme::Http(scheme).into());
    let bare = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Authorization")));
    components.security_schemes.insert(BARE_KEY.to_owned(), bare.into());
    for (name, schema) in &mut components.schemas {
        let RefOr::T(openapi::Schema::Object(object)) = schema else { continue };
        if REQUESTS.contains(&name.as_str()) {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
        if NOT_EMPTY.contains(&name.as_str()) {
            object.min_properties = Some(1);
        }
        if name.starts_with(ENVELOPE)
            && let Some(RefOr::T(openapi::Schema::Object(data))) = object.properties.get_mut("data")
        {
            // The derived schema of a generic field does not say so.
            data.schema_type = SchemaType::from_iter([Type::Object, Type::Null]);
        }
        if let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| of == name) {
            object.examples = serde_json::from_str(example).into_iter().collect();
        }
    }
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (&mut item.get, false, false),
            (&mut item.post, true, false),
            (&mut item.patch, true, false),
            (&mut item.delete, true, true),
        ];
        for (operation, may_have_body, is_delete) in operations {
            let Some(operation) = operation else { continue };
            if envelope::is_used_at(path) {
                complete_drop_in(operation);
                continue;
            }
            if may_have_body && path.starts_with("/v1/") {
                add(operation, &WITH_BODY);
            }
            if path.starts_with("/v1/") || path == "/metrics" {
                // Nobody is signed in before the sign-in, and everybody may ask whether they are.
                let is_open = path == SESSION && !is_delete;
                if !is_open {
                    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(KEY, [])]);
                }
                add(operation, &KEYED);
                if path.contains('{') {
                    add(operation, &[("404", "No object has this id.")]);
                }
                add(operation, &ALWAYS);
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && (status.starts_with('4') || status.starts_with('5'))
                {
                    let body = Ref::from_schema_name(ProblemBody::name());
                    response
                        .content
                        .insert(PROBLEM.to_owned(), ContentBuilder::new().schema(Some(body)).build().into());
                }
            }
        }
    }
    document
}

/// Adds the answers that operations below `/serve` have in common. All of them have the envelope.
fn complete_drop_in(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BARE_KEY, [])]);
    add(operation, &ALWAYS);
    let Some(RefOr::T(success)) = operation.responses.responses.get("200") else { return };
    let content = success.content.clone();
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clone_from(&content);
        }
    }
}

fn add(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, description) in answers {
        let response = || ResponseBuilder::new().description(*description).build().into();
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(response);
    }
}

/// The document as JSON.
pub(super) async fn get_document(State(context): State<Context>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], context.document.to_string()).into_response()
}
