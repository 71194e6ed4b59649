//! The two callback bodies that the memories.ai API documents, for receivers that were written for its callbacks.
//!
//! Must never add a field, reorder them or change a word.

use serde_json::Value;

use super::body::Rendered;

/// The body that says that a task was downloaded.
pub fn downloaded(task_id: &str) -> Rendered {
    let task_id = Value::from(task_id);
    let body = r#"{"message":"Video has been downloaded...","taskId":"#;
    Rendered::json(format!(r#"{body}{task_id},"status":"SUCCEEDED"}}"#))
}

/// The body that says that a video of a task is indexed.
pub fn indexed(task_id: &str, video_id: &str) -> Rendered {
    let (task_id, video_id) = (Value::from(task_id), Value::from(video_id));
    let message = r#""message":"Video indexing succeed""#;
    let status = r#""status":"INDEXING_SUCCEEDED""#;
    Rendered::json(format!(r#"{{"videoId":{video_id},{message},"taskId":{task_id},{status}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rendered: Rendered) -> String {
        assert_eq!((rendered.content_type, rendered.headers.len()), ("application/json", 0));
        String::from_utf8(rendered.body).unwrap()
    }

    #[test]
    fn the_bodies_are_the_documented_ones_to_the_byte() {
        assert_eq!(
            text(downloaded("a8f5")),
            r#"{"message":"Video has been downloaded...","taskId":"a8f5","status":"SUCCEEDED"}"#
        );
        assert_eq!(
            text(indexed("a8f5", "VI128293549576246280")),
            concat!(
                r#"{"videoId":"VI128293549576246280","message":"Video indexing succeed","#,
                r#""taskId":"a8f5","status":"INDEXING_SUCCEEDED"}"#
            )
        );
    }

    #[test]
    fn an_id_stays_a_string_whatever_it_contains() {
        let id = "a\"b\\c\n{}\u{0}é";
        for body in [downloaded(id), indexed(id, id)] {
            let read: Value = serde_json::from_str(&text(body)).unwrap();
            assert_eq!(read["taskId"], id);
            assert!(read.get("videoId").is_none_or(|video| video == id));
        }
    }
}
