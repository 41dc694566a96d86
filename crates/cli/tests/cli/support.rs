//! Running the binary, and small Parquet files for it to import.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use crossbill_core::{Clock as _, SystemClock};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Results.
    pub(crate) stdout: String,
    /// What was said about them.
    pub(crate) stderr: String,
}

impl Ran {
    /// Stdout as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, after checking the exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// The binary with none of our variables set.
pub(crate) fn crossbill() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbill"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CROSSBILL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary with `args`.
pub(crate) fn with_args<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    run(crossbill().args(args))
}

/// Writes records of two components as one Parquet file: id and vector.
pub(crate) fn write_parquet(path: &Path, records: &[(&str, &[f32])]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let ids = StringArray::from_iter_values(records.iter().map(|(id, _)| *id));
    let mut lists = ListBuilder::new(Float32Builder::new());
    for (_, values) in records {
        lists.values().append_slice(values);
        lists.append(true);
    }
    let metadata = StringArray::from_iter_values(
        records.iter().map(|(id, _)| format!(r#"{{"name":"record {id}"}}"#)),
    );
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(ids)),
        ("values", Arc::new(lists.finish())),
        ("metadata", Arc::new(metadata)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A directory with a good file in each of two namespaces; one id is given
/// twice.
pub(crate) fn good_source(dir: &Path) -> PathBuf {
    let source = dir.join("source");
    write_parquet(
        &source.join("en/a.parquet"),
        &[("a", &[1.0, 0.0]), ("b", &[0.0, 1.0]), ("c", &[0.6, 0.8]), ("a", &[1.0, 0.1])],
    );
    write_parquet(&source.join("de/b.parquet"), &[("d", &[1.0, 1.0])]);
    source
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    /// What it said until it was ready.
    pub(crate) banner: String,
    /// Its address.
    pub(crate) url: String,
}

impl Server {
    /// Starts a server on ports of its own and waits until it is ready.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_in(Path::new("."), data, args)
    }

    /// The same in another working directory.
    pub(crate) fn start_in(folder: &Path, data: &Path, args: &[&str]) -> Self {
        let mut child = crossbill()
            .current_dir(folder)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(["--index-port-first", &free_port().to_string()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("pc.index(") {
            assert!(lines.read_line(&mut banner).unwrap() > 0, "the server ended: {banner}");
        }
        let url = banner
            .lines()
            .find_map(|line| line.trim().strip_prefix("server"))
            .unwrap_or_else(|| panic!("no address in {banner}"))
            .trim()
            .to_owned();
        Self { child, lines, banner, url }
    }

    /// Sends SIGTERM and waits: exit code, and what was said at the end.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
        let mut said = String::new();
        while self.lines.read_line(&mut said).unwrap() > 0 {}
        (self.child.wait().unwrap().code(), said)
    }

    /// Runs a client command against this server.
    pub(crate) fn ask(&self, args: &[&str]) -> Ran {
        run(crossbill().args(args).args(["--server", &self.url]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until `done` or ten seconds have passed.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !done() {
        assert!(clock.monotonic() < Duration::from_secs(10), "waited in vain until {what}");
        clock.sleep(Duration::from_millis(20));
    }
}
