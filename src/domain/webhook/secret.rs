//! The secret that signs webhooks, as text `whsec_` and base64.
//!
//! `Debug` and errors must never show any of it.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretSlice};
use thiserror::Error;

/// The beginning of every secret.
const PREFIX: &str = "whsec_";
/// Fewest bytes of a key, after the specification.
const FEWEST: usize = 24;
/// Most bytes of a key, after the specification.
const MOST: usize = 64;
/// Bytes of a new key.
const GENERATED: usize = 32;
/// Base64 with or without padding. Libraries of receivers read both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&ALPHABET, INDIFFERENT);
const INDIFFERENT: GeneralPurposeConfig = PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A secret that a receiver shares with scrapehook.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// It has another beginning.
    #[error("a secret begins with `{PREFIX}`")]
    Prefix,
    /// The rest is not base64.
    #[error("the part after `{PREFIX}` is not base64")]
    Base64,
    /// The key is too short. Contains its length in bytes.
    #[error("the key has {0} bytes, and at least {FEWEST} are required")]
    TooShort(usize),
    /// The key is too long. Contains its length in bytes.
    #[error("the key has {0} bytes, and at most {MOST} are allowed")]
    TooLong(usize),
}

impl Secret {
    /// A new secret from the system's random numbers.
    ///
    /// # Errors
    /// The error of the system if it has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = vec![0; GENERATED];
        getrandom::fill(&mut key)?;
        Ok(Self(key.into()))
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// [`InvalidSecret`] says what is wrong and shows none of it.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret::Prefix)?;
        let key = LENIENT.decode(encoded).map_err(|_| InvalidSecret::Base64)?;
        match key.len() {
            length if length < FEWEST => Err(InvalidSecret::TooShort(length)),
            length if length > MOST => Err(InvalidSecret::TooLong(length)),
            _ => Ok(Self(key.into())),
        }
    }

    /// The secret as text, for the store and for the one answer that shows it.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.key()))
    }

    /// The bytes that sign.
    pub(super) fn key(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({PREFIX}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![0xfb; bytes]))
    }

    #[test]
    fn a_secret_is_read_and_shown_as_it_was_given() {
        for bytes in [FEWEST, 25, 26, GENERATED, MOST] {
            assert_eq!(Secret::parse(&text(bytes)).unwrap().expose(), text(bytes));
        }
    }

    #[test]
    fn padding_may_be_missing() {
        let secret = Secret::parse(text(25).trim_end_matches('=')).unwrap();
        assert_eq!(secret.expose(), text(25));
    }

    #[test]
    fn a_new_secret_is_long_and_different_each_time() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!(one.key().len(), GENERATED);
        assert_ne!(one.key(), other.key());
        assert_eq!(Secret::parse(&one.expose()).unwrap().key(), one.key());
    }

    #[test]
    fn each_fault_has_its_own_error() {
        for (text, error) in [
            (String::new(), InvalidSecret::Prefix),
            (STANDARD.encode([0; 32]), InvalidSecret::Prefix),
            (text(32).to_uppercase(), InvalidSecret::Prefix),
            (format!(" {}", text(32)), InvalidSecret::Prefix),
            (format!("{} ", text(32)), InvalidSecret::Base64),
            (text(32).replace('+', "-"), InvalidSecret::Base64),
            (format!("{PREFIX}not base64"), InvalidSecret::Base64),
            (PREFIX.to_owned(), InvalidSecret::TooShort(0)),
            (text(FEWEST - 1), InvalidSecret::TooShort(FEWEST - 1)),
            (text(MOST + 1), InvalidSecret::TooLong(MOST + 1)),
        ] {
            assert_eq!(Secret::parse(&text).err(), Some(error), "{text}");
        }
        let said = InvalidSecret::TooShort(3).to_string();
        assert_eq!(said, "the key has 3 bytes, and at least 24 are required");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::parse(&text(32)).unwrap()), "Secret(whsec_…)");
    }
}
