//! Callback tokens: a task's id and a proof that we issued it. Checked without the database.
//!
//! The same secrets make the challenges with which a service checks that its public URL leads to it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::TaskId;

/// Bytes of the proof: 128 bits can't be guessed, and keep the URL short.
const PROOF: usize = 16;
/// Characters of a token: the id and the proof in base64url.
pub(super) const TOKEN_LENGTH: usize = 43;
/// Keeps a token apart from anything else that the same secret proves.
const TOKEN: &[u8] = b"scrapehook callback token 1";
/// The purpose of a challenge, which stands in the place of a token and names no task.
const CHALLENGE: &[u8] = b"scrapehook callback check 1";
/// The purpose of the answer to a challenge.
const ANSWER: &[u8] = b"scrapehook callback answer 1";

/// Issues tokens with its first secret, and checks them with every one. `Debug` shows none.
#[derive(Clone)]
pub struct TokenKeys {
    keys: Vec<Hmac<Sha256>>,
}

/// The URL to which a callback with this token is sent.
pub fn callback_url(public_url: &str, token: &str) -> String {
    format!("{}/callback/{token}", public_url.trim_end_matches('/'))
}

impl TokenKeys {
    /// Keys from these secrets; the first one signs. Without any, no token is good.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| Hmac::new_from_slice(secret.as_bytes()).ok();
        Self { keys: secrets.into_iter().filter_map(key).collect() }
    }

    /// How many secrets there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The token of a task: 43 characters that need no escaping in a URL.
    pub fn issue(&self, task: TaskId) -> Option<String> {
        self.sign(TOKEN, task.as_bytes())
    }

    /// The task that a token names; `None` if we did not issue it. Takes the same time for every proof.
    pub fn verify(&self, token: &str) -> Option<TaskId> {
        self.signed(TOKEN, token).map(|(_, id)| TaskId::from_bytes(id))
    }

    /// A challenge, which looks like a token and names no task. Only the secret that signed it can answer it.
    pub fn challenge(&self, nonce: [u8; 16]) -> Option<String> {
        self.sign(CHALLENGE, &nonce)
    }

    /// Whether this is a challenge of ours.
    pub fn is_challenge(&self, token: &str) -> bool {
        self.signed(CHALLENGE, token).is_some()
    }

    /// Proves that a challenge was heard, and with which body; `None` where the token is no challenge of ours.
    pub fn answer(&self, challenge: &str, body_hash: &[u8; 32]) -> Option<String> {
        let (key, nonce) = self.signed(CHALLENGE, challenge)?;
        let answer = mac(key, ANSWER, &nonce).chain_update(body_hash).finalize().into_bytes();
        Some(URL_SAFE_NO_PAD.encode(answer))
    }

    fn sign(&self, purpose: &[u8], subject: &[u8; 16]) -> Option<String> {
        let proof = mac(self.keys.first()?, purpose, subject).finalize().into_bytes();
        Some(URL_SAFE_NO_PAD.encode([subject, &proof[..PROOF]].concat()))
    }

    /// The subject of what we signed for this purpose, and the key that did.
    fn signed(&self, purpose: &[u8], text: &str) -> Option<(&Hmac<Sha256>, [u8; 16])> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (subject, proof) = bytes.split_first_chunk::<16>()?;
        if proof.len() != PROOF {
            return None;
        }
        let is_good = |key: &&Hmac<Sha256>| mac(key, purpose, subject).verify_truncated_left(proof).is_ok();
        Some((self.keys.iter().find(is_good)?, *subject))
    }
}

fn mac(key: &Hmac<Sha256>, purpose: &[u8], subject: &[u8; 16]) -> Hmac<Sha256> {
    key.clone().chain_update(purpose).chain_update(subject)
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeys({})", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_token_names_its_task() {
        let keys = TokenKeys::new(["secret"]);
        let task = TaskId::new(Timestamp::from_millis(7));
        let token = keys.issue(task).unwrap();
        assert_eq!(token.len(), TOKEN_LENGTH);
        assert_eq!(keys.verify(&token), Some(task));
    }

    #[test]
    fn tokens_of_an_older_secret_stay_good() {
        let task = TaskId::new(Timestamp::from_millis(7));
        let old = TokenKeys::new(["old"]).issue(task).unwrap();
        let keys = TokenKeys::new(["new", "old"]);
        assert_eq!((keys.count(), keys.verify(&old)), (2, Some(task)));
        assert_eq!(TokenKeys::new(["new"]).verify(&old), None);
    }

    #[test]
    fn a_mangled_token_is_no_token() {
        let keys = TokenKeys::new(["secret"]);
        let token = keys.issue(TaskId::new(Timestamp::from_millis(7))).unwrap();
        for place in 0..token.len() {
            let mut mangled = token.clone().into_bytes();
            mangled[place] = if mangled[place] == b'A' { b'B' } else { b'A' };
            let mangled = String::from_utf8(mangled).unwrap();
            assert_eq!(keys.verify(&mangled), None, "{place}");
            assert_eq!(keys.verify(&token[..place]), None, "{place}");
        }
        for text in ["", "../x", &format!("{token}="), &format!("{token}A"), &format!("{token}/")] {
            assert_eq!(keys.verify(text), None, "{text}");
        }
        assert_eq!(TokenKeys::new([]).issue(TaskId::new(Timestamp::from_millis(7))), None);
    }

    #[test]
    fn a_challenge_is_answered_by_its_secret_alone() {
        let keys = TokenKeys::new(["new", "old"]);
        let challenge = keys.challenge([7; 16]).unwrap();
        let answer = keys.answer(&challenge, &[1; 32]).unwrap();
        assert_eq!(challenge.len(), 43);
        assert_eq!(TokenKeys::new(["old", "new"]).answer(&challenge, &[1; 32]), Some(answer.clone()));
        assert_eq!(TokenKeys::new(["old"]).answer(&challenge, &[1; 32]), None);
        assert_ne!(keys.answer(&challenge, &[2; 32]), Some(answer.clone()), "the body counts");
        let other = keys.challenge([8; 16]).unwrap();
        assert_ne!(keys.answer(&other, &[1; 32]), Some(answer), "so does the challenge");
    }

    #[test]
    fn a_challenge_is_no_token_and_a_token_no_challenge() {
        let keys = TokenKeys::new(["secret"]);
        let task = TaskId::new(Timestamp::from_millis(7));
        assert_eq!(keys.verify(&keys.challenge(*task.as_bytes()).unwrap()), None);
        assert_eq!(keys.answer(&keys.issue(task).unwrap(), &[0; 32]), None);
        assert!(
            keys.is_challenge(&keys.challenge([7; 16]).unwrap())
                && !keys.is_challenge(&keys.issue(task).unwrap())
        );
    }

    #[test]
    fn keys_show_no_secret() {
        assert_eq!(format!("{:?}", TokenKeys::new(["secret", "older"])), "TokenKeys(2)");
    }

    #[test]
    fn a_slash_at_the_end_of_the_public_url_is_not_doubled() {
        for url in ["https://hooks.example.com/in", "https://hooks.example.com/in/"] {
            assert_eq!(callback_url(url, "x"), "https://hooks.example.com/in/callback/x");
        }
    }
}
