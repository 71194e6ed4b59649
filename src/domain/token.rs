//! Callback tokens: a callback URL's claims about its task, and the proof that scrapehook issued it. The check needs no
//! database.
//!
//! The same secrets make the challenges with which a service checks that its public URL leads to it. Must never take
//! a token that it cannot read whole, nor compare a proof in a time that depends on it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::TaskId;
use super::job::Quality;

/// Bytes of the proof. 128 bits can't be guessed, and keep the URL short.
const PROOF: usize = 16;
/// Bytes of a task's id, the only claim of the first kind of token.
const ID: usize = 16;
/// Bytes of a destination's hash.
const DESTINATION: usize = 8;
/// Bytes of the claims of the second kind of token: the id, the destination and the quality.
const CLAIMS: usize = ID + DESTINATION + 2;
/// Characters of a token of the first kind, in base64url.
pub(super) const ID_TOKEN_LENGTH: usize = ((ID + PROOF) * 8).div_ceil(6);
/// Characters of a token of the second kind.
pub(super) const TOKEN_LENGTH: usize = ((CLAIMS + PROOF) * 8).div_ceil(6);
/// Keeps a token of the first kind apart from anything else that the same secret proves.
const ID_TOKEN: &[u8] = b"scrapehook callback token 1";
/// The same for the second kind.
const TOKEN: &[u8] = b"scrapehook callback token 2";
/// The purpose of a challenge, which replaces a token and names no task.
const CHALLENGE: &[u8] = b"scrapehook callback check 1";
/// The purpose of the answer to a challenge.
const ANSWER: &[u8] = b"scrapehook callback answer 1";

/// The claims of a token about its task. They recover a task that the file does not know because it was restored from a
/// backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The task.
    pub task: TaskId,
    /// The hash of its destination, see [`Destination::hash`](super::destination::Destination::hash).
    pub destination: Option<[u8; DESTINATION]>,
    /// The quality that it was sent with.
    pub quality: Option<Quality>,
}

impl Claims {
    /// Claims that name the task alone, as old tokens do.
    pub const fn of(task: TaskId) -> Self {
        Self { task, destination: None, quality: None }
    }

    /// The bytes of a token of the second kind. `None` if the task is the only claim.
    fn to_bytes(self) -> Option<[u8; CLAIMS]> {
        let mut bytes = [0; CLAIMS];
        let (id, rest) = bytes.split_at_mut(ID);
        let (destination, quality) = rest.split_at_mut(DESTINATION);
        id.copy_from_slice(self.task.as_bytes());
        destination.copy_from_slice(&self.destination?);
        quality.copy_from_slice(&u16::try_from(self.quality?.number()).ok()?.to_be_bytes());
        Some(bytes)
    }

    /// Reads the claims from bytes. No issued token names a quality that does not exist.
    fn from_bytes(bytes: &[u8; CLAIMS]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (destination, quality) = rest.split_first_chunk::<DESTINATION>()?;
        let quality = u16::from_be_bytes(quality.try_into().ok()?);
        let quality = Quality::from_number(i64::from(quality))?;
        Some(Self { task: TaskId::from_bytes(*id), destination: Some(*destination), quality: Some(quality) })
    }
}

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
    /// Keys from these secrets. The first one signs. Without any, no token is good.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| Hmac::new_from_slice(secret.as_bytes()).ok();
        Self { keys: secrets.into_iter().filter_map(key).collect() }
    }

    /// Number of secrets.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The token of a task: 56 characters that need no escaping in a URL. Without a destination and a quality it is one
    /// of the first kind, which has 43 and names the task alone.
    pub fn issue(&self, claims: Claims) -> Option<String> {
        match claims.to_bytes() {
            Some(bytes) => self.sign(TOKEN, &bytes),
            None => self.sign(ID_TOKEN, claims.task.as_bytes()),
        }
    }

    /// The claims of a token. `None` if scrapehook did not issue it. Takes the same time for every proof.
    pub fn verify(&self, token: &str) -> Option<Claims> {
        // The length tells the kind.
        if token.len() == TOKEN_LENGTH {
            return self.signed(TOKEN, token).and_then(|(_, bytes)| Claims::from_bytes(&bytes));
        }
        self.signed(ID_TOKEN, token).map(|(_, id)| Claims::of(TaskId::from_bytes(id)))
    }

    /// A challenge, which looks like a token and names no task. Only the secret that signed it can answer it.
    pub fn challenge(&self, nonce: [u8; 16]) -> Option<String> {
        self.sign(CHALLENGE, &nonce)
    }

    /// Whether this is a challenge that these keys have signed.
    pub fn is_challenge(&self, token: &str) -> bool {
        self.signed::<ID>(CHALLENGE, token).is_some()
    }

    /// Proves that a challenge was received, and its body. `None` if these keys have not signed the challenge.
    pub fn answer(&self, challenge: &str, body_hash: &[u8; 32]) -> Option<String> {
        let (key, nonce) = self.signed::<ID>(CHALLENGE, challenge)?;
        let answer = mac(key, ANSWER, &nonce).chain_update(body_hash).finalize().into_bytes();
        Some(URL_SAFE_NO_PAD.encode(answer))
    }

    fn sign(&self, purpose: &[u8], subject: &[u8]) -> Option<String> {
        let proof = mac(self.keys.first()?, purpose, subject).finalize().into_bytes();
        Some(URL_SAFE_NO_PAD.encode([subject, &proof[..PROOF]].concat()))
    }

    /// The signed subject of a text for this purpose, and its key. None if the text has another length.
    fn signed<const SUBJECT: usize>(
        &self,
        purpose: &[u8],
        text: &str,
    ) -> Option<(&Hmac<Sha256>, [u8; SUBJECT])> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (subject, proof) = bytes.split_first_chunk::<SUBJECT>()?;
        if proof.len() != PROOF {
            return None;
        }
        let is_good = |key: &&Hmac<Sha256>| mac(key, purpose, subject).verify_truncated_left(proof).is_ok();
        Some((self.keys.iter().find(is_good)?, *subject))
    }
}

