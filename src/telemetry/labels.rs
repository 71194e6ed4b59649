//! The labels of metrics. Must never hold a value without a bound.

use prometheus_client::encoding::EncodeLabelSet;

/// Labels of one callback.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfCallback {
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
}

/// Labels of one fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFact {
    pub(super) kind: &'static str,
    pub(super) source: &'static str,
}

/// Labels of one answer of scrapehook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAnswer {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status: &'static str,
}

/// Labels of one request to upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfRequest {
    pub(super) operation: &'static str,
    pub(super) outcome: &'static str,
}

/// Labels of one attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOutcome {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfState {
    pub(super) state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfQueue {
    pub(super) queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfScope {
    pub(super) scope: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBuild {
    pub(super) version: &'static str,
}

/// Labels of a value without labels that can be unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Unlabeled {}
