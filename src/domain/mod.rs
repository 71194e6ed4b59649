//! The concepts of the service, without IO and without a clock: ids, URLs, plans, facts and states.
//!
//! Everything here is a pure function of its arguments. Must never import another module of the crate.

pub mod address;
pub mod byte_order_mark;
pub mod callback;
pub mod destination;
pub mod estimate;
pub mod event;
pub mod evidence;
pub mod file_path;
pub mod forecast;
pub mod forming;
pub mod host;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod mask;
pub mod measure;
pub mod nearest;
pub mod outcome;
pub mod pause;
pub mod plan;
pub mod problem;
pub mod queue;
pub mod redact;
pub mod refusal;
pub mod retry;
pub mod round;
pub mod session;
pub mod task;
pub mod time;
pub mod token;
pub mod upstream_id;
pub mod url;
pub mod video;
pub mod want;
pub mod webhook;

/// The text is not a word of the closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the known words")]
pub struct UnknownWord;

/// A closed list of words.
pub trait Words: std::str::FromStr {
    /// All of them, in the contract's order.
    fn words() -> impl Iterator<Item = &'static str>;
}

/// An enum of words of the contract. Each has one spelling for JSON, SQL, logs and queries.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All words, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($crate::domain::UnknownWord) }
            }
        }

        impl $crate::domain::Words for $name {
            fn words() -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().map(|word| word.as_str())
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($word,)+]))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;
