//! The output of client commands: results on standard output, everything else on standard error.
//!
//! Must never pass on control characters, because labels and upstream's words could move a terminal's cursor.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use crate::cli::client::api::Answer;
use crate::domain::time::Timestamp;

/// The space between two columns.
const GAP: usize = 2;
/// The least width of a column, whatever the terminal.
const LEAST: usize = 12;

/// Prints a note that is not a result. A closed standard error is no reason to stop.
pub(in crate::cli) fn note(said: &str) {
    let width = width(io::stderr());
    let lines = said.split('\n').flat_map(|line| wrap(&clean(line), width));
    let _ = writeln!(anstream::stderr(), "{}", lines.collect::<Vec<_>>().join("\n"));
}

/// Standard output.
#[derive(Debug)]
pub(in crate::cli) struct Output {
    out: anstream::Stdout,
    /// The width of the terminal. None if the output is not a terminal.
    width: Option<usize>,
}

impl Output {
    pub(in crate::cli) fn new() -> Self {
        Self { out: anstream::stdout(), width: width(io::stdout()) }
    }

    /// Prints an answer, as received for programs, or as `show` formats it for people.
    pub(in crate::cli) fn answer(
        &mut self,
        is_json: bool,
        answer: &Answer,
        show: impl FnOnce(&mut Self, &Value) -> io::Result<()>,
    ) -> io::Result<()> {
        if is_json { self.json(&answer.text) } else { show(self, &answer.value) }
    }

    /// Prints JSON as the same value in one line. Unlike [`line`](Self::line), this must not remove control
    /// sequences, because that would change values.
    pub(in crate::cli) fn json(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{}", harmless(text))
    }

