//! `crossbill serve`: opens the database, serves it until a signal comes,
//! and says on stderr what a newcomer needs to know.

use std::fs;
use std::path::PathBuf;

use crossbill_db::{Database, DatabaseOptions, Secret, Webhook, WebhookOptions};
use crossbill_server::{AuditLog, Bound, Keys, RateLimit, ServeError, ServerConfig, Tls};

use crate::args::ServeArgs;
use crate::error::{CliError, Exit, Result};
use crate::keys::KeySources;
use crate::reload::Watched;
use crate::settings::IntegrationTable;
use crate::signals::Signals;
use crate::traces::Traces;
use crate::units::ByteSize;
use crate::{log, models, options, output, traces};

/// Serves until SIGINT or SIGTERM, then drains.
pub(crate) fn run(args: &ServeArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let traces = traces(args)?;
    let level = args.engine.log.as_deref().unwrap_or("info");
    log::start(level, args.log_format, traces.as_ref())?;
    let mut config = server_config(args)?;
    config.audit = audit(args)?;
    config.joins_trace = traces.as_ref().map(|_| traces::join as _);
    let with_key = !config.keys.is_empty();
    if !with_key && !args.insecure && !args.listen.ip().is_loopback() {
        return Err(no_key(&ServeError::NoKey(args.listen)));
    }
    let options = database_options(args, integrations)?;
    let db = Database::open(options).map_err(|error| {
        CliError::failed(format!("cannot open {}: {error}", args.data.display()))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start threads: {error}")))?;
    let watched = Watched::new(
        args,
        config.keys.clone(),
        config.tls.clone(),
        config.audit.clone(),
        config.clock.clone(),
    );
    let served = runtime.block_on(async {
        tokio::spawn(watched.watch());
        let signals = Signals::new()
            .map_err(|error| CliError::failed(format!("cannot listen for signals: {error}")))?;
        let ready = |bound: &Bound| output::note(&banner(args, bound, with_key));
        crossbill_server::serve(db.clone(), config, ready, shutdown(signals)).await.map_err(refused)
    });
    // Also where serving failed: imports stop at a task's edge.
    db.shutdown();
    served?;
    output::note("stopped; the data is complete on disk");
    Ok(Exit::Success)
}

/// Where traces go, where they go anywhere.
fn traces(args: &ServeArgs) -> Result<Option<Traces>> {
    args.otlp_endpoint.as_ref().map(|url| Traces::to(url, args.trace_one_in)).transpose()
}

/// The options of the database that is served.
pub(crate) fn database_options(
    args: &ServeArgs,
    integrations: &[IntegrationTable],
) -> Result<DatabaseOptions> {
    let allow_dirs = args.allow_import_dir.clone();
    let mut options = options::database(
        args.data.clone(),
        &args.engine,
        integrations,
        allow_dirs,
        args.index_port_first,
    )?;
    options.export_dirs = options::absolute(&args.allow_export_dir)?;
    options.export_uris.clone_from(&args.allow_export_uri);
    options::check_exports(&options)?;
    options.limits = options::limits(&args.limit)?;
    options.webhook = webhook(args)?;
    Ok(options)
}

/// Whom to tell of imports that have ended.
fn webhook(args: &ServeArgs) -> Result<Option<WebhookOptions>> {
    let secret = args.webhook_secret.clone().map(Secret::new);
    match (&args.webhook_url, secret) {
        (Some(url), Some(secret)) => {
            let target =
                Webhook::new(url, secret).map_err(|error| CliError::usage(error.message()))?;
            Ok(Some(WebhookOptions { target, body: crossbill_server::import_finished }))
        }
        (None, None) => Ok(None),
        _ => Err(CliError::usage(
            "found only one of --webhook-url and --webhook-secret, expected both or neither",
        )),
    }
}

/// Ends at the first signal; from then on a second one ends the process.
async fn shutdown(mut signals: Signals) {
    signals.next().await;
    output::note("stopping: answering what was asked (a second signal stops at once)");
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(Exit::Interrupted as i32);
    });
}

fn refused(error: ServeError) -> CliError {
    match error {
        ServeError::NoKey(_) => no_key(&error),
        ServeError::Listen { .. } | ServeError::Index(_) => CliError::failed(error.to_string())
            .hint(
                "another server may be running there; choose another port with --listen or \
             --index-port-first",
            ),
        _ => CliError::failed(error.to_string()),
    }
}

