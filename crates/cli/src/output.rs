//! Where text leaves the program: results on stdout, everything said about
//! them on stderr. No other module writes to either.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

/// Writes one line of result to stdout.
pub(crate) fn line(text: &str) {
    write_all(&mut io::stdout().lock(), text);
}

/// Writes one line about the work to stderr.
pub(crate) fn note(text: &str) {
    write_all(&mut io::stderr().lock(), text);
}

/// Writes `value` as one indented JSON document to stdout.
pub(crate) fn document<T: Serialize + ?Sized>(value: &T) {
    line(&serde_json::to_string_pretty(value).expect("our documents have only string keys"));
}

/// Writes `value` as one line of JSON to stdout.
pub(crate) fn json_line<T: Serialize + ?Sized>(value: &T) {
    line(&serde_json::to_string(value).expect("our documents have only string keys"));
}

/// Writes bytes that are made elsewhere (a completion script) to stdout.
pub(crate) fn raw(bytes: &[u8]) {
    // A reader that went away (`| head`) is no fault of ours.
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Whether someone watches stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns of the terminal on stdout; none where it is a file or pipe.
pub(crate) fn stdout_columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    console::Term::stdout().size_checked().map(|(_rows, columns)| usize::from(columns))
}

fn write_all(out: &mut dyn Write, text: &str) {
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
