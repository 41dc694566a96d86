//! Copies of the whole data directory: begin one, describe it, cancel it.

use crossbill_db::RootCopyView;
use crossbill_wire::backups::{RootCopyModel, StartRootCopy};

use crate::call::{Answer, Call, Reply};

/// A copy as the API shows it.
pub fn root_copy_model(view: RootCopyView) -> RootCopyModel {
    RootCopyModel {
        uri: view.uri,
        directory: view.directory.display().to_string(),
        status: view.status.as_str().to_owned(),
        created_at: view.created_at.to_string(),
        finished_at: view.finished_at.map(|at| at.to_string()),
        files_total: view.files,
        bytes_total: view.bytes,
        bytes_copied: view.bytes_copied,
        bytes_reused: view.bytes_reused,
        error: view.error,
    }
}

/// `POST /root-copy`: answers at once; nothing is written yet.
pub(crate) fn start(call: &Call) -> Answer {
    let request: StartRootCopy = call.json()?;
    let view = call.shared.db.start_root_copy(&request.uri)?;
    Reply::json(202, &root_copy_model(view))
}

/// `GET /root-copy`: the one that is made, or the last one.
pub(crate) fn describe(call: &Call) -> Answer {
    Reply::json(200, &root_copy_model(call.shared.db.describe_root_copy()?))
}

/// `DELETE /root-copy`: no effect on one that has ended.
pub(crate) fn cancel(call: &Call) -> Answer {
    call.shared.db.cancel_root_copy();
    Reply::empty_object()
}
