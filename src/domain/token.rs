//! Callback tokens: a task's id and a proof that we issued it. Checked without the database.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::TaskId;

/// Bytes of the proof: 128 bits can't be guessed, and keep the URL short.
const PROOF: usize = 16;
/// Keeps a token apart from anything else that the same secret may one day prove.
const PURPOSE: &[u8] = b"scrapehook callback token 1";

/// Issues tokens with its first secret, and checks them with every one. `Debug` shows none.
#[derive(Clone)]
pub struct TokenKeys {
    keys: Vec<Hmac<Sha256>>,
}

impl TokenKeys {
    /// Keys from these secrets; the first one signs. Without any, no token is good.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| {
            let mut key = Hmac::new_from_slice(secret.as_bytes()).ok()?;
            key.update(PURPOSE);
            Some(key)
        };
        Self { keys: secrets.into_iter().filter_map(key).collect() }
    }

    /// The token of a task: 43 characters that need no escaping in a URL.
    pub fn issue(&self, task: TaskId) -> Option<String> {
        let mut mac = self.keys.first()?.clone();
        mac.update(task.as_bytes());
        let proof = mac.finalize().into_bytes();
        Some(URL_SAFE_NO_PAD.encode([task.as_bytes(), &proof[..PROOF]].concat()))
    }

    /// The task that a token names; `None` where we did not issue it. Takes the same time for every proof.
    pub fn verify(&self, token: &str) -> Option<TaskId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, proof) = bytes.split_first_chunk::<16>()?;
        if proof.len() != PROOF {
            return None;
        }
        let is_good = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(id);
            mac.verify_truncated_left(proof).is_ok()
        };
        self.keys.iter().any(is_good).then(|| TaskId::from_bytes(*id))
    }
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
        assert_eq!(token.len(), 43);
        assert_eq!(keys.verify(&token), Some(task));
    }

    #[test]
    fn tokens_of_an_older_secret_stay_good() {
        let task = TaskId::new(Timestamp::from_millis(7));
        let old = TokenKeys::new(["old"]).issue(task).unwrap();
        assert_eq!(TokenKeys::new(["new", "old"]).verify(&old), Some(task));
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
}
