//! The cookie of a session. Must never be readable for scripts, or be sent for pages of other sites.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::domain::session::SessionToken;

const NAME: &str = "scrapehook_session";
/// Seconds for which a browser keeps it, which is the most that browsers allow. The session itself ends earlier.
const KEPT: u32 = 400 * 24 * 60 * 60;

/// The token in the cookie of a request. None without one, or if it has another form.
pub(in crate::http) fn token(headers: &HeaderMap) -> Option<SessionToken> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == NAME).then(|| SessionToken::parse(value)).flatten())
}

/// The header that hands out a token. If the page came over TLS, the cookie is sent over TLS alone.
pub(in crate::http) fn set(token: &SessionToken, is_secure: bool) -> Option<HeaderValue> {
    written(&token.expose(), KEPT, is_secure)
}

/// The header that removes the cookie.
pub(in crate::http) fn removed() -> Option<HeaderValue> {
    written("", 0, false)
}

fn written(value: &str, seconds: u32, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let token = SessionToken::generate().unwrap();
        let text = token.expose();
        let found = |cookies: &[&str]| {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
            }
            super::token(&headers).is_some_and(|found| found.hash() == token.hash())
        };
        let own = format!("{NAME}={text}");
        assert!(found(&[&own]) && found(&[&format!("a=b; {own}; c")]) && found(&["a=b", &own]));
        assert!(found(&[&format!("{NAME}=old; {own}")]), "one with another form is not ours");
        assert!(!found(&[]) && !found(&[&format!("x{own}")]) && !found(&[&format!("{NAME}={text}x")]));
    }
}
