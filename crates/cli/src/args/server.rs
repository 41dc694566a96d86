//! The settings of the server and of the engine in it. An argument here that
//! has a variable is a setting: the configuration file knows it by its flag's
//! name, with no further list to keep.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use crossbill_core::limits::RESIDENT_VECTORS_PERCENT;

use crate::args::{ModelArgs, QuotaArgs, StorageArg, StoreArgs};
use crate::log::LogFormat;
use crate::units::ByteSize;

/// Settings of the server. Each is taken from its flag, else its environment
/// variable, else the configuration file, else its default.
#[derive(Args)]
#[command(after_help = "\
Every setting can be given as a flag, as the environment variable named beside it, or under the
flag's name in the TOML file of --config; the first of these that is there counts. A setting that
repeats is a list in the file and separated by commas in a variable. Further sources of imports
are [[integration]] tables of the file: id, kind (s3, gcs or azure), endpoint, buckets;
for s3 region, access-key-id, secret-access-key, session-token, path-style; for gcs
service-account-key or service-account-file; for azure account, access-key or sas-token.

Examples:
  crossbill serve
  crossbill serve --data /var/lib/crossbill --allow-import-dir /srv/embeddings
  crossbill serve --listen 0.0.0.0:5080 --api-key-file /etc/crossbill/keys
  crossbill serve --listen 0.0.0.0:5080 --keys-file /etc/crossbill/keys.toml
  crossbill serve --tls-cert chain.pem --tls-key key.pem --public-address db.example.com
  CROSSBILL_MEMORY_LIMIT=2GiB crossbill serve --config /etc/crossbill.toml")]
