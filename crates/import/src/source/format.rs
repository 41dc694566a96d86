//! The format of a file, by the ending of its name.

/// A file format that imports read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// Apache Parquet.
    Parquet,
    /// A JSON object a line, packed or not.
    Lines(Packing),
    /// Apache Arrow's IPC format, as a file or as a stream.
    Arrow,
    /// One NumPy array.
    Numpy,
}

/// How a file as a whole is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    /// The format of a file of this path; none where imports read no such.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let (stem, ending) = name.rsplit_once('.')?;
        let is_lines = |ending: &str| matches!(ending, "jsonl" | "ndjson");
        let packed = |packing| {
            let (_, inner) = stem.rsplit_once('.')?;
            is_lines(inner).then_some(Format::Lines(packing))
        };
        match ending {
            "parquet" => Some(Format::Parquet),
            "arrow" | "arrows" | "feather" | "ipc" => Some(Format::Arrow),
            "npy" => Some(Format::Numpy),
            "gz" => packed(Packing::Gzip),
            "zst" | "zstd" => packed(Packing::Zstd),
            ending => is_lines(ending).then_some(Format::Lines(Packing::Plain)),
        }
    }

    /// `path` without the ending that says its format and packing.
    pub(crate) fn stem(path: &str) -> &str {
        let endings = match Self::of(path) {
            None => 0,
            Some(Format::Lines(Packing::Gzip | Packing::Zstd)) => 2,
            Some(_) => 1,
        };
        (0..endings).fold(path, |path, _| path.rsplit_once('.').map_or(path, |(stem, _)| stem))
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Parquet => "Parquet",
            Format::Lines(_) => "JSON lines",
            Format::Arrow => "Arrow",
            Format::Numpy => "NumPy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        let cases = [
            ("a/b.parquet", Some(Format::Parquet)),
            ("a/b.PARQUET", Some(Format::Parquet)),
            ("b.snappy.parquet", Some(Format::Parquet)),
            ("b.jsonl", Some(Format::Lines(Packing::Plain))),
            ("b.ndjson.gz", Some(Format::Lines(Packing::Gzip))),
            ("b.JSONL.ZST", Some(Format::Lines(Packing::Zstd))),
            ("b.arrow", Some(Format::Arrow)),
            ("b.feather", Some(Format::Arrow)),
            ("b.npy", Some(Format::Numpy)),
            ("b.npz", None),
            ("b.json", None),
            ("b.csv.gz", None),
            ("jsonl.d/b", None),
            ("jsonl.gz", None),
            ("parquet", None),
        ];
        for (path, format) in cases {
            assert_eq!(Format::of(path), format, "{path}");
        }
    }
}
