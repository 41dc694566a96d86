//! Local sources: what is listed, what is never opened, what a changed file
//! comes to.

use super::*;
use crate::faults::FaultRule;
use crate::source::{Source, SourcePolicy};
use crossbill_core::{ManualClock, Seed, Timestamp};
use std::os::unix::fs::symlink;

struct Place {
    _directory: tempfile::TempDir,
    dir: PathBuf,
    policy: SourcePolicy,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().canonicalize().unwrap();
        let policy = SourcePolicy {
            allow_dirs: vec![dir.join("in")],
            data_dir: Some(dir.join("in/data")),
            clock: Arc::new(ManualClock::at(Timestamp(0))),
            ..SourcePolicy::default()
        };
        std::fs::create_dir(dir.join("in")).unwrap();
        Self { _directory: directory, dir, policy }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn source(&self, path: &str) -> Source {
        let uri = format!("file://{}/{path}", self.dir.display());
        self.policy.open(&self.policy.check(&uri, None).unwrap()).unwrap()
    }

    fn paths(&self, path: &str) -> Vec<String> {
        let listed = self.source(path).list().unwrap();
        listed.into_iter().map(|object| object.path).collect()
    }
}

#[test]
fn directories_files_and_globs_are_listed_sorted() {
    let place = Place::new();
    for path in ["in/x/ns2/b.parquet", "in/x/ns2/a/c.parquet", "in/x/ns1/ü.parquet", "in/x/d.csv"]
    {
        place.write(path, "12345");
    }
    let all = ["d.csv", "ns1/ü.parquet", "ns2/a/c.parquet", "ns2/b.parquet"];
    assert_eq!(place.paths("in/x"), all);
    assert_eq!(place.paths("in/x/"), all);
    assert_eq!(place.paths("in/x/**/*.parquet"), all[1..]);
    assert_eq!(place.paths("in/x/*/?.parquet"), ["ns1/ü.parquet", "ns2/b.parquet"]);
    assert_eq!(place.paths("in/x/ns2/*"), ["a/c.parquet", "b.parquet"]);
    assert_eq!(place.paths("in/x/ns1/%C3%BC.parquet"), ["ü.parquet"]);
    assert_eq!(place.paths("in/x/none*"), Vec::<String>::new());
    let object = &place.source("in/x/ns2").list().unwrap()[1];
    assert_eq!((object.path.as_str(), object.size), ("b.parquet", 5));
    for gone in ["in/y", "in/x/d.csv/", "in/x/d.csv/e"] {
        let error = place.source(gone).list().unwrap_err();
        assert!(matches!(error, SourceError::NotFound(_)), "{gone}: {error}");
    }
}

#[test]
fn ranges_are_read_of_the_listed_version_only() {
    let place = Place::new();
    place.write("in/x/x", "hello world");
    for uri in ["in/x", "in/x/x", "in/x/*"] {
        let source = place.source(uri);
        let object = source.list().unwrap().remove(0);
        assert_eq!(object.path, "x");
        assert_eq!(source.read(&object, 6..11).unwrap(), "world", "{uri}");
        assert_eq!(source.read(&object, 3..3).unwrap(), "");
        for bad in [0..12, 12..12] {
            assert!(matches!(source.read(&object, bad), Err(SourceError::Invalid(_))));
        }
    }
    let source = place.source("in/x");
    let object = source.list().unwrap().remove(0);
    place.write("in/x/x", "hello again");
    let longer = place.source("in/x").list().unwrap().remove(0);
    if longer.etag != object.etag {
        let error = source.read(&object, 0..5).unwrap_err();
        assert!(matches!(error, SourceError::Changed(_)), "{error}");
    }
    place.write("in/x/x", "hi");
    assert!(matches!(source.read(&object, 0..5), Err(SourceError::Changed(_))));
    std::fs::remove_file(place.dir.join("in/x/x")).unwrap();
    assert!(matches!(source.read(&object, 0..5), Err(SourceError::NotFound(_))));
}

