//! The bodies of messages for Slack, Discord and ntfy.
//!
//! Text comes from strangers. It must never mention people or channels, and never become a link with a false name in
//! Slack.

use serde_json::json;

use super::body::Rendered;
use super::wording::{ELLIPSIS, cut};
use crate::domain::event::EventKind;

/// Most characters of a message on Discord.
const DISCORD_CHARS: usize = 2_000;
/// Most bytes of a message on ntfy. A longer one arrives as an attached file.
const NTFY_BYTES: usize = 4_096;
/// The headers of a notification.
const NTFY: &[(&str, &str)] = &[("title", "scrapehook")];
/// The headers of a notification about a new problem.
const NTFY_URGENT: &[(&str, &str)] = &[("title", "scrapehook"), ("priority", "high"), ("tags", "warning")];

/// The body for an incoming webhook of Slack.
///
/// Slack asks to escape these three characters and no others. Mentions and named links begin with `<`.
pub fn slack(text: &str) -> Rendered {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Rendered::json(json!({ "text": text }).to_string())
}

/// The body for a webhook of Discord. It mentions nobody, because the list of allowed mentions is empty.
pub fn discord(text: &str) -> Rendered {
    let content = cut(text, DISCORD_CHARS);
    Rendered::json(json!({ "content": content, "allowed_mentions": { "parse": [] } }).to_string())
}

/// The body for a topic of ntfy. A new problem has a high priority.
pub fn ntfy(text: &str, kind: EventKind) -> Rendered {
    let headers = if kind == EventKind::ProblemOpened { NTFY_URGENT } else { NTFY };
    if text.len() <= NTFY_BYTES {
        return Rendered::text(text.to_owned(), headers);
    }
    let kept = &text[..text.floor_char_boundary(NTFY_BYTES - ELLIPSIS.len_utf8())];
    Rendered::text(format!("{kept}{ELLIPSIS}"), headers)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(rendered: &Rendered) -> Value {
        assert_eq!((rendered.content_type, rendered.headers.len()), ("application/json", 0));
        serde_json::from_slice(&rendered.body).unwrap()
    }

    #[test]
    fn slack_gets_three_characters_escaped_and_no_others() {
        let body = read(&slack("<!channel> <https://evil.example|bank> &lt; *bold* \"é\" \\ @here"));
        let escaped = "&lt;!channel&gt; &lt;https://evil.example|bank&gt; &amp;lt; *bold* \"é\" \\ @here";
        assert_eq!(body, json!({ "text": escaped }));
    }

    #[test]
    fn discord_mentions_nobody() {
        let body = read(&discord("@everyone <@123> **&** \"é\""));
        let expected = json!({
            "content": "@everyone <@123> **&** \"é\"",
            "allowed_mentions": { "parse": [] },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn discord_gets_no_more_characters_than_it_takes() {
        let sent = |chars: usize| {
            let body = read(&discord(&"é".repeat(chars)));
            body["content"].as_str().unwrap().to_owned()
        };
        assert_eq!(sent(DISCORD_CHARS), "é".repeat(DISCORD_CHARS));
        assert_eq!(sent(DISCORD_CHARS + 1), format!("{}…", "é".repeat(DISCORD_CHARS - 1)));
    }

    #[test]
    fn ntfy_gets_text_and_a_title() {
        let sent = ntfy("Job é is done.", EventKind::JobSettled);
        assert_eq!((sent.content_type, sent.headers), ("text/plain; charset=utf-8", NTFY));
        assert_eq!(sent.body, "Job é is done.".as_bytes());
        for kind in EventKind::ALL {
            let is_urgent = ntfy("text", *kind).headers.contains(&("priority", "high"));
            assert_eq!(is_urgent, *kind == EventKind::ProblemOpened, "{kind}");
        }
        assert!(NTFY_URGENT.contains(&("tags", "warning")));
    }

    #[test]
    fn ntfy_gets_no_more_bytes_than_it_takes_and_no_half_characters() {
        for letter in ["e", "é", "日", "😀"] {
            let most = NTFY_BYTES / letter.len();
            let sent = |letters: usize| {
                String::from_utf8(ntfy(&letter.repeat(letters), EventKind::JobSettled).body).unwrap()
            };
            assert_eq!(sent(most), letter.repeat(most));
            let cut = sent(most + 1);
            assert!(cut.len() <= NTFY_BYTES && cut.len() > NTFY_BYTES - 4 - letter.len(), "{letter}");
            assert!(cut.ends_with(ELLIPSIS), "{letter}");
        }
    }
}