pub(crate) struct ServeArgs {
    /// Address and port of the control plane; indexes get ports of the same address
    #[arg(
        long,
        env = "CROSSBILL_LISTEN",
        value_name = "ADDRESS:PORT",
        hide_env_values = true,
        default_value = "127.0.0.1:5080"
    )]
    pub(crate) listen: SocketAddr,
    /// Directory of everything that is kept
    #[arg(
        long,
        env = "CROSSBILL_DATA",
        value_name = "DIR",
        hide_env_values = true,
        default_value = "./crossbill-data"
    )]
    pub(crate) data: PathBuf,
    /// First port given to an index
    #[arg(long, env = "CROSSBILL_INDEX_PORT_FIRST", value_name = "PORT", hide_env_values = true,
        default_value_t = 5081, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) index_port_first: u16,
    /// A key that clients must send (repeatable); without one, only loopback is served
    #[arg(
        long,
        env = "CROSSBILL_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) api_key: Vec<String>,
    /// File with one key a line; empty lines and lines that start with # do not count
    #[arg(long, env = "CROSSBILL_API_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// File of keys with roles in TOML, as `crossbill keys new` writes them; read again when it
    /// changes
    #[arg(long, env = "CROSSBILL_KEYS_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) keys_file: Option<PathBuf>,
    /// Requests a second of a key that does not say otherwise, or of all callers together where
    /// no key is asked for; default: any number
    #[arg(long, env = "CROSSBILL_REQUESTS_PER_SECOND", value_name = "N", hide_env_values = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) requests_per_second: Option<u32>,
    /// File that is told, in lines of JSON, who changed what and who was refused
    #[arg(long, env = "CROSSBILL_AUDIT_LOG", value_name = "FILE", hide_env_values = true)]
    pub(crate) audit_log: Option<PathBuf>,
    /// Form of the log on stderr
    #[arg(
        long,
        env = "CROSSBILL_LOG_FORMAT",
        value_enum,
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,
    /// OpenTelemetry collector that traces are sent to, over OTLP/HTTP
    #[arg(long, env = "CROSSBILL_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,
    /// Sends one trace in so many, where the caller did not decide
    #[arg(long, env = "CROSSBILL_TRACE_ONE_IN", value_name = "N", hide_env_values = true,
        default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) trace_one_in: u32,
    /// Directory that file:// imports may read (repeatable); none by default
    #[arg(
        long,
        env = "CROSSBILL_ALLOW_IMPORT_DIR",
        value_name = "DIR",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) allow_import_dir: Vec<PathBuf>,
    /// Directory that exports may write to (repeatable); none by default
    #[arg(
        long,
        env = "CROSSBILL_ALLOW_EXPORT_DIR",
        value_name = "DIR",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) allow_export_dir: Vec<PathBuf>,
    /// Bucket, or directory in it, that exports may write to, such as s3://bucket/exports
    /// (repeatable); none by default
    #[arg(
        long,
        env = "CROSSBILL_ALLOW_EXPORT_URI",
        value_name = "URI",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) allow_export_uri: Vec<String>,
    /// Address that is told, by a signed POST, of each import that has ended
    #[arg(long, env = "CROSSBILL_WEBHOOK_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) webhook_url: Option<String>,
    /// Secret that webhooks are signed with, as text or whsec_BASE64 (better in the environment
    /// or the file than on the command line)
    #[arg(long, env = "CROSSBILL_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) webhook_secret: Option<String>,
    /// Host name or address that clients reach indexes by; default: the one they asked
    #[arg(long, env = "CROSSBILL_PUBLIC_ADDRESS", value_name = "HOST", hide_env_values = true)]
    pub(crate) public_address: Option<String>,
    /// PEM file with the TLS certificate of the server and those that vouch for it: then every
    /// port speaks https and gRPC over TLS, and none plain HTTP
    #[arg(long, env = "CROSSBILL_TLS_CERT", value_name = "FILE", hide_env_values = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --tls-cert
    #[arg(long, env = "CROSSBILL_TLS_KEY", value_name = "FILE", hide_env_values = true)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Size that a request's body may have
    #[arg(
        long,
        env = "CROSSBILL_REQUEST_BYTES_MAX",
        value_name = "SIZE",
        hide_env_values = true,
        default_value = "2MiB"
    )]
    pub(crate) request_bytes_max: ByteSize,
    /// Size that an answer over gRPC may have; the official clients read so much
    #[arg(
        long,
        env = "CROSSBILL_ANSWER_BYTES_MAX",
        value_name = "SIZE",
        hide_env_values = true,
        default_value = "128MiB"
    )]
    pub(crate) answer_bytes_max: ByteSize,
    /// Limit of a request, as NAME=VALUE (repeatable; in the file also a table, limits):
    /// docs/limits.md has the names; default: the hosted service's
    #[arg(
        long,
        env = "CROSSBILL_LIMIT",
        value_name = "NAME=VALUE",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) limit: Vec<String>,
    /// Serve other machines without any key
    #[arg(long, env = "CROSSBILL_INSECURE", value_name = "BOOL", hide_env_values = true,
        default_value = "false", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = clap::ArgAction::Set)]
    pub(crate) insecure: bool,
    /// Print the settings and where each comes from as JSON, and stop
    #[arg(long)]
    pub(crate) print_settings: bool,
    /// Models.
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    /// Settings of the engine.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Settings of the database itself, with a server around it or without.
#[derive(Clone, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// File of settings in TOML
    #[arg(long, env = "CROSSBILL_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Memory that imports and indexes may use; default: a quarter of the machine's
    #[arg(long, env = "CROSSBILL_MEMORY_LIMIT", value_name = "SIZE", hide_env_values = true)]
    pub(crate) memory_limit: Option<ByteSize>,
    /// Threads for computing; default: one a processor
    #[arg(long, env = "CROSSBILL_THREADS", value_name = "N", hide_env_values = true,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Tasks of an import that run at once; default: as many as --threads
    #[arg(long, env = "CROSSBILL_IMPORT_WORKERS", value_name = "N", hide_env_values = true,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) import_workers: Option<u16>,
    /// Records that a task of an import aims at: what a crash repeats at most, by worker
    #[arg(long, env = "CROSSBILL_IMPORT_TASK_ROWS", value_name = "N", hide_env_values = true,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) import_task_rows: Option<u64>,
    /// Bytes a second that the merging of segments writes at most
    #[arg(
        long,
        env = "CROSSBILL_MERGE_RATE",
        value_name = "SIZE",
        hide_env_values = true,
        default_value = "200MiB"
    )]
    pub(crate) merge_rate: ByteSize,
    /// How a new index keeps full vectors where its creation does not say
    #[arg(
        long,
        env = "CROSSBILL_DEFAULT_VECTOR_STORAGE",
        value_enum,
        hide_env_values = true,
        default_value = "f32"
    )]
    pub(crate) default_vector_storage: StorageArg,
    /// Part of their raw size that full vectors may take of memory; the rest is read from disk
    #[arg(long, env = "CROSSBILL_RESIDENT_VECTORS", value_name = "PERCENT", hide_env_values = true,
        default_value_t = RESIDENT_VECTORS_PERCENT,
        value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) resident_vectors: u8,
    /// What an import may hold.
    #[command(flatten)]
    pub(crate) quotas: QuotaArgs,
    /// Object stores.
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    /// What is logged to stderr: off, error, warn, info, debug, trace, or target=level,…
    #[arg(long, env = "CROSSBILL_LOG", value_name = "LEVEL", hide_env_values = true)]
    pub(crate) log: Option<String>,
}
