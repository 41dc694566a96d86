//! What the first rows of a source would become: the look that people take
//! before they start an import.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbill_core::limits::SOURCE_TEST_FILES_MAX;
use crossbill_core::{Error, Result};
use crossbill_import::{ImportError, Preview, PreviewRequest, preview};
use crossbill_store::SourcePolicy;

use crate::Index;
use crate::types::StartImport;

/// How long a preview goes on trying. A caller waits for its answer.
const BUDGET: Duration = Duration::from_secs(5);
/// How long one request of a preview may take.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Index {
    /// Looks at the first file that `start` would import. `Invalid` or
    /// `Forbidden` where it would not be started; what is wrong with the file
    /// itself stands in the preview. Ends once nobody wants it any more.
    pub fn preview_import(
        &self,
        start: &StartImport,
        unwanted: &Arc<AtomicBool>,
    ) -> Result<Preview> {
        self.check_open()?;
        let context = self.context();
        let env = &context.env;
        let policy = SourcePolicy {
            retry_budget: env.policy.retry_budget.min(BUDGET),
            attempt_timeout: env.policy.attempt_timeout.min(TIMEOUT),
            ..(*env.policy).clone()
        };
        let checked = policy.check(&start.uri, start.integration.as_deref())?;
        let source = policy.open(&checked).map_err(Error::from)?;
        let source = source.with_cancel(Arc::clone(unwanted));
        let (objects, _) = source.peek(SOURCE_TEST_FILES_MAX).map_err(Error::from)?;
        let request = PreviewRequest {
            shape: context.shape,
            text: context.text.schema().clone(),
            documents: context.documents.clone(),
            mapping: start.options.mapping.clone().for_index(context.documents.as_ref()),
            limits: env.limits,
        };
        preview(&source, objects, &request, &env.build_pool).map_err(|error| match error {
            ImportError::Failed(error) => error,
            other => Error::internal(other.to_string()),
        })
    }
}