fn no_key(error: &ServeError) -> CliError {
    CliError::usage(error.to_string()).hint(
        "give keys with --keys-file FILE (crossbill keys new makes them) or CROSSBILL_API_KEY, \
         or drop --listen",
    )
}

/// The options of what serves it, but for the audit log: to open one is to make it.
pub(crate) fn server_config(args: &ServeArgs) -> Result<ServerConfig> {
    let mut config = ServerConfig::new(args.listen);
    config.public_address = args.public_address.clone();
    config.insecure = args.insecure;
    config.vector_storage = args.engine.default_vector_storage.into();
    config.request_bytes_max = usize::try_from(args.request_bytes_max.0).unwrap_or(usize::MAX);
    let share = usize::try_from(options::memory_bytes(&args.engine)? / 8).unwrap_or(usize::MAX);
    config.request_memory_bytes =
        config.request_memory_bytes.min(share).max(config.request_bytes_max);
    let answer = usize::try_from(args.answer_bytes_max.0).unwrap_or(usize::MAX);
    config.answer_bytes_max = answer;
    config.tls = tls(args)?;
    config.keys = keys(args)?;
    config.rate_limit = args.requests_per_second.and_then(RateLimit::per_second);
    config.inference = models::inference(&args.models)?;
    Ok(config)
}

fn tls(args: &ServeArgs) -> Result<Option<Tls>> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => match Tls::from_files(certificate, key) {
            Ok(tls) => Ok(Some(tls)),
            Err(error) => Err(CliError::usage(format!("TLS: {error}"))),
        },
        (None, None) => Ok(None),
        _ => Err(CliError::usage(
            "found only one of --tls-cert and --tls-key, expected both or neither",
        )),
    }
}

fn keys(args: &ServeArgs) -> Result<Keys> {
    let (lines, table) = (args.api_key_file.as_deref(), args.keys_file.as_deref());
    let keys = KeySources { given: &args.api_key, lines, table }.read()?;
    Keys::new(keys).map_err(|error| CliError::usage(error.to_string()))
}

/// The audit log, made where it is missing.
pub(crate) fn audit(args: &ServeArgs) -> Result<Option<AuditLog>> {
    let open = |path: &PathBuf| {
        AuditLog::open(path).map_err(|error| {
            CliError::usage(format!("cannot write the audit log {}: {error}", path.display()))
        })
    };
    args.audit_log.as_ref().map(open).transpose()
}

/// What is said once every listener accepts connections.
fn banner(args: &ServeArgs, bound: &Bound, with_key: bool) -> String {
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", bound.control);
    let data = fs::canonicalize(&args.data).unwrap_or_else(|_| args.data.clone());
    let key = match (with_key, bound.control.ip().is_loopback()) {
        (true, _) => "required".to_owned(),
        (false, true) => "no API key: listening on loopback only".to_owned(),
        (false, false) => "no API key: OPEN TO ANYONE who reaches this address".to_owned(),
    };
    let dirs = if args.allow_import_dir.is_empty() {
        "no directory; allow one with --allow-import-dir DIR".to_owned()
    } else {
        let dirs = args.allow_import_dir.iter().map(|dir| dir.display().to_string());
        dirs.collect::<Vec<_>>().join(", ")
    };
    let stores = &args.engine.stores;
    let at = |endpoint: &Option<String>, usual: &str| endpoint.clone().unwrap_or(usual.to_owned());
    let stores = format!(
        "s3:// at {}, gs:// at {}, az:// at {}",
        at(&stores.s3_endpoint, "AWS"),
        at(&stores.gcs_endpoint, "Google"),
        at(&stores.azure_endpoint, "Azure"),
    );
    let memory = ByteSize(options::memory_bytes(&args.engine).unwrap_or_default());
    let mut lines = vec![
        format!("crossbill {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  server        {url}"),
        format!("  console       {url}/ in a browser"),
        format!("  data          {}", data.display()),
        format!("  access        {key}"),
        format!("  imports from  {dirs}; {stores}"),
        format!("  engine        {memory} of memory, {} threads", options::threads(&args.engine)),
    ];
    for (name, address) in &bound.indexes {
        lines.push(format!("  index         {name} at {scheme}://{address}"));
    }
    let api_key = if with_key { "YOUR-KEY" } else { "local" };
    lines.extend([
        String::new(),
        "Connect from Python (pip install pinecone):".to_owned(),
        "  from pinecone import Pinecone".to_owned(),
        format!("  pc = Pinecone(api_key=\"{api_key}\", host=\"{url}\")"),
        "  index = pc.index(\"NAME\")".to_owned(),
    ]);
    lines.join("\n")
}
