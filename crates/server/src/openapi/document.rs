//! Puts the document together: a path item for each path, with the servers
//! that have it, and the components.

use crossbill_wire::{ApiVersion, describe};
use serde_json::{Map, Value, json};

use super::operation::{Asks, Gives, Kind, Lsn, Operation, Parameter, Place, SchemaOf, Tag};
use super::schemas::Schemas;
use super::{errors, operation, operations};
use crate::routes::{Access, BELOW_INDEX, Plane, Protocol, ROUTES, Route};

const ABOUT: &str = "\
A self-hosted server that speaks Pinecone's API. Two planes, in one document: the control plane \
(one address for the server) and the data plane (one address for each index, which the control \
plane gives as `host`; the control plane has it below `/data/{index}`, too). Each path names its \
servers. gRPC is served on the data plane, too, and \
not described here.\n\n\
Send the key as `Api-Key`, where the server has keys. Unknown fields of a body are ignored unless \
the schema says otherwise; unknown query parameters always are. A query parameter that is given \
and empty counts as absent. Errors have one shape for each plane: `ControlError` and `DataError`.";

/// The document.
pub(super) fn make() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().filter(|route| route.protocol == Protocol::Rest) {
        // A test says so where there is none.
        let Some(operation) = of(route) else { continue };
        let shown = shown(operation);
        let item = paths.entry(shown).or_insert_with(|| json!({"servers": servers(route.plane)}));
        item[route.method.as_str().to_lowercase()] = describe(route, operation, &mut schemas);
    }
    let version = header(&mut schemas);
    let errors = errors::schemas(&mut schemas);
    let mut requests = request_parts(&mut paths);
    let mut components = schemas.finish(&mut requests);
    components.extend(errors);
    if let Some(detail) = components.get_mut("ErrorDetail") {
        detail["properties"]["code"]["enum"] = json!(errors::names());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossbill",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": servers(Plane::Control),
        "security": [{"ApiKey": []}, {"Bearer": []}],
        "tags": Tag::ALL.map(|tag| {
            let (name, about) = tag.text();
            json!({"name": name, "description": about})
        }),
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": errors::answers(),
            "parameters": {"ApiVersion": version},
            "headers": {"RequestId": {
                "description": "The request's id, as the log has it.",
                "schema": {"type": "string"},
            }},
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "Api-Key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

/// The operation of a route.
pub(super) fn of(route: &Route) -> Option<&'static Operation> {
    operations().find(|operation| operation.method == route.method && operation.path == route.path)
}

/// A path as the document writes it: without the mark of a rest.
fn shown(operation: &Operation) -> String {
    operation.shown.unwrap_or(operation.path).replace("{*", "{")
}

fn servers(plane: Plane) -> Value {
    let control = json!({
        "url": "http://127.0.0.1:5080",
        "description": "The control plane, at its usual address.",
    });
    let data = json!({
        "url": "{host}",
        "description": "The data plane of one index.",
        "variables": {"host": {
            "default": "http://127.0.0.1:5081",
            "description": "`host` of the index, as `GET /indexes/{name}` gives it.",
        }},
    });
    let below = json!({
        "url": format!("http://127.0.0.1:5080{BELOW_INDEX}"),
        "description": "The same on the control plane's port.",
        "variables": {"index": {"default": "products", "description": "The index's name."}},
    });
    match plane {
        Plane::Control => json!([control]),
        Plane::Data => json!([data, below]),
        Plane::Both => json!([control, data]),
    }
}

fn header(schemas: &mut Schemas) -> Value {
    json!({
        "name": "X-Pinecone-Api-Version",
        "in": "header",
        "description": format!(
            "The dialect spoken, such as `2025-10` or `{}`. One that is unknown is not refused.",
            ApiVersion::SCHEMA.as_str()
        ),
        "schema": schemas.request(operation::schema_of::<String>),
    })
}

/// The header of every answer.
pub(super) fn request_id() -> Value {
    json!({"$ref": "#/components/headers/RequestId"})
}

/// What a key needs, in a sentence.
fn role(route: &Route) -> String {
    match route.access {
        Access::Open => "Asks for no key.".to_owned(),
        Access::Key(role) => format!("Needs the role {role}."),
    }
}

fn describe(route: &Route, operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut made = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag.text().0],
        "responses": answers(route, operation, schemas),
    });
    let about = [operation.about.to_owned(), role(route)];
    made["description"] = json!(about.join(" ").trim());
    let mut parameters = path_parameters(operation, schemas);
    parameters.extend(operation.parameters.iter().map(|given| parameter(given, schemas)));
    match route.access {
        Access::Open => made["security"] = json!([]),
        Access::Key(_) => {
            parameters.push(json!({"$ref": "#/components/parameters/ApiVersion"}));
        }
    }
    if !parameters.is_empty() {
        made["parameters"] = json!(parameters);
    }
    if let (Asks::Perhaps(schema), required) | (Asks::Always(schema), required) =
        (operation.asks, matches!(operation.asks, Asks::Always(_)))
    {
        made["requestBody"] = json!({
            "required": required,
            "content": {"application/json": {"schema": schemas.request(schema)}},
        });
    }
    made
}

/// The parameters of the path, whose names say what they are.
fn path_parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let path = shown(operation);
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let schema: SchemaOf = match name {
                "namespace" => operation::schema_of::<describe::Namespace>,
                _ => operation::schema_of::<String>,
            };
            let mut schema = schemas.request(schema);
            schema["minLength"] = json!(1);
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect()
}