#[test]
fn links_pipes_and_the_data_directory_are_never_read() {
    let place = Place::new();
    place.write("out/secret", "secret");
    place.write("in/data/catalog", "secret");
    place.write("in/ok", "fine");
    symlink(place.dir.join("out"), place.dir.join("in/dirlink")).unwrap();
    symlink(place.dir.join("out/secret"), place.dir.join("in/filelink")).unwrap();
    symlink("/proc/self/root", place.dir.join("in/magic")).unwrap();
    let pipe = place.dir.join("in/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (objects, skipped) = place.source("in").list_with_skipped().unwrap();
    assert_eq!(objects.iter().map(|o| o.path.as_str()).collect::<Vec<_>>(), ["ok"]);
    let skipped: Vec<_> = skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect();
    assert_eq!(
        skipped,
        [
            ("data", "the server's own data directory"),
            ("dirlink", "a symbolic link"),
            ("filelink", "a symbolic link"),
            ("magic", "a symbolic link"),
            ("pipe", "not a regular file"),
        ]
    );
    for path in ["in/dirlink", "in/dirlink/secret", "in/filelink", "in/magic/etc", "in/pipe"] {
        let error = place.source(path).list().unwrap_err();
        let refused = matches!(error, SourceError::Forbidden(_) | SourceError::NotFound(_));
        assert!(refused, "{path}: {error}");
    }
    // A request that was planned when the name still meant a file.
    let source = place.source("in");
    let object = &objects[0];
    for kind in ["link", "pipe", "directory"] {
        std::fs::remove_file(place.dir.join("in/ok")).unwrap();
        match kind {
            "link" => symlink(place.dir.join("out/secret"), place.dir.join("in/ok")).unwrap(),
            "pipe" => std::fs::rename(&pipe, place.dir.join("in/ok")).unwrap(),
            _ => std::fs::create_dir(place.dir.join("in/ok")).unwrap(),
        }
        let error = source.read(object, 0..4).unwrap_err();
        assert!(matches!(error, SourceError::Forbidden(_)), "{kind}: {error}");
    }
}

#[test]
fn opening_by_steps_refuses_what_the_system_call_refuses() {
    let place = Place::new();
    place.write("in/d/file", "x");
    place.write("out/secret", "secret");
    symlink(place.dir.join("out"), place.dir.join("in/dirlink")).unwrap();
    symlink("file", place.dir.join("in/d/filelink")).unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, place.dir.join("in"), flags, Mode::empty()).unwrap();
    for flags in [OFlags::RDONLY | OFlags::NONBLOCK, OFlags::PATH] {
        for (path, opens) in [
            ("d/file", true),
            ("d", true),
            ("dirlink/secret", false),
            ("dirlink", false),
            ("d/filelink", false),
            ("d/none", false),
        ] {
            let both =
                [open_by_steps(root.as_fd(), path, flags), open_beneath(root.as_fd(), path, flags)];
            for opened in both {
                assert_eq!(opened.is_ok(), opens, "{path} {flags:?}: {opened:?}");
            }
        }
    }
}

#[test]
fn a_name_swapped_for_a_link_never_leads_out() {
    let place = Place::new();
    place.write("in/d/file", "fine");
    place.write("out/file", "evil");
    let source = place.source("in");
    let object = source.list().unwrap().remove(0);
    let (d, aside, out) = (place.dir.join("in/d"), place.dir.join("in/e"), place.dir.join("out"));
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            for _ in 0..300 {
                std::fs::rename(&d, &aside).unwrap();
                symlink(&out, &d).unwrap();
                std::fs::remove_file(&d).unwrap();
                std::fs::rename(&aside, &d).unwrap();
            }
        });
        let mut read = 0;
        while !swapper.is_finished() {
            match source.read(&object, 0..4) {
                Ok(bytes) => {
                    assert_eq!(bytes, "fine");
                    read += 1;
                }
                Err(SourceError::NotFound(_) | SourceError::Forbidden(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let _ = read;
    });
}

#[test]
fn injected_faults_are_retried() {
    let mut place = Place::new();
    place.write("in/a", "text");
    let rule = FaultRule::new(FaultOp::Get, Fault::ErrorBefore, 500);
    let plan = Arc::new(FaultPlan::new(Seed(3), vec![rule]));
    place.policy.faults = Some(Arc::clone(&plan));
    let source = place.source("in");
    let object = source.list().unwrap().remove(0);
    for _ in 0..50 {
        assert_eq!(source.read(&object, 0..4).unwrap(), "text");
    }
    assert!(plan.struck() > 10);
}
