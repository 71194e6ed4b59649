//! Sessions of browsers: the token in the cookie, and what the store keeps of it.
//!
//! The store must never have enough to make a token, or to try out API keys.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

/// A session ends after this time without a request.
pub const IDLE: Duration = Duration::from_hours(7 * 24);
/// The time of the last request is exact to this.
pub const USE_STRIDE: Duration = Duration::from_mins(5);
/// Most sessions at once. A further one ends the one that was not used for the longest time.
pub const MOST_SESSIONS: u32 = 1_000;
/// Bytes of a token.
const BYTES: usize = 32;

/// The token of a session, which only the browser has.
#[derive(Debug)]
pub struct SessionToken(SecretSlice<u8>);

/// SHA-256 of a token. The store finds the session by it.
pub type TokenHash = [u8; 32];

/// SHA-256 of a token and the hash of an API key. It tells the key to those who have the token and all keys.
pub type KeyMark = [u8; 32];

impl SessionToken {
    /// A new token from the system's random numbers.
    ///
    /// # Errors
    /// The error of the system if it has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.into()))
    }

    /// Reads the text of a cookie. None if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == BYTES)?;
        Some(Self(bytes.into()))
    }

    /// The text for the cookie.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// The name of the session in the store.
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.expose_secret()).into()
    }

    /// The mark of the API key with this hash.
    pub fn mark(&self, key: &[u8; 32]) -> KeyMark {
        Sha256::new().chain_update(self.0.expose_secret()).chain_update(key).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let token = SessionToken::generate().unwrap();
        let text = token.expose();
        assert_eq!(text.len(), 43);
        assert_eq!(SessionToken::parse(&text).unwrap().hash(), token.hash());
        for text in
            ["", "x", &text[1..], &format!("{text}A"), &format!("{text}="), &text.replace(&text[..1], "!")]
        {
            assert!(SessionToken::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mark_needs_both_the_token_and_the_key() {
        let (one, other) = (SessionToken::generate().unwrap(), SessionToken::generate().unwrap());
        assert_eq!(one.mark(&[1; 32]), one.mark(&[1; 32]));
        assert_ne!(one.mark(&[1; 32]), one.mark(&[2; 32]));
        assert_ne!(one.mark(&[1; 32]), other.mark(&[1; 32]));
        assert!(!format!("{one:?}").contains(&one.expose()[..8]));
    }
}
