//! The reasons why a request got no answer (name, connection, TLS or server), as far as the client's errors show
//! them. Also the limit of open files, which bounds the connections.
//!
//! Must never send anything, and never show a URL, because its path can be a secret.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::{AlertDescription, CertificateError};

/// Lets this process open this many files, including connections, as far as the system allows. Returns the new limit.
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limits = getrlimit(Resource::Nofile);
    let allowed = limits.maximum.unwrap_or(wanted).min(wanted);
    if limits.current.is_some_and(|current| current < allowed) {
        limits.current = Some(allowed);
        // If it fails, the limit stays as it is.
        let _ = setrlimit(Resource::Nofile, limits);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The reason why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The host's name can't be resolved. The value has the system's words.
    Name(String),
    /// No connection could be made. The value has the reason.
    Connection(String),
    /// The connection was made, but the TLS handshake failed.
    Tls(TlsFault),
    /// The connection was made, but no answer came in time.
    Late,
    /// The connection was made, but closed before there was an answer.
    Cut,
    /// The connection was made, but the other side does not speak HTTP.
    NotHttp,
}

/// The reason for a failed TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate is for other names, which are in the value if they are known.
    WrongName(Vec<String>),
    /// The certificate has expired, by the clock of this machine.
    Expired,
    /// The certificate is not valid yet, by the clock of this machine.
    NotYetValid,
    /// The issuer of the certificate is not trusted by this machine.
    UnknownIssuer,
    /// The certificate is self-signed.
    SelfSigned,
    /// The other side refuses the handshake. The value has its alert.
    Refused(String),
    /// The other side does not speak TLS.
    NotTls,
    /// Any other fault, in the words of the library.
    Other(String),
}

/// The most names of a certificate that are shown.
const SHOWN_NAMES: usize = 3;

impl NoAnswer {
    /// Reads an error of the HTTP client.
    pub fn of(error: &reqwest::Error) -> Self {
        if let Some(fault) = find::<rustls::Error>(error) {
            return Self::Tls(TlsFault::of(fault));
        }
        if error.is_dns() {
            return Self::Name(last_words(error));
        }
        if error.is_connect() {
            return match find_last_kind(error) {
                _ if error.is_timeout() => {
                    Self::Connection("neither a name server nor the host answers in time".to_owned())
                }
                Some(io::ErrorKind::ConnectionRefused) => Self::Connection("connection refused".to_owned()),
                Some(io::ErrorKind::HostUnreachable) => Self::Connection("host unreachable".to_owned()),
                Some(io::ErrorKind::NetworkUnreachable) => Self::Connection("network unreachable".to_owned()),
                // These happen after the connection was made, during the TLS handshake.
                Some(
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe,
                ) => Self::Cut,
                _ => Self::Connection(last_words(error)),
            };
        }
        if error.is_timeout() {
            Self::Late
        } else if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
            Self::NotHttp
        } else {
            Self::Cut
        }
    }
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Self {
        use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
        match error {
            InvalidCertificate(fault) => match fault {
                CertificateError::NotValidForName => Self::WrongName(Vec::new()),
                CertificateError::NotValidForNameContext { presented, .. } => {
                    Self::WrongName(presented.iter().map(|name| plain_name(name)).collect())
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                // The library has no type for this error, which is caused by the usual self-signed certificates of
                // most tools.
                CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                    Self::SelfSigned
                }
                _ => Self::Other(error.to_string()),
            },
            AlertReceived(AlertDescription::UnrecognisedName) => {
                Self::Refused("it does not know this name".to_owned())
            }
            AlertReceived(alert) => Self::Refused(format!("{alert:?}")),
            InvalidMessage(_) => Self::NotTls,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Shortens `DnsName("example.com")`, the library's form, to `example.com`.
fn plain_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(words) => write!(f, "the host's name can't be resolved ({words})"),
            Self::Connection(words) => write!(f, "no connection ({words})"),
            Self::Tls(fault) => write!(f, "TLS: {fault}"),
            Self::Late => f.write_str("connected, but got no answer in time"),
            Self::Cut => f.write_str("connected, but was cut off before an answer"),
            Self::NotHttp => f.write_str("connected, but the other side does not speak HTTP"),
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongName(names) if names.is_empty() => f.write_str("the certificate is for another name"),
            Self::WrongName(names) => {
                let shown = names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if names.len() > SHOWN_NAMES { ", …" } else { "" };
                write!(f, "the certificate is for another name ({shown}{more})")
            }
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::UnknownIssuer => f.write_str("the certificate's issuer is not known to this machine"),
            Self::SelfSigned => f.write_str("the certificate is self-signed"),
            Self::Refused(alert) => write!(f, "the other side refuses the handshake ({alert})"),
            Self::NotTls => f.write_str("the other side does not speak TLS"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// An error and its chain of causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // The `source` of an I/O error is that of the error inside it, so the inner error would be skipped.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost kind of I/O error.
fn find_last_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error).filter_map(|error| error.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

/// Returns the words of the innermost cause, without the name of the call that failed.
pub fn last_words(error: &(dyn Error + 'static)) -> String {
    let words = causes(error).last().map(ToString::to_string).unwrap_or_default();
    words.rsplit(": ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_inside_of_io_errors() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert_eq!(find::<rustls::Error>(&error), Some(&inner));
        assert_eq!(TlsFault::of(&inner), TlsFault::UnknownIssuer);
        let cut = io::Error::other(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!(find_last_kind(&cut), Some(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn a_certificate_for_many_names_shows_some() {
        let names = ["a", "b", "c", "d"].map(|name| plain_name(&format!("DnsName({name:?})")));
        let said = NoAnswer::Tls(TlsFault::WrongName(names.to_vec())).to_string();
        assert_eq!(said, "TLS: the certificate is for another name (a, b, c, …)");
    }
}
