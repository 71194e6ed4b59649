//! The rendered body of a webhook, with the headers that its format needs.
//!
//! Must never hold a header that signs or identifies a delivery. The sender adds those.

/// The content type of JSON.
const JSON: &str = "application/json";
/// The content type of text.
const TEXT: &str = "text/plain; charset=utf-8";

/// A body that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its content type.
    pub content_type: &'static str,
    /// Further headers of its format. The names are in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Rendered {
    /// A body of JSON, without further headers.
    pub fn json(body: String) -> Self {
        Self { content_type: JSON, headers: &[], body: body.into_bytes() }
    }

    /// A body of text.
    pub fn text(body: String, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { content_type: TEXT, headers, body: body.into_bytes() }
    }
}
