//! gRPC against a real server, by tonic's client: every method's good path,
//! the same records over REST, the same refusals with the same words.

use std::collections::BTreeMap;

use crossbill_wire::grpc::{
    CreateNamespaceRequest, DeleteNamespaceRequest, DeleteRequest, DeleteResponse,
    DescribeIndexStatsRequest, DescribeIndexStatsResponse, DescribeNamespaceRequest,
    FetchByMetadataRequest, FetchByMetadataResponse, FetchRequest, FetchResponse,
    ListNamespacesRequest, ListNamespacesResponse, ListRequest, ListResponse,
    MetadataFieldProperties, MetadataSchema, NamespaceDescription, QueryRequest, QueryResponse,
    SparseValues, UpdateRequest, UpdateResponse, UpsertRequest, UpsertResponse, Vector,
};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::json;
use tonic::{Code, Status};

use crate::grpc_client::Client;
use crate::harness::Server;

fn value(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(*truth),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(value).collect() })
        }
        serde_json::Value::Object(_) => Kind::StructValue(fields(json)),
    };
    Value { kind: Some(kind) }
}

/// The fields of an object.
fn fields(json: &serde_json::Value) -> Struct {
    let fields = json.as_object().unwrap().iter();
    Struct { fields: fields.map(|(name, json)| (name.clone(), value(json))).collect() }
}

fn vector(id: &str, values: &[f32], metadata: serde_json::Value) -> Vector {
    Vector {
        id: id.to_owned(),
        values: values.to_vec(),
        metadata: (!metadata.is_null()).then(|| fields(&metadata)),
        sparse_values: None,
    }
}

async fn upserted(client: &mut Client, namespace: &str, vectors: Vec<Vector>) {
    let count = vectors.len() as u32;
    let request = UpsertRequest { vectors, namespace: namespace.to_owned() };
    let answer: UpsertResponse = client.call("Upsert", request).await.unwrap();
    assert_eq!(answer.upserted_count, count);
}

fn query(vector: &[f32]) -> QueryRequest {
    QueryRequest { top_k: 10, vector: vector.to_vec(), ..QueryRequest::default() }
}

fn ids(answer: &QueryResponse) -> Vec<&str> {
    answer.matches.iter().map(|found| found.id.as_str()).collect()
}

async fn started(metric: &str) -> (Server, String, Client) {
    let server = Server::start().await;
    let host = server.dense("a", 2, metric).await;
    let client = Client::to(&host, None).await;
    (server, host, client)
}

