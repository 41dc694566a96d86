//! Storage integrations, and whether a source can be read.

use crossbill_core::{Error, Result};
use crossbill_db::{Integration, IntegrationInfo, Secret, StoreKind};
use crossbill_wire::{
    CreateIntegration, IntegrationList, IntegrationModel, SourceFile, SourceTest, TestSource,
};

use crate::call::{Answer, Call, Reply};

/// An integration as the API shows it: never a secret.
pub fn integration_model(info: IntegrationInfo) -> IntegrationModel {
    let IntegrationInfo { integration, is_from_settings } = info;
    IntegrationModel {
        credentials: integration.credentials().to_owned(),
        kind: integration.kind.as_str().to_owned(),
        origin: if is_from_settings { "settings" } else { "api" }.to_owned(),
        id: integration.id,
        endpoint: integration.endpoint,
        region: integration.region,
        path_style: integration.path_style,
        account: integration.account,
        buckets: integration.buckets,
    }
}

/// The integration that a request describes.
pub fn integration_of(request: CreateIntegration) -> Result<Integration> {
    let kind = StoreKind::from_text(&request.kind).ok_or_else(|| {
        let shown: String = request.kind.chars().take(20).collect();
        Error::invalid(format!("found the kind {shown:?}, expected s3, gcs or azure"))
    })?;
    let secret = |text: Option<String>| text.map(Secret::new);
    Ok(Integration {
        id: request.id,
        kind,
        endpoint: request.endpoint,
        buckets: request.buckets,
        region: request.region,
        access_key_id: secret(request.access_key_id),
        secret_access_key: secret(request.secret_access_key),
        session_token: secret(request.session_token),
        path_style: request.path_style,
        service_account_key: secret(request.service_account_key),
        account: request.account,
        access_key: secret(request.access_key),
        sas_token: secret(request.sas_token),
        ..Integration::default()
    })
}

/// What a test of a source found, as the API shows it.
pub fn source_test_model(uri: String, test: crossbill_db::SourceTest) -> SourceTest {
    let (files, more, error) = match test.outcome {
        Ok((files, more)) => (files, more, None),
        Err(error) => (Vec::new(), false, Some(error.message().to_owned())),
    };
    let file = |file: crossbill_db::SourceObject| SourceFile { path: file.path, bytes: file.size };
    SourceTest {
        uri,
        tried: test.tried,
        readable: error.is_none(),
        error,
        files: files.into_iter().map(file).collect(),
        more,
    }
}

/// `GET /integrations`.
pub(crate) fn list(call: &Call) -> Answer {
    let all = call.shared.db.list_integrations();
    let integrations = all.into_iter().map(integration_model).collect();
    Reply::json(200, &IntegrationList { integrations })
}

/// `POST /integrations`.
pub(crate) fn create(call: &Call) -> Answer {
    let integration = integration_of(call.secret_json()?)?;
    Reply::json(201, &integration_model(call.shared.db.create_integration(integration)?))
}

/// `GET /integrations/{id}`.
pub(crate) fn describe(call: &Call) -> Answer {
    let info = call.shared.db.describe_integration(call.param("id"))?;
    Reply::json(200, &integration_model(info))
}

/// `DELETE /integrations/{id}`.
pub(crate) fn delete(call: &Call) -> Answer {
    call.shared.db.delete_integration(call.param("id"))?;
    Reply::bare(204)
}

/// `POST /sources/test`.
pub(crate) fn test(call: &Call) -> Answer {
    let TestSource { uri, integration_id } = call.json()?;
    let integration = integration_id.filter(|id| !id.is_empty());
    let test = call.shared.db.test_source(&uri, integration.as_deref())?;
    Reply::json(200, &source_test_model(uri, test))
}
