//! The calls about records, over gRPC.

use std::sync::Arc;

use pinecone_sdk::models::{Namespace, QueryResponse, SparseValues, Vector};
use pinecone_sdk::pinecone::data::Index;
use pinecone_sdk::utils::errors::PineconeError;
use serde_json::json;

use crate::world::{Call, World, count, id, metadata, rows, values};

const EVERYTHING: u32 = 10;

fn ids(answer: &QueryResponse) -> Vec<&str> {
    answer.matches.iter().map(|found| found.id.as_str()).collect()
}

fn scored(answer: &QueryResponse) -> Vec<(&str, f32)> {
    answer.matches.iter().map(|found| (found.id.as_str(), found.score)).collect()
}

pub async fn upsert(world: Arc<World>) -> Call {
    let answer = world.dense().await?.upsert(&rows(), &"query".into()).await?;
    assert_eq!(answer.upserted_count, 10);
    let mut record = rows().swap_remove(0);
    record.id = "list".to_owned();
    record.metadata = Some(metadata(&json!({ "a": ["x", "y"], "b": 1.5, "c": true })));
    let space = "forms".into();
    let mut index = world.dense().await?;
    index.upsert(std::slice::from_ref(&record), &space).await?;
    assert_eq!(index.fetch(&["list"], &space).await?.vectors["list"], record);
    Ok(())
}

/// This client can fill and ask a sparse index, but neither make one nor read its description,
/// which has no dimension: it is made by a plain request here.
pub async fn upsert_sparse(world: Arc<World>) -> Call {
    let body = json!({
        "name": "sparse",
        "metric": "dotproduct",
        "vector_type": "sparse",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    });
    let request = reqwest::Client::new().post(format!("{}/indexes", world.url)).json(&body);
    let made = request.header("Api-Key", std::env::var("CROSSBILL_KEY")?).send().await?;
    let made: serde_json::Value = made.error_for_status()?.json().await?;
    let host = made["host"].as_str().expect("a host");
    world.sparse.get_or_init(|| host.to_owned());
    let listed = world.pc.list_indexes().await;
    assert!(matches!(listed, Err(PineconeError::SerdeError { .. })), "{listed:?}");

    let record = |row: u32, values| Vector {
        id: format!("s{row}"),
        values,
        sparse_values: Some(SparseValues { indices: vec![row, row + 1], values: vec![1.0, 0.5] }),
        metadata: None,
    };
    let alone: Vec<Vector> = (0..5).map(|row| record(row, vec![])).collect();
    let both: Vec<Vector> = (0..5).map(|row| record(row, vec![row as f32, 1.0])).collect();
    let space = Namespace::default();
    assert_eq!(world.pc.index(host).await?.upsert(&alone, &space).await?.upserted_count, 5);
    assert_eq!(world.open("hybrid").await?.upsert(&both, &space).await?.upserted_count, 5);
    Ok(())
}

async fn nearest(
    index: &mut Index,
    vector: Vec<f32>,
    top_k: u32,
    namespace: &str,
) -> Result<QueryResponse, PineconeError> {
    index.query_by_value(vector, None, top_k, &namespace.into(), None, None, None).await
}

pub async fn query_vector(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    let answer = nearest(&mut index, values(4), 3, "query").await?;
    assert_eq!((ids(&answer)[0], answer.matches.len()), (id(4).as_str(), 3));
    assert!((answer.matches[0].score - 1.0).abs() < 1e-5, "{answer:?}");
    assert_eq!(answer.namespace, "query");
    assert!(answer.usage.and_then(|usage| usage.read_units) >= Some(1));
    assert_eq!(nearest(&mut index, values(4), 3, "nobody").await?.matches, []);
    Ok(())
}

pub async fn query_id(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    let answer = index.query_by_id(&id(7), 1, &"query".into(), None, None, None).await?;
    assert_eq!(ids(&answer), [id(7)]);
    Ok(())
}

pub async fn query_sparse(world: Arc<World>) -> Call {
    let host = world.sparse.get().ok_or("there is no sparse index")?;
    let vector = Some(SparseValues { indices: vec![4], values: vec![2.0] });
    let mut index = world.pc.index(host).await?;
    let answer =
        index.query_by_value(vec![], vector, 5, &Namespace::default(), None, None, None).await?;
    assert_eq!(scored(&answer), [("s4", 2.0), ("s3", 1.0)]);
    Ok(())
}

pub async fn query_hybrid(world: Arc<World>) -> Call {
    let vector = Some(SparseValues { indices: vec![0], values: vec![100.0] });
    let mut index = world.open("hybrid").await?;
    let space = Namespace::default();
    let answer = index.query_by_value(vec![1.0, 0.0], vector, 2, &space, None, None, None).await?;
    assert_eq!(scored(&answer), [("s0", 100.0), ("s4", 4.0)]);
    Ok(())
}

