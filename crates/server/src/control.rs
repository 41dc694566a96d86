//! The control plane's routes: indexes, and the calls that this server knows
//! but does not do, each of which says so.

use std::collections::BTreeMap;

use crossbill_core::{Error, ErrorKind, IndexName};
use crossbill_db::{IndexChange, IndexInfo, SpecChange};
use crossbill_wire::{
    ConfigureIndex, CreateIndex, EmbedSettings, IndexFacts, IndexList, IndexModel, Placement,
    StoredSpec,
};
use serde_json::json;

use crate::backups::make_index;
use crate::call::{Answer, Call, Reply};
use crate::error::ApiError;
use crate::host::index_host;
use crate::models::changed_spec;

/// Attempts at a change to how an index's records are embedded, each of which
/// fails only where another change was made meanwhile.
const SPEC_ATTEMPTS_MAX: u32 = 8;

/// `GET /health`: the process answers.
pub(crate) fn health(_: &Call) -> Answer {
    Reply::json(200, &json!({"status": "ok"}))
}

/// `GET /ready`: every listener is open and nothing is being drained.
pub(crate) fn ready(call: &Call) -> Answer {
    match call.shared.is_ready() {
        true => Reply::json(200, &json!({"status": "ready"})),
        false => Err(ApiError::unavailable("the server is starting or stopping")),
    }
}

/// The answer about an index, with the host under which this caller finds it.
pub(crate) fn model(call: &Call, info: &IndexInfo) -> IndexModel {
    let requested = call.header("host").or(call.authority.as_deref());
    let config = &call.shared.config;
    let public = config.public_address.as_deref();
    let host = index_host(public, requested, call.local, info.port, config.tls.is_some());
    let stored = stored_spec(info.spec_json.as_deref(), &info.cloud, &info.region);
    IndexModel::of(IndexFacts {
        name: &info.name,
        shape: &info.shape,
        host: &host,
        deletion_protection: info.deletion_protection,
        tags: &info.tags,
        stored: &stored,
    })
}

/// What the catalog kept of a create request; made up for an index that was
/// made without the API.
pub(crate) fn stored_spec(spec_json: Option<&str>, cloud: &str, region: &str) -> StoredSpec {
    let stored = spec_json.and_then(|json| serde_json::from_str(json).ok());
    stored.unwrap_or_else(|| {
        let placement = match cloud.is_empty() || region.is_empty() {
            true => Placement::managed(),
            false => Placement::Managed { cloud: cloud.to_owned(), region: region.to_owned() },
        };
        StoredSpec::of(placement)
    })
}

/// `GET /indexes`.
pub(crate) fn list_indexes(call: &Call) -> Answer {
    let infos = call.shared.db.list_indexes();
    let seen = infos.iter().filter(|info| call.may_see(info.name.as_str()));
    let indexes = seen.map(|info| model(call, info)).collect();
    Reply::json(200, &IndexList { indexes })
}

/// `POST /indexes`: the index is ready and listens when this answers.
pub(crate) fn create_index(call: &Call) -> Answer {
    let request: CreateIndex = call.json()?;
    let storage = call.shared.config.vector_storage;
    let plan = request.into_plan(call.version(), storage, call.limits())?;
    let name = match &plan.name {
        Some(name) => name.clone(),
        None => {
            let id = call.shared.config.ids.next_id().to_string();
            IndexName::new(&format!("index-{}", &id[..12])).map_err(Error::from)?
        }
    };
    let info = make_index(&call.shared.db, plan, name)?;
    open_port(call, &info)?;
    Reply::json(201, &model(call, &info))
}

/// Lets a new index listen.
pub(crate) fn open_port(call: &Call, info: &IndexInfo) -> Result<(), ApiError> {
    if let Err(error) = call.shared.ports.open(&call.shared, info) {
        undo_create(call, info);
        return Err(error.into());
    }
    Ok(())
}

/// An index that cannot be reached is no index: takes it back.
fn undo_create(call: &Call, info: &IndexInfo) {
    let db = &call.shared.db;
    let unprotect = IndexChange { deletion_protection: Some(false), ..IndexChange::default() };
    let undone = db
        .configure_index(info.name.as_str(), unprotect)
        .and_then(|_| db.delete_index(info.name.as_str()));
    if let Err(error) = undone {
        tracing::error!(index = %info.name, %error, "an index without a listener stays");
    }
}

/// `GET /indexes/{name}`.
pub(crate) fn describe_index(call: &Call) -> Answer {
    let info = call.shared.db.describe_index(call.param("name"))?;
    Reply::json(200, &model(call, &info))
}

/// `PATCH /indexes/{name}`.
pub(crate) fn configure_index(call: &Call) -> Answer {
    // An unknown index is the first thing to hear of, before the body.
    let mut info = call.shared.db.describe_index(call.param("name"))?;
    let mut request: ConfigureIndex = call.json()?;
    let embed = request.embed.take();
    let (deletion_protection, tags) = request.into_change(call.limits())?;
    for _ in 1..SPEC_ATTEMPTS_MAX {
        match configured(call, &info, embed.clone(), (deletion_protection, tags.clone())) {
            // Somebody else was faster: what they changed stays.
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => {
                info = call.shared.db.describe_index(call.param("name"))?;
            }
            changed => return Reply::json(202, &model(call, &changed?)),
        }
    }
    let changed = configured(call, &info, embed, (deletion_protection, tags))?;
    Reply::json(202, &model(call, &changed))
}

/// Changes an index as it was read; `FailedPrecondition` where what its records
/// are embedded by has changed since.
fn configured(
    call: &Call,
    info: &IndexInfo,
    embed: Option<EmbedSettings>,
    (deletion_protection, tags): (Option<bool>, BTreeMap<String, String>),
) -> crossbill_core::Result<IndexInfo> {
    let to = embed.map(|embed| changed_spec(call, info, embed)).transpose()?;
    let spec_json = to.map(|to| SpecChange { from: info.spec_json.clone(), to });
    let change = IndexChange { tags, deletion_protection, spec_json };
    call.shared.db.configure_index(info.name.as_str(), change)
}

/// `DELETE /indexes/{name}`: gone, and its port free, when this answers.
pub(crate) fn delete_index(call: &Call) -> Answer {
    let info = call.shared.db.describe_index(call.param("name"))?;
    call.shared.db.delete_index(info.name.as_str())?;
    call.shared.ports.close(&info.uid);
    Reply::bare(202)
}

/// Assistants. Not found and not 501: a TypeScript client tries that three
/// times more, and then hides the message.
pub(crate) fn no_assistants(_: &Call) -> Answer {
    Err(ApiError::not_found("this server does not have assistants"))
}
