//! The formats of webhooks: the default events of each, and the events that it can express.
//!
//! Must never make a body. `chat`, `upstream_body` and `template` do.

use super::pattern::Pattern;
use crate::domain::event::EventKind;
use crate::domain::words;

words! {
    /// The format of webhooks.
    Format {
        /// Signed JSON after Standard Webhooks.
        Standard = "standard",
        /// The callbacks that the memories.ai API documents.
        Upstream = "upstream",
        /// A message for an incoming webhook of Slack.
        Slack = "slack",
        /// A message for a webhook of Discord.
        Discord = "discord",
        /// A notification for a topic of ntfy.
        Ntfy = "ntfy",
        /// JSON from a template of the receiver.
        Template = "template",
    }
}

impl Format {
    /// The events that a receiver of this format gets if it names none.
    pub fn default_events(self) -> Vec<Pattern> {
        match self {
            Self::Standard | Self::Template => vec![Pattern::Every],
            Self::Upstream => {
                vec![Pattern::Kind(EventKind::TaskDownloaded), Pattern::Kind(EventKind::VideoIndexed)]
            }
            Self::Slack | Self::Discord | Self::Ntfy => {
                vec![Pattern::Kind(EventKind::JobSettled), Pattern::Of("problem".to_owned())]
            }
        }
    }

    /// Whether this format has a body for events of this kind.
    pub const fn expresses(self, kind: EventKind) -> bool {
        match self {
            Self::Upstream => matches!(kind, EventKind::TaskDownloaded | EventKind::VideoIndexed),
            Self::Standard | Self::Slack | Self::Discord | Self::Ntfy | Self::Template => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_default_events_that_it_expresses() {
        for (format, events) in [
            (Format::Standard, vec!["*"]),
            (Format::Upstream, vec!["task.downloaded", "video.indexed"]),
            (Format::Slack, vec!["job.settled", "problem.*"]),
            (Format::Discord, vec!["job.settled", "problem.*"]),
            (Format::Ntfy, vec!["job.settled", "problem.*"]),
            (Format::Template, vec!["*"]),
        ] {
            let patterns = format.default_events();
            assert_eq!(patterns.iter().map(Pattern::to_string).collect::<Vec<_>>(), events, "{format}");
            for pattern in patterns {
                assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()), "{format}");
                let mut admitted = EventKind::ALL.iter().filter(|kind| pattern.admits(**kind));
                assert!(admitted.all(|kind| format.expresses(*kind)), "{format}");
            }
        }
    }

    #[test]
    fn only_the_documented_callbacks_are_limited_to_some_events() {
        for format in Format::ALL {
            let expressed = EventKind::ALL.iter().filter(|kind| format.expresses(**kind)).count();
            let all = EventKind::ALL.len();
            assert_eq!(expressed, if *format == Format::Upstream { 2 } else { all }, "{format}");
        }
    }
}