pub async fn query_filter(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    for (filter, expected) in [
        (json!({ "even": true }), 5),
        (json!({ "row": { "$gte": 2, "$lt": 5 } }), 3),
        (json!({ "$or": [{ "row": { "$in": [1, 2] } }, { "row": { "$eq": 9 } }] }), 3),
        (json!({ "row": { "$nin": [1, 2] } }), 8),
        (json!({ "absent": { "$exists": false } }), 10),
    ] {
        let given = Some(metadata(&filter));
        let space = "query".into();
        let answer =
            index.query_by_value(vec![1.0; 3], None, EVERYTHING, &space, given, None, None).await?;
        assert_eq!(answer.matches.len(), expected, "{filter}");
    }
    Ok(())
}

pub async fn query_include(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    let space = "query".into();
    let answer = index.query_by_id(&id(3), 1, &space, None, Some(true), Some(true)).await?;
    assert_eq!(answer.matches[0].values, values(3));
    assert_eq!(answer.matches[0].metadata, rows()[3].metadata);
    Ok(())
}

pub async fn fetch(world: Arc<World>) -> Call {
    let odd = "a/b c,d?e&f";
    let record = Vector { id: odd.to_owned(), values: vec![1.0, 2.0, 3.0], ..Default::default() };
    let space = "fetch".into();
    let mut index = world.dense().await?;
    index.upsert(std::slice::from_ref(&record), &space).await?;
    let answer = index.fetch(&[odd, "unknown"], &space).await?;
    assert_eq!((answer.vectors.len(), answer.namespace.as_str()), (1, "fetch"));
    assert_eq!(answer.vectors[odd], record);
    assert!(answer.usage.and_then(|usage| usage.read_units) >= Some(1));
    Ok(())
}

pub async fn update_values(world: Arc<World>) -> Call {
    let space = "update".into();
    let mut index = world.dense().await?;
    index.upsert(&rows(), &space).await?;
    index.update(&id(0), vec![9.0; 3], None, None, &space).await?;
    let found = index.fetch(&[&id(0)], &space).await?.vectors;
    assert_eq!(found[&id(0)].values, [9.0; 3]);
    assert_eq!(found[&id(0)].metadata, rows()[0].metadata);
    Ok(())
}

pub async fn update_metadata(world: Arc<World>) -> Call {
    let space = "update".into();
    let mut index = world.dense().await?;
    let new = metadata(&json!({ "new": "x" }));
    index.update(&id(1), vec![], None, Some(new), &space).await?;
    let found = index.fetch(&[&id(1)], &space).await?.vectors;
    let expected = metadata(&json!({ "row": 1, "even": false, "new": "x" }));
    assert_eq!(found[&id(1)].metadata, Some(expected));
    assert_eq!(found[&id(1)].values, values(1));
    Ok(())
}

pub async fn delete_ids(world: Arc<World>) -> Call {
    let space = "delete".into();
    let mut index = world.dense().await?;
    index.upsert(&rows(), &space).await?;
    index.delete_by_id(&[&id(0), &id(1), "unknown"], &space).await?;
    assert_eq!(count(&mut index, &space).await?, 8);
    Ok(())
}

pub async fn delete_filter(world: Arc<World>) -> Call {
    let space = "delete".into();
    let mut index = world.dense().await?;
    index.delete_by_filter(metadata(&json!({ "row": { "$gte": 5 } })), &space).await?;
    assert_eq!(count(&mut index, &space).await?, 3);
    Ok(())
}

pub async fn delete_all(world: Arc<World>) -> Call {
    let space = "delete".into();
    let mut index = world.dense().await?;
    index.delete_all(&space).await?;
    assert_eq!(count(&mut index, &space).await?, 0);
    Ok(())
}

pub async fn list_prefix(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    let answer = index.list(&"query".into(), Some("doc1#"), None, None).await?;
    let found: Vec<&str> = answer.vectors.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(found, [1, 3, 5, 7, 9].map(id));
    Ok(())
}

pub async fn list_pages(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    let (mut sizes, mut token) = (Vec::new(), None::<String>);
    loop {
        let page = index.list(&"query".into(), None, Some(4), token.as_deref()).await?;
        sizes.push(page.vectors.len());
        match page.pagination {
            Some(next) if !next.next.is_empty() => token = Some(next.next),
            _ => break,
        }
    }
    assert_eq!(sizes, [4, 4, 2]);
    Ok(())
}

pub async fn stats(world: Arc<World>) -> Call {
    let answer = world.dense().await?.describe_index_stats(None).await?;
    assert_eq!((answer.dimension, answer.namespaces["query"].vector_count), (3, 10));
    let total: u32 = answer.namespaces.values().map(|one| one.vector_count).sum();
    assert_eq!(answer.total_vector_count, total);
    Ok(())
}

pub async fn error_400(world: Arc<World>) -> Call {
    let mut index = world.dense().await?;
    match nearest(&mut index, vec![1.0, 2.0], 1, "query").await {
        Err(PineconeError::DataPlaneError { status }) => {
            assert_eq!(status.code() as i32, 3, "{status}");
            assert!(status.message().contains("dimension"), "{status}");
        }
        other => panic!("INVALID_ARGUMENT was expected, and the answer is {other:?}"),
    }
    let refused = world.pc.create_collection("A b", "dense").await;
    assert!(matches!(refused, Err(PineconeError::BadRequestError { .. })), "{refused:?}");
    Ok(())
}
