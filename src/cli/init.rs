//! `init`: writes a commented configuration file with a generated API key.
//!
//! Must never overwrite a file, nor print a key.

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::check_config;
use crate::config::{Config, ConfigError};

const EXAMPLES: &str = "\
Examples:
  Answer two questions:
    scrapehook init
  Without a terminal, in another file:
    scrapehook init --public-url https://hooks.example.com --upstream-key-file key.txt /etc/scrapehook.toml";

/// Arguments of `init`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Init {
    /// File to write. An existing file is never overwritten
    #[arg(value_name = "FILE", default_value = "scrapehook.toml")]
    file: PathBuf,
    /// Public URL that leads to this service. Empty: there is none, and scrapehook polls every task
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// File that holds the API key of memories.ai; - reads standard input
    #[arg(long, value_name = "FILE")]
    upstream_key_file: Option<PathBuf>,
}

/// Asks for missing answers, writes the file and checks it.
///
/// # Errors
/// The file exists, an answer is missing without a terminal, or an answer is not valid.
pub fn run(args: &Init) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    if args.file.symlink_metadata().is_ok() {
        return Err(exists(&name).into());
    }
    let api_key = generated()?;
    let upstream_key = match &args.upstream_key_file {
        Some(path) => key_in(path)?,
        None => asked("--upstream-key-file", "API key of memories.ai (not shown)", true)?,
    };
    let public_url = match &args.public_url {
        Some(url) => url.trim().to_owned(),
        None => asked("--public-url", "Public URL that leads to this service (empty: none)", false)?,
    };
    let text = rendered(&public_url, &upstream_key, &api_key)?;
    // The check comes before the file is written, because an existing file is never overwritten.
    let config = Config::read(Some((&name, &text)), Vec::new())?;
    config.check_for_serving()?;
    write(&args.file, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&name),
        _ => ConfigError::new(format!("{name}: {error}")),
    })?;
    let mut out = anstream::stdout();
    writeln!(
        out,
        "Wrote {name}, readable by you alone. The API key for clients is in it, under auth.api_keys.\n"
    )?;
    check_config::print(&mut out, &config)?;
    writeln!(out, "\nStart the service:\n  scrapehook serve --config {name}")?;
    writeln!(out, "Check it while it runs:\n  scrapehook doctor --config {name}")?;
    Ok(())
}

fn exists(name: &str) -> ConfigError {
    ConfigError::new(format!("{name} already exists. Edit it, or name another file"))
}

/// Generates a key for clients: 24 random bytes in hexadecimal digits.
fn generated() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("can't get random bytes from the system")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads the first line of a file or of standard input.
fn key_in(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| ConfigError::new(format!("--upstream-key-file {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Asks for an answer on the terminal. A secret is not shown.
fn asked(flag: &str, question: &str, is_secret: bool) -> anyhow::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(ConfigError::new(format!(
            "{flag} is needed without a terminal. See scrapehook init --help"
        ))
        .into());
    }
    let mut err = anstream::stderr();
    write!(err, "{question}: ")?;
    err.flush()?;
    let hidden = if is_secret { Some(Hidden::begin(&stdin)?) } else { None };
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if hidden.is_some() {
        writeln!(err)?;
    }
    Ok(line.trim().to_owned())
}

/// A terminal that does not show the input until this is dropped.
struct Hidden<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // If the terminal is gone, nobody types on it.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Renders the commented example with these answers.
fn rendered(public_url: &str, upstream_key: &str, api_key: &str) -> anyhow::Result<String> {
    // A JSON string is also a TOML string.
    let text = |value: &str| serde_json::to_string(value);
    let keys = format!("api_keys = [{{ name = \"me\", key = {}, role = \"write\" }}]", text(api_key)?);
    let answers = [
        ("public_url = \"\"", format!("public_url = {}", text(public_url)?)),
        ("api_keys = []", keys),
        ("api_key = \"\"", format!("api_key = {}", text(upstream_key)?)),
    ];
    let mut lines: Vec<String> = Config::EXAMPLE.lines().map(str::to_owned).collect();
    // The first lines describe the example.
    if let Some(first) = lines.iter().position(|line| line.starts_with('[')) {
        lines.drain(..first);
    }
    for (line, answer) in answers {
        if let Some(place) = lines.iter().position(|known| known == line) {
            lines[place] = answer;
        }
    }
    Ok(format!(
        "# The configuration of scrapehook. The environment overrides it: SCRAPEHOOK_<SECTION>__<KEY>.\n\n{}\n",
        lines.join("\n")
    ))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_file_says_the_answers_and_keeps_every_other_default() {
        let text = rendered("https://hooks.example.com", "sk-\\\"odd", "0123456789").unwrap();
        let config = Config::read(Some(("a.toml", &text)), Vec::new()).unwrap();
        assert_eq!(config.server.public_url.as_deref(), Some("https://hooks.example.com"));
        assert_eq!(config.upstream.api_key.expose_secret(), "sk-\\\"odd");
        assert!(!config.auth.is_keyless());
        let without = rendered("", "key", "0123456789").unwrap();
        assert_eq!(Config::read(Some(("a.toml", &without)), Vec::new()).unwrap().server.public_url, None);
        assert!(text.starts_with("# The configuration of scrapehook."));
        assert!(text.contains("# ") && text.contains("[retention]"), "it explains each setting");
    }

    #[test]
    fn each_key_is_another_one() {
        let [one, other] = [generated().unwrap(), generated().unwrap()];
        assert!(one != other && one.len() == 48);
    }
}