fn parameter(given: &Parameter, schemas: &mut Schemas) -> Value {
    let schema = match given.kind {
        Kind::Whole(least, most, default) => {
            json!({"type": "integer", "minimum": least, "maximum": most, "default": default})
        }
        Kind::Words(words) => json!({"type": "string", "enum": words, "default": words[0]}),
        Kind::Chars(most) => json!({"type": "string", "maxLength": most}),
        Kind::Text(schema) => schemas.request(schema),
        Kind::Repeated(schema, least, most) => json!({
            "type": "array",
            "items": schemas.request(schema),
            "minItems": least,
            "maxItems": most,
        }),
    };
    let place = match given.place {
        Place::Query => "query",
        Place::Header => "header",
    };
    let required = matches!(given.kind, Kind::Repeated(_, 1.., _));
    json!({
        "name": given.name,
        "in": place,
        "required": required,
        "description": given.about,
        "schema": schema,
    })
}

fn answers(route: &Route, operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut answers = Map::new();
    if let Some((status, gives)) = operation.gives {
        let mut answer = json!({
            "description": "Done.",
            "headers": headers(operation.lsn),
        });
        match gives {
            Gives::Nothing => {}
            Gives::Json(schema) => {
                answer["content"] = json!({"application/json": {"schema": schemas.answer(schema)}});
            }
            Gives::Text(types) => {
                let content =
                    |name: &&str| ((*name).to_owned(), json!({"schema": {"type": "string"}}));
                answer["content"] = types.iter().map(content).collect::<Map<_, _>>().into();
            }
        }
        if !operation.links.is_empty() {
            answer["links"] = links(operation);
        }
        answers.insert(status.to_string(), answer);
    }
    // The HTTP library's answer to a URL that is too long, before any route.
    if operation.parameters.iter().any(|given| matches!(given.kind, Kind::Repeated(..))) {
        answers.insert("414".to_owned(), json!({"description": "The URL is too long."}));
    }
    for status in errors::statuses(route, operation, route.plane) {
        answers.insert(status.to_string(), errors::reference(route.plane, status));
    }
    answers.into()
}

fn headers(lsn: Lsn) -> Value {
    let mut headers = json!({"x-pinecone-request-id": request_id()});
    let number = |about: &str| {
        json!({
            "description": about,
            "schema": {"type": "integer", "format": "int64", "minimum": 0},
        })
    };
    let (names, about) = match lsn {
        Lsn::None => return headers,
        Lsn::Wrote => (crate::call::WROTE, "The number of this write."),
        Lsn::Saw => (crate::call::SAW, "The number of the last write that this read has seen."),
    };
    for name in names {
        headers[name] = number(about);
    }
    headers
}

fn links(operation: &Operation) -> Value {
    let link = |(target, parameter, expression): &operation::Link| {
        let link = json!({"operationId": target, "parameters": {*parameter: expression}});
        ((*target).to_owned(), link)
    };
    operation.links.iter().map(link).collect::<Map<String, Value>>().into()
}

/// Where operations refer to what is read.
fn request_parts(paths: &mut Map<String, Value>) -> Vec<&mut Value> {
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| {
        item.iter_mut().filter(|(key, _)| *key != "servers").map(|(_, operation)| operation)
    });
    let parts = operations.filter_map(Value::as_object_mut).flat_map(|operation| {
        operation
            .iter_mut()
            .filter(|(key, _)| matches!(key.as_str(), "requestBody" | "parameters"))
            .map(|(_, part)| part)
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn routes() -> impl Iterator<Item = &'static Route> {
        ROUTES.iter().filter(|route| route.protocol == Protocol::Rest)
    }

    #[test]
    fn every_route_has_an_operation_and_every_operation_a_route() {
        let key = |method: &axum::http::Method, path: &str| format!("{method} {path}");
        let tabled: BTreeSet<_> = routes().map(|route| key(&route.method, route.path)).collect();
        let described: Vec<_> =
            operations().map(|operation| key(&operation.method, operation.path)).collect();
        let once: BTreeSet<_> = described.iter().cloned().collect();
        assert_eq!(described.len(), once.len(), "an operation stands twice");
        assert_eq!(tabled, once, "crates/server/src/openapi describes what routes.rs has");
    }

    #[test]
    fn planes_share_no_path() {
        for route in routes() {
            let mut same = routes().filter(|other| other.path == route.path);
            assert!(same.all(|other| other.plane == route.plane), "{}", route.path);
        }
    }

    #[test]
    fn ids_are_unique_and_links_lead_somewhere() {
        let ids: BTreeSet<_> = operations().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), operations().count());
        for operation in operations() {
            for (target, parameter, _) in operation.links {
                let found = operations().find(|operation| operation.id == *target);
                let path = found.unwrap_or_else(|| panic!("{target} is no operation")).path;
                assert!(path.contains(&format!("{{{parameter}}}")), "{target} {parameter}");
            }
        }
    }

    #[test]
    fn every_reference_has_a_target() {
        fn check(part: &Value, document: &Value) {
            match part {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        let found = document.pointer(target.trim_start_matches('#'));
                        assert!(found.is_some(), "{target}");
                    }
                    fields.values().for_each(|part| check(part, document));
                }
                Value::Array(items) => items.iter().for_each(|part| check(part, document)),
                _ => {}
            }
        }
        let document = make();
        check(&document, &document);
    }
}