fn mac(key: &Hmac<Sha256>, purpose: &[u8], subject: &[u8]) -> Hmac<Sha256> {
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
    use crate::domain::destination::Destination;
    use crate::domain::time::Timestamp;

    fn task() -> TaskId {
        TaskId::new(Timestamp::from_millis(7))
    }

    /// The claims of both kinds of token about a task.
    fn both(task: TaskId) -> [Claims; 2] {
        let (destination, quality) = (Destination::Name("chefs".to_owned()).hash(), Quality::P2160);
        [Claims::of(task), Claims { task, destination: Some(destination), quality: Some(quality) }]
    }

    #[test]
    fn a_token_names_its_task_its_destination_and_its_quality() {
        let keys = TokenKeys::new(["secret"]);
        for quality in Quality::ALL {
            for destination in [[0; DESTINATION], [0xff; DESTINATION], Destination::Public.hash()] {
                let claims =
                    Claims { destination: Some(destination), quality: Some(*quality), ..Claims::of(task()) };
                let token = keys.issue(claims).unwrap();
                assert_eq!((token.len(), keys.verify(&token)), (TOKEN_LENGTH, Some(claims)));
            }
        }
        assert_eq!((ID_TOKEN_LENGTH, TOKEN_LENGTH), (43, 56));
    }

    #[test]
    fn tokens_of_older_versions_stay_good() {
        let task: TaskId = "task_000000000007700080000000000000ff".parse().unwrap();
        let token = "AAAAAAAHcACAAAAAAAAA_183Ln_Mdywev4ShsS-an7w";
        let keys = TokenKeys::new(["an older version used this one"]);
        assert_eq!(keys.verify(token), Some(Claims::of(task)));
        assert_eq!(keys.issue(Claims::of(task)).as_deref(), Some(token));
    }

    #[test]
    fn half_of_the_claims_make_a_token_of_the_task_alone() {
        let keys = TokenKeys::new(["secret"]);
        let [old, new] = both(task());
        for half in [Claims { destination: None, ..new }, Claims { quality: None, ..new }] {
            assert_eq!(keys.issue(half), keys.issue(old));
        }
    }

    #[test]
    fn a_quality_that_does_not_exist_is_not_believed() {
        let keys = TokenKeys::new(["secret"]);
        let mut bytes = both(task())[1].to_bytes().unwrap();
        bytes[CLAIMS - 1] ^= 1;
        assert_eq!(keys.verify(&keys.sign(TOKEN, &bytes).unwrap()), None);
    }

    #[test]
    fn a_proof_of_one_kind_proves_nothing_of_the_other() {
        let keys = TokenKeys::new(["secret"]);
        let [old, new] = both(task());
        let bytes = new.to_bytes().unwrap();
        assert_eq!(keys.verify(&keys.sign(ID_TOKEN, &bytes).unwrap()), None);
        assert_eq!(keys.verify(&keys.sign(CHALLENGE, &bytes).unwrap()), None);
        assert_eq!(keys.verify(&keys.sign(TOKEN, old.task.as_bytes()).unwrap()), None);
    }

    #[test]
    fn tokens_of_an_older_secret_stay_good() {
        for claims in both(task()) {
            let old = TokenKeys::new(["old"]).issue(claims).unwrap();
            let keys = TokenKeys::new(["new", "old"]);
            assert_eq!((keys.count(), keys.verify(&old)), (2, Some(claims)));
            assert_eq!(TokenKeys::new(["new"]).verify(&old), None);
        }
    }

    #[test]
    fn a_mangled_token_is_no_token() {
        let keys = TokenKeys::new(["secret"]);
        for token in both(task()).map(|claims| keys.issue(claims).unwrap()) {
            for place in 0..token.len() {
                for by in [b'A', b'B', b'_', b'='] {
                    let mut mangled = token.clone().into_bytes();
                    mangled[place] = by;
                    let mangled = String::from_utf8(mangled).unwrap();
                    assert!(mangled == token || keys.verify(&mangled).is_none(), "{place}: {mangled}");
                }
                assert_eq!(keys.verify(&token[..place]), None, "{place}");
                assert_eq!(keys.verify(&token[place + 1..]), None, "{place}");
            }
            for text in ["=", "A", "/", "AAAAAAAAAAAAA", &token] {
                assert_eq!(keys.verify(&format!("{token}{text}")), None, "{text}");
            }
        }
        assert_eq!((keys.verify(""), keys.verify("../x"), keys.verify("ä")), (None, None, None));
        assert_eq!(both(task()).map(|claims| TokenKeys::new([]).issue(claims)), [None, None]);
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
        let challenge = keys.challenge(*task().as_bytes()).unwrap();
        assert!(keys.verify(&challenge).is_none() && keys.is_challenge(&challenge));
        for token in both(task()).map(|claims| keys.issue(claims).unwrap()) {
            assert_eq!(keys.answer(&token, &[0; 32]), None);
            assert!(!keys.is_challenge(&token));
        }
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