    /// Prints a line as it is.
    pub(in crate::cli) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Prints a line in a style, cleared of control characters.
    pub(in crate::cli) fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        writeln!(self.out, "{style}{}{style:#}", clean(text))
    }

    /// Prints a line with further words after it. On a terminal, they go below it if they don't fit.
    pub(in crate::cli) fn entry(
        &mut self,
        style: Style,
        head: &str,
        indent: usize,
        more: &str,
    ) -> io::Result<()> {
        let together = format!("{head}  {more}");
        let together = together.trim_end();
        if more.is_empty() || self.width.is_none_or(|width| together.chars().count() <= width) {
            return self.styled(style, together);
        }
        self.styled(style, head)?;
        self.paragraph(indent, more)
    }

    /// Prints indented words. On a terminal, the lines are wrapped.
    pub(in crate::cli) fn paragraph(&mut self, indent: usize, text: &str) -> io::Result<()> {
        for line in wrap(&clean(text), self.width.map(|width| width.saturating_sub(indent))) {
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    /// Prints names and values. Names without a value are left out.
    pub(in crate::cli) fn fields(&mut self, fields: &[(&str, String)]) -> io::Result<()> {
        let indent = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + GAP;
        let room = self.width.map(|width| width.saturating_sub(indent));
        let bold = Style::new().bold();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let lines = wrap(&clean(value), room).join(&format!("\n{:indent$}", ""));
            writeln!(self.out, "{bold}{name}{bold:#}{:1$}{lines}", "", indent - name.len())?;
        }
        Ok(())
    }

    /// Prints a table. On a narrow terminal, the last column is cut.
    pub(in crate::cli) fn table(&mut self, header: &[&str], rows: Vec<Row>) -> io::Result<()> {
        let clean_row = |row: Row| (row.style, row.cells.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
        let mut rows: Vec<_> = rows.into_iter().map(clean_row).collect();
        let last = header.len().saturating_sub(1);
        if let Some(width) = self.width {
            let widest = |column: usize| {
                let cells = rows.iter().filter_map(|(_, cells)| cells.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
                widest.max(header[column].len())
            };
            let taken: usize = (0..last).map(|column| widest(column) + GAP).sum();
            let room = width.saturating_sub(taken).max(LEAST);
            for cell in rows.iter_mut().filter_map(|(_, cells)| cells.get_mut(last)) {
                *cell = cut(cell, room);
            }
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(header.iter().map(|name| name.to_uppercase()));
        let mut styles = vec![Style::new().bold()];
        for (style, cells) in rows {
            styles.push(style);
            table.add_row(cells);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, u16::try_from(GAP).unwrap_or_default()));
        }
        for (line, style) in table.lines().zip(styles) {
            writeln!(self.out, "{style}{}{style:#}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One line of a table.
#[derive(Debug)]
pub(in crate::cli) struct Row {
    cells: Vec<String>,
    style: Style,
}

impl Row {
    /// Creates a row with the colour of its state.
    pub(in crate::cli) fn new(state: &str, cells: Vec<String>) -> Self {
        Self { cells, style: style(state) }
    }
}

/// The style of a state. Bad ends stand out, and so do states that may need a decision.
pub(in crate::cli) fn style(state: &str) -> Style {
    match state {
        "failed" | "rejected" | "stalled" => AnsiColor::Red.on_default(),
        "partial" | "unconfirmed" => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}

/// The width of the terminal. None if the stream is not a terminal.
pub(in crate::cli) fn width(stream: impl IsTerminal + AsFd) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Wraps text between words into lines of this width, and keeps its indent. Without a width, it stays in one line.
fn wrap(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room.filter(|room| text.chars().count() > *room) else { return vec![text.to_owned()] };
    let indent = text.len() - text.trim_start_matches(' ').len();
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let is_first = line.len() == indent;
        if !is_first && line.chars().count() + 1 + word.chars().count() > room.max(LEAST) {
            lines.push(format!("{:indent$}{word}", ""));
        } else {
            line.push_str(if is_first { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// Returns the text without control characters, which could steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Returns the same JSON without characters that could steer a terminal. All other control characters are invalid in
/// JSON's strings.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            // These occur only between values, and the output is one line.
            '\n' | '\r' | '\t' => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// Cuts the text to this width. URLs lose their middle, because their end distinguishes them.
fn cut(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let head = if text.starts_with("http") { kept / 3 } else { kept };
    let head_text: String = text.chars().take(head).collect();
    let tail_text: String = text.chars().skip(count - (kept - head)).collect();
    format!("{head_text}…{tail_text}")
}

/// Returns a field as text. Empty if it is null or missing.
pub(in crate::cli) fn text(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.contains_key("code") => {
            format!("{}: {}", text(&object[name], "code"), text(&object[name], "message"))
        }
        Value::Object(fields) => {
            let pairs = fields.keys().map(|key| format!("{key}={}", text(&object[name], key)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Returns a time for people, without fractions of seconds.
pub(in crate::cli) fn time(object: &Value, name: &str) -> String {
    let time = text(object, name);
    match time.split_once('.') {
        Some((seconds, _)) => format!("{} UTC", seconds.replace('T', " ")),
        None => time,
    }
}

/// Returns the time since a moment, in one unit.
pub(in crate::cli) fn age(object: &Value, name: &str, now: Timestamp) -> String {
    let Ok(then) = text(object, name).parse::<jiff::Timestamp>() else { return String::new() };
    match now.since(Timestamp::from_millis(then.as_millisecond())).as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_fits_is_not_cut_and_a_url_keeps_its_end() {
        assert_eq!(cut("just so", 7), "just so");
        assert_eq!(cut("a bit too long", 9), "a bit to…");
        let url = cut("https://www.tiktok.com/@chef/video/7301234567890123456", 31);
        assert_eq!((url.chars().count(), url.as_str()), (31, "https://ww…/7301234567890123456"));
    }

    #[test]
    fn words_are_broken_between_and_never_inside() {
        let lines = wrap("  one two three four-and-twenty", Some(12));
        assert_eq!(lines, ["  one two", "  three", "  four-and-twenty"]);
        assert_eq!(wrap("one  two", Some(12)), ["one  two"]);
        assert_eq!(wrap("", Some(12)), [""]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\r\n\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
    }

    #[test]
    fn json_is_harmless_and_stays_the_same_value() {
        let text = "{\"a\u{7f}\":\r\n\t[\"\u{80}\u{9b}2J\u{9f}\u{a0}\u{e9}\",\"\\u001b\\\\u\"]}";
        let printed = harmless(text);
        assert!(!printed.contains(char::is_control) && printed.contains("\\u009b2J"), "{printed}");
        let values = [text, &printed].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(values[0], values[1]);
    }

    #[test]
    fn an_age_has_one_unit() {
        let at = json!({ "at": "2025-09-23T13:30:37.000Z" });
        let then = Timestamp::from_millis(1_758_634_237_000);
        for (seconds, said) in [(0, "0s"), (59, "59s"), (61, "1m"), (7_200, "2h"), (172_800, "2d")] {
            let now = then.after(std::time::Duration::from_secs(seconds));
            assert_eq!(age(&at, "at", now), said);
        }
        assert_eq!(age(&json!({}), "at", then), "");
        assert_eq!(time(&at, "at"), "2025-09-23 13:30:37 UTC");
    }
}