#[tokio::test]
async fn records_go_in_and_out() {
    let (server, host, mut client) = started("euclidean").await;
    let metadata = json!({"n": 3, "f": 2.5, "t": "ü", "b": true, "l": ["x", "y"], "e": []});
    let sent =
        vec![vector("a", &[1.0, 2.0], metadata.clone()), vector("b", &[3.0, 4.0], json!(null))];
    upserted(&mut client, "", sent.clone()).await;

    let request = FetchRequest {
        ids: vec!["a".into(), "b".into(), "no".into()],
        namespace: "__default__".into(),
    };
    let got: FetchResponse = client.call("Fetch", request).await.unwrap();
    let expected: BTreeMap<_, _> = sent.into_iter().map(|v| (v.id.clone(), v)).collect();
    assert_eq!(got.vectors, expected);
    assert_eq!(got.namespace, "__default__");
    assert_eq!(got.usage.unwrap().read_units, Some(1));
    let rest = server.get(&format!("{host}/vectors/fetch?ids=a")).await.ok(200);
    assert_eq!(rest["vectors"]["a"]["metadata"], metadata);

    let all = QueryRequest { include_values: true, include_metadata: true, ..query(&[3.0, 4.0]) };
    let got: QueryResponse = client.call("Query", all).await.unwrap();
    assert_eq!(ids(&got), ["b", "a"]);
    assert_eq!((got.matches[0].score, got.matches[1].score), (0.0, 8.0));
    assert_eq!(got.matches[1].metadata, Some(fields(&metadata)));
    assert_eq!(got.matches[1].values, [1.0, 2.0]);
    let bare: QueryResponse = client.call("Query", query(&[3.0, 4.0])).await.unwrap();
    assert!(bare.matches[0].values.is_empty() && bare.matches[1].metadata.is_none());
    let by_id = QueryRequest { id: "a".into(), top_k: 1, ..QueryRequest::default() };
    assert_eq!(ids(&client.call("Query", by_id).await.unwrap()), ["a"]);
    let filter = fields(&json!({"$and": [{"n": {"$gte": 3}}, {"l": {"$in": ["y"]}}]}));
    let filtered = QueryRequest { filter: Some(filter), ..query(&[3.0, 4.0]) };
    assert_eq!(ids(&client.call("Query", filtered).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn records_are_changed_and_deleted() {
    let (_server, _, mut client) = started("cosine").await;
    let sent = ["a", "b", "c"].map(|id| vector(id, &[1.0, 2.0], json!({"n": 1, "id": id})));
    upserted(&mut client, "ns", sent.to_vec()).await;
    let namespace = || "ns".to_owned();
    let one = UpdateRequest {
        id: "a".into(),
        values: vec![5.0, 6.0],
        set_metadata: Some(fields(&json!({"n": 2}))),
        namespace: namespace(),
        ..UpdateRequest::default()
    };
    let got: UpdateResponse = client.call("Update", one).await.unwrap();
    assert_eq!(got.matched_records, None);
    let many = |dry_run| UpdateRequest {
        filter: Some(fields(&json!({"n": 1}))),
        set_metadata: Some(fields(&json!({"seen": true}))),
        namespace: namespace(),
        dry_run: Some(dry_run),
        ..UpdateRequest::default()
    };
    for dry_run in [true, false] {
        let got: UpdateResponse = client.call("Update", many(dry_run)).await.unwrap();
        assert_eq!(got.matched_records, Some(2));
    }
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let request = FetchByMetadataRequest {
            namespace: namespace(),
            filter: Some(fields(&json!({"seen": true}))),
            limit: Some(1),
            pagination_token: token,
        };
        let page: FetchByMetadataResponse = client.call("FetchByMetadata", request).await.unwrap();
        found.extend(page.vectors.into_keys());
        token = page.pagination.map(|page| page.next);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, ["b", "c"]);
    let request = FetchRequest { ids: vec!["a".into()], namespace: namespace() };
    let got: FetchResponse = client.call("Fetch", request).await.unwrap();
    assert_eq!(got.vectors["a"].values, [5.0, 6.0]);
    assert_eq!(got.vectors["a"].metadata, Some(fields(&json!({"n": 2, "id": "a"}))));

    let left = async |client: &mut Client, delete: DeleteRequest| {
        let _: DeleteResponse = client.call("Delete", delete).await.unwrap();
        let request = ListRequest { namespace: namespace(), ..ListRequest::default() };
        let got: ListResponse = client.call("List", request).await.unwrap();
        got.vectors.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    let delete = DeleteRequest { namespace: namespace(), ..DeleteRequest::default() };
    let by_id = DeleteRequest { ids: vec!["a".into(), "z".into()], ..delete.clone() };
    assert_eq!(left(&mut client, by_id).await, ["b", "c"]);
    let filter = Some(fields(&json!({"id": {"$eq": "b"}})));
    assert_eq!(left(&mut client, DeleteRequest { filter, ..delete.clone() }).await, ["c"]);
    let none: [String; 0] = [];
    assert_eq!(left(&mut client, DeleteRequest { delete_all: true, ..delete }).await, none);
}

#[tokio::test]
async fn sparse_and_hybrid_records_are_found() {
    let server = Server::start().await;
    let sparse = |indices: &[u32], values: &[f32]| {
        Some(SparseValues { indices: indices.to_vec(), values: values.to_vec() })
    };
    let mut client = Client::to(&server.sparse("s").await, None).await;
    let record = |id: &str, part| Vector { sparse_values: part, ..vector(id, &[], json!(null)) };
    let sent = vec![record("a", sparse(&[9, 2], &[0.5, 1.0])), record("b", sparse(&[9], &[2.0]))];
    upserted(&mut client, "", sent).await;
    let asked =
        QueryRequest { sparse_vector: sparse(&[9], &[1.0]), include_values: true, ..query(&[]) };
    let got: QueryResponse = client.call("Query", asked).await.unwrap();
    assert_eq!(ids(&got), ["b", "a"]);
    assert_eq!(got.matches[1].sparse_values, sparse(&[2, 9], &[1.0, 0.5]));
    let stats: DescribeIndexStatsResponse =
        client.call("DescribeIndexStats", DescribeIndexStatsRequest::default()).await.unwrap();
    assert_eq!((stats.dimension, stats.vector_type.as_deref()), (None, Some("sparse")));

    let mut client = Client::to(&server.dense("h", 2, "dotproduct").await, None).await;
    let both =
        Vector { sparse_values: sparse(&[7], &[3.0]), ..vector("c", &[1.0, 1.0], json!(null)) };
    upserted(&mut client, "", vec![both]).await;
    let asked = QueryRequest { sparse_vector: sparse(&[7], &[2.0]), ..query(&[1.0, 0.5]) };
    let got: QueryResponse = client.call("Query", asked).await.unwrap();
    assert_eq!(got.matches[0].score, 7.5);
}

#[tokio::test]
async fn ids_and_namespaces_are_listed() {
    let (_server, _, mut client) = started("cosine").await;
    let sent = ["x1", "x2", "x3", "y"].map(|id| vector(id, &[1.0, 2.0], json!(null)));
    upserted(&mut client, "one", sent.to_vec()).await;
    upserted(&mut client, "", vec![vector("d", &[1.0, 2.0], json!(null))]).await;
    let first = ListRequest {
        prefix: Some("x".into()),
        limit: Some(2),
        namespace: "one".into(),
        ..ListRequest::default()
    };
    let page: ListResponse = client.call("List", first).await.unwrap();
    assert_eq!(page.vectors.len(), 2);
    let token = page.pagination.unwrap().next;
    // As older clients write absence.
    let rest = ListRequest {
        prefix: Some(String::new()),
        pagination_token: Some(token),
        namespace: "one".into(),
        ..ListRequest::default()
    };
    let page: ListResponse = client.call("List", rest).await.unwrap();
    assert_eq!((page.vectors[0].id.as_str(), page.vectors.len()), ("x3", 1));
    assert_eq!(page.pagination, None);

    let schema = MetadataSchema {
        fields: BTreeMap::from([("genre".into(), MetadataFieldProperties { filterable: true })]),
    };
    let request = CreateNamespaceRequest { name: "two".into(), schema: Some(schema.clone()) };
    let made: NamespaceDescription = client.call("CreateNamespace", request).await.unwrap();
    assert_eq!((made.record_count, made.schema), (0, Some(schema)));
    assert_eq!(made.indexed_fields.unwrap().fields, ["genre"]);
    let request = ListNamespacesRequest { limit: Some(2), ..ListNamespacesRequest::default() };
    let page: ListNamespacesResponse = client.call("ListNamespaces", request).await.unwrap();
    let names: Vec<_> = page.namespaces.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((names, page.total_count), (vec!["__default__", "one"], 3));
    let request = ListNamespacesRequest {
        pagination_token: Some(page.pagination.unwrap().next),
        ..ListNamespacesRequest::default()
    };
    let page: ListNamespacesResponse = client.call("ListNamespaces", request).await.unwrap();
    assert_eq!((page.namespaces[0].name.as_str(), page.pagination), ("two", None));

    let stats: DescribeIndexStatsResponse =
        client.call("DescribeIndexStats", DescribeIndexStatsRequest::default()).await.unwrap();
    assert_eq!((stats.total_vector_count, stats.dimension), (5, Some(2)));
    assert_eq!(stats.namespaces["__default__"].vector_count, 1);
    assert_eq!(stats.metric.as_deref(), Some("cosine"));
    let one = |namespace: &str| DescribeNamespaceRequest { namespace: namespace.into() };
    let got: NamespaceDescription = client.call("DescribeNamespace", one("one")).await.unwrap();
    assert_eq!(got.record_count, 4);
    let gone = DeleteNamespaceRequest { namespace: "one".into() };
    let _: DeleteResponse = client.call("DeleteNamespace", gone).await.unwrap();
    let gone = client.call::<_, NamespaceDescription>("DescribeNamespace", one("one")).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_was_written_and_who_answered_is_in_the_metadata() {
    let (_server, _, mut client) = started("cosine").await;
    let vectors = vec![vector("a", &[1.0, 2.0], json!(null))];
    let request = UpsertRequest { vectors, ..UpsertRequest::default() };
    let (_, metadata) =
        client.full::<_, UpsertResponse>("/VectorService/Upsert", request).await.unwrap();
    let number = |metadata: &tonic::metadata::MetadataMap, name: &str| {
        metadata.get(name).unwrap().to_str().unwrap().parse::<u64>().unwrap()
    };
    let wrote = number(&metadata, "x-pinecone-request-lsn");
    let (_, metadata) =
        client.full::<_, QueryResponse>("/VectorService/Query", query(&[1.0, 2.0])).await.unwrap();
    assert!(number(&metadata, "x-pinecone-max-indexed-lsn") >= wrote);
    assert!(metadata.get("x-pinecone-request-id").is_some());
    let refused: Status =
        client.call::<_, QueryResponse>("Query", query(&[1.0])).await.unwrap_err();
    assert!(refused.metadata().get("x-pinecone-request-id").is_some());
}

/// Refuses a message as the twin in JSON is refused: same words, same code.
async fn refused_alike<Q: prost::Message + 'static>(
    (server, host, client): (&Server, &str, &mut Client),
    (method, message): (&str, Q),
    (path, body): (&str, serde_json::Value),
    expected: (Code, &str),
) {
    let status = client.call::<Q, ()>(method, message).await.unwrap_err();
    let rest = match path.strip_prefix("DELETE ") {
        Some(path) => server.delete(&format!("{host}{path}")).await,
        None if body.is_null() => server.get(&format!("{host}{path}")).await,
        None => server.post(&format!("{host}{path}"), body).await,
    };
    assert_eq!(status.code(), expected.0, "{method}: {}", status.message());
    assert!(status.message().contains(expected.1), "{method}: {}", status.message());
    assert_eq!(rest.body["message"], status.message(), "{method} and {path}");
    assert_eq!(rest.body["code"], status.code() as i32, "{method} and {path}");
}

#[tokio::test]
async fn refusals_are_those_of_rest() {
    let (server, host, mut client) = started("cosine").await;
    upserted(&mut client, "", vec![vector("a", &[1.0, 2.0], json!(null))]).await;
    let upsert = |vector: Vector| {
        ("Upsert", UpsertRequest { vectors: vec![vector], namespace: String::new() })
    };
    macro_rules! alike {
        ($grpc:expr, $rest:expr, $code:ident, $words:expr) => {
            refused_alike((&server, &host, &mut client), $grpc, $rest, (Code::$code, $words)).await
        };
    }
    let path = "/vectors/upsert";
    let body = |vector: serde_json::Value| (path, json!({"vectors": [vector]}));
    alike!(
        upsert(vector("x", &[1.0], json!(null))),
        body(json!({"id": "x", "values": [1]})),
        InvalidArgument,
        "dimension 1 does not match"
    );
    alike!(
        upsert(vector("", &[1.0, 2.0], json!(null))),
        body(json!({"id": "", "values": [1, 2]})),
        InvalidArgument,
        "id is empty"
    );
    alike!(
        upsert(vector("x", &[0.0, 0.0], json!(null))),
        body(json!({"id": "x", "values": [0, 0]})),
        InvalidArgument,
        "all components are 0"
    );
    let bad = json!({"a": {"b": 1}});
    alike!(
        upsert(vector("x", &[1.0, 2.0], bad.clone())),
        body(json!({"id": "x", "values": [1, 2], "metadata": bad})),
        InvalidArgument,
        "\"a\" is an object"
    );
    let many = UpsertRequest { vectors: vec![Vector::default(); 1001], ..Default::default() };
    alike!(
        ("Upsert", many),
        (path, json!({"vectors": vec![json!({"id": ""}); 1001]})),
        InvalidArgument,
        "1001 vectors"
    );
    let filter = json!({"a": {"$foo": 1.5, "$gt": 1}});
    alike!(
        ("Query", QueryRequest { filter: Some(fields(&filter)), ..query(&[1.0, 2.0]) }),
        ("/query", json!({"topK": 1, "vector": [1, 2], "filter": filter})),
        InvalidArgument,
        "unknown operator \"$foo\""
    );
    alike!(
        ("Query", QueryRequest { top_k: 0, ..query(&[1.0, 2.0]) }),
        ("/query", json!({"topK": 0, "vector": [1, 2]})),
        InvalidArgument,
        "topK is 0"
    );
    alike!(("Query", query(&[])), ("/query", json!({"topK": 10})), InvalidArgument, "neither");
    alike!(
        ("Fetch", FetchRequest::default()),
        ("/vectors/fetch", json!(null)),
        InvalidArgument,
        "0 ids"
    );
    alike!(
        ("Update", UpdateRequest::default()),
        ("/vectors/update", json!({})),
        InvalidArgument,
        "neither id nor filter"
    );
    alike!(
        ("Delete", DeleteRequest::default()),
        ("/vectors/delete", json!({})),
        InvalidArgument,
        "neither ids"
    );
    alike!(
        ("Delete", DeleteRequest { filter: Some(Struct::default()), ..Default::default() }),
        ("/vectors/delete", json!({"filter": {}})),
        InvalidArgument,
        "empty metadata filter"
    );
    alike!(
        ("List", ListRequest { limit: Some(101), ..Default::default() }),
        ("/vectors/list?limit=101", json!(null)),
        InvalidArgument,
        "limit is 101"
    );
    alike!(
        ("List", ListRequest { pagination_token: Some("?".into()), ..Default::default() }),
        ("/vectors/list?paginationToken=%3F", json!(null)),
        InvalidArgument,
        "malformed"
    );
    alike!(
        ("FetchByMetadata", FetchByMetadataRequest::default()),
        ("/vectors/fetch_by_metadata", json!({})),
        InvalidArgument,
        "Empty filter"
    );
    let filter = json!({"a": 1});
    let stats = DescribeIndexStatsRequest { filter: Some(fields(&filter)) };
    alike!(
        ("DescribeIndexStats", stats),
        ("/describe_index_stats", json!({"filter": filter})),
        InvalidArgument,
        "does not take a filter"
    );
    alike!(
        ("DescribeNamespace", DescribeNamespaceRequest { namespace: "no".into() }),
        ("/namespaces/no", json!(null)),
        NotFound,
        "no"
    );
    alike!(
        ("DeleteNamespace", DeleteNamespaceRequest { namespace: "no".into() }),
        ("DELETE /namespaces/no", json!(null)),
        NotFound,
        "no"
    );
    let twice = || CreateNamespaceRequest { name: "t".into(), schema: None };
    let _: NamespaceDescription = client.call("CreateNamespace", twice()).await.unwrap();
    alike!(("CreateNamespace", twice()), ("/namespaces", json!({"name": "t"})), AlreadyExists, "t");
    let schema = MetadataSchema { fields: BTreeMap::from([("f".into(), Default::default())]) };
    alike!(
        ("CreateNamespace", CreateNamespaceRequest { name: "u".into(), schema: Some(schema) }),
        ("/namespaces", json!({"name": "u", "schema": {"fields": {"f": {"filterable": false}}}})),
        InvalidArgument,
        "filterable false"
    );
    alike!(
        ("ListNamespaces", ListNamespacesRequest { limit: Some(0), ..Default::default() }),
        ("/namespaces?limit=0", json!(null)),
        InvalidArgument,
        "limit is 0"
    );
}
