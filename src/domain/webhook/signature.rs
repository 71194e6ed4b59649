//! The signature of a webhook, version `v1` of Standard Webhooks: HMAC-SHA256 of the id, the time and the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::Secret;
use crate::domain::time::Timestamp;

/// The version of the signature and the separator.
const VERSION: &str = "v1,";

/// The time of an attempt in the header `webhook-timestamp` and in the signature, in whole seconds.
pub const fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

/// The header `webhook-signature` of an attempt at this time, with a signature for each secret.
///
/// There are two secrets during a rotation. The header is empty without any.
pub fn sign(id: &str, at: Timestamp, body: &[u8], secrets: &[Secret]) -> String {
    let head = format!("{id}.{}.", seconds(at));
    let signatures = secrets.iter().filter_map(|secret| signature(secret, head.as_bytes(), body));
    signatures.collect::<Vec<_>>().join(" ")
}

/// The signature with one secret. HMAC takes keys of any length, so it is always there.
fn signature(secret: &Secret, head: &[u8], body: &[u8]) -> Option<String> {
    let key = Hmac::<Sha256>::new_from_slice(secret.key()).ok()?;
    let mac = key.chain_update(head).chain_update(body).finalize().into_bytes();
    Some(format!("{VERSION}{}", STANDARD.encode(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    const AT: Timestamp = Timestamp::from_millis(1_614_265_330_999);

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        assert_eq!(seconds(AT), 1_614_265_330);
        assert_eq!(sign(ID, AT, BODY, &[secret(SECRET)]), SIGNATURE);
    }

    #[test]
    fn each_secret_of_a_rotation_signs() {
        // The expected values are those of `standardwebhooks` 1.0 for Python.
        let new = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let old = secret("whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        let expected = "v1,6ylbRkii/bqVKghCqWjR/ixqg2mwdCsjSc878MijIWo= \
                        v1,HvLU+iG8uWiP+bGBlxv6z1aHHi3zNZ2mvEyyHlhKEKA=";
        assert_eq!(sign("msg_1", AT, r#"{"a":"é"}"#.as_bytes(), &[new, old]), expected);
    }

    #[test]
    fn every_part_is_signed() {
        let later = Timestamp::from_millis(1_614_265_331_000);
        for (id, at, body) in [("msg_2", AT, BODY), (ID, later, BODY), (ID, AT, b"{}")] {
            assert_ne!(sign(id, at, body, &[secret(SECRET)]), SIGNATURE);
        }
    }

    #[test]
    fn nothing_is_signed_without_a_secret() {
        assert_eq!(sign(ID, AT, BODY, &[]), "");
    }
}
