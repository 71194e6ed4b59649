//! The real binary as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
#[cfg(target_os = "linux")]
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{DEADLINE, UPSTREAM_KEY, free_address};

pub const API_KEY: &str = "api-key-that-must-not-show";
pub const CALLBACK_SECRET: &str = "callback-secret-that-must-not-show";

/// The binary with a folder and an environment of its own.
pub struct Binary {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// The command that it is an argument of.
    within: Vec<String>,
}

impl Binary {
    /// Without a variable.
    pub fn bare() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), within: Vec::new() }
    }

    pub fn new() -> Self {
        let binary = Self::bare();
        let path = binary.path("scrapehook.db").display().to_string();
        binary
            .set("SERVER__LISTEN", "127.0.0.1:0")
            .set("STORE__PATH", &path)
            .set("UPSTREAM__BASE_URL", &format!("http://{}", free_address()))
            .set("UPSTREAM__API_KEY", UPSTREAM_KEY)
    }

    /// On an address of its own, with this upstream, and as fast as it goes.
    pub fn with_upstream(url: &str) -> Self {
        let address = free_address().to_string();
        Self::new()
            .set("SERVER__LISTEN", &address)
            .set("SERVER__PUBLIC_URL", &format!("http://{address}"))
            .set("UPSTREAM__BASE_URL", url)
            .set("DISPATCH__MIN_INTERVAL", "1ms")
    }

    pub fn set(self, key: &str, value: &str) -> Self {
        self.variable(&format!("SCRAPEHOOK_{key}"), value)
    }

    /// What a setting was set to.
    pub fn value(&self, key: &str) -> &str {
        let name = format!("SCRAPEHOOK_{key}");
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap()
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has it started by another command, which must become it: the process keeps its id.
    pub fn within(mut self, command: &[&str]) -> Self {
        self.within = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.within.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_scrapehook")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(arguments).current_dir(self.folder.path()).env_clear();
        command.envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&mut self.command(arguments))
    }

    /// Runs with nobody to read standard output.
    pub fn run_unread(&self, arguments: &[&str]) -> (i32, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments);
        let (code, _, stderr) = run(command.stdout(writer));
        (code, stderr)
    }

    /// Runs what must be refused, and gives the line that says why.
    pub fn refused(&self, arguments: &[&str]) -> String {
        refusal(self.run(arguments))
    }

    pub fn serve(&self, arguments: &[&str]) -> Serving {
        self.try_serve(arguments).unwrap_or_else(|log| panic!("it does not serve: {log}"))
    }

    /// Gives its log where it ends before it serves.
    pub fn try_serve(&self, arguments: &[&str]) -> Result<Serving, String> {
        let mut child = self.command(&[&["serve"], arguments].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, hear) = mpsc::channel();
        let log = thread::spawn(move || {
            let mut log = String::new();
            for line in stderr.lines() {
                let line = line.unwrap();
                let _ = tell.send(serde_json::from_str(&line).unwrap_or_default());
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        let mut serving = Serving { child, log: Some(log), lines: hear, base: String::new() };
        match serving.hear("serving") {
            Some(event) => serving.base = format!("http://{}", event["address"].as_str().unwrap()),
            None => return Err(serving.end()),
        }
        Ok(serving)
    }
}

pub fn run(command: &mut Command) -> (i32, String, String) {
    let child = command.spawn().unwrap();
    let id = child.id();
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = hear.recv_timeout(DEADLINE) else {
        signal(id, "-KILL");
        panic!("{command:?} does not end");
    };
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

pub fn refusal((code, stdout, stderr): (i32, String, String)) -> String {
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(stdout, "");
    let (log, words): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| line.starts_with('{'));
    assert!(log.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{stderr}");
    assert_eq!(words.len(), 1, "one line: {stderr}");
    assert_eq!(stderr.lines().last(), Some(words[0]));
    assert!(words[0].starts_with("scrapehook: "), "{stderr}");
    for secret in [UPSTREAM_KEY, API_KEY, CALLBACK_SECRET] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
    words[0].to_owned()
}

pub fn signal(id: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
}

/// A binary that serves; killed where a test fails.
pub struct Serving {
    child: Child,
    log: Option<JoinHandle<String>>,
    /// The lines of its log as they come.
    lines: mpsc::Receiver<Value>,
    pub base: String,
}

impl Serving {
    /// Waits for a line of its log with this message; `None` where it ends without it.
    pub fn hear(&self, message: &str) -> Option<Value> {
        let mut next = || self.lines.recv_timeout(DEADLINE).ok();
        std::iter::from_fn(&mut next).find(|event| event["message"] == message)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes that the process holds now.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How long the process has had a processor so far.
    #[cfg(target_os = "linux")]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // After the name, which can hold anything: user and system time are the 12th and 13th word, in 1/100 s.
        let words: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = words[11..13].iter().map(|word| word.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How many file descriptors the process holds now.
    #[cfg(target_os = "linux")]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Kills it, and does not wait.
    pub fn kill(&self) {
        signal(self.child.id(), "-KILL");
    }

    /// Kills it, and gives its log.
    pub fn end(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stopped(&mut self) -> ExitStatus {
        signal(self.child.id(), "-TERM");
        self.child.wait().unwrap()
    }

    /// Asks it to stop; gives its exit code and all that it wrote.
    pub fn terminate(self) -> (i32, String) {
        signal(self.child.id(), "-TERM");
        self.ended()
    }

    /// Waits until it has ended; gives its exit code and all that it wrote.
    pub fn ended(mut self) -> (i32, String) {
        let log = self.log.take().unwrap();
        let (tell, hear) = mpsc::channel();
        // Its log ends when the process does.
        thread::spawn(move || tell.send(log.join().unwrap()));
        let mut text = hear.recv_timeout(DEADLINE).expect("it stops in time");
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (code, text)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
