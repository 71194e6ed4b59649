//! Problems, the body of every error: what each must have.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// Checks the shape that every problem has.
pub async fn problem(answer: Response, status: u16, code: &str) -> Value {
    let what = answer.url().clone();
    assert_eq!(answer.status().as_u16(), status, "{what}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], code, "{what}: {body}");
    assert_eq!(body["status"], status, "{what}: {body}");
    assert_eq!(body["request_id"], request_id, "{what}");
    for text in ["type", "title", "detail"] {
        assert!(body[text].is_string(), "{what}: {body}");
    }
    assert!(body["errors"].is_array(), "{what}: {body}");
    body
}

pub async fn refused(request: RequestBuilder, status: u16, code: &str) -> Value {
    problem(request.send().await.unwrap(), status, code).await
}
