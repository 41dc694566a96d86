//! The calls about indexes, collections and models, over REST.

use std::sync::Arc;

use pinecone_sdk::models::{
    Cloud, DeletionProtection, EmbedRequestParameters, IndexModel, Metric, WaitPolicy,
};
use pinecone_sdk::pinecone::PineconeClient;
use pinecone_sdk::utils::errors::PineconeError;

use crate::world::{Call, World, client, rows};

const MODEL: &str = "multilingual-e5-large";

async fn serverless(
    pc: &PineconeClient,
    name: &str,
    dimension: i32,
    metric: Metric,
) -> Result<IndexModel, PineconeError> {
    pc.create_serverless_index(
        name,
        dimension,
        metric,
        Cloud::Aws,
        "us-east-1",
        DeletionProtection::Disabled,
        WaitPolicy::default(),
    )
    .await
}

async fn pod(
    pc: &PineconeClient,
    name: &str,
    collection: Option<&str>,
) -> Result<IndexModel, PineconeError> {
    pc.create_pod_index(
        name,
        3,
        Metric::Euclidean,
        "us-east1-gcp",
        "p1.x1",
        1,
        1,
        1,
        DeletionProtection::Disabled,
        Some(&["row"]),
        collection,
        WaitPolicy::default(),
    )
    .await
}

pub async fn create_dense(world: Arc<World>) -> Call {
    serverless(&world.pc, "dense", 3, Metric::Cosine).await?;
    serverless(&world.pc, "hybrid", 2, Metric::Dotproduct).await?;
    let made = world.pc.describe_index("dense").await?;
    assert_eq!((made.dimension, made.metric, made.status.ready), (3, Metric::Cosine, true));
    assert!(made.host.starts_with("http://127.0.0.1:"), "{}", made.host);
    Ok(())
}

pub async fn create_pod(world: Arc<World>) -> Call {
    pod(&world.pc, "pod", None).await?;
    let made = world.pc.describe_index("pod").await?;
    let spec = made.spec.pod.expect("a pod spec");
    assert_eq!((spec.pod_type.as_str(), made.dimension), ("p1.x1", 3));
    world.pc.delete_index("pod").await?;
    Ok(())
}

async fn names(world: &World) -> Result<Vec<String>, PineconeError> {
    let listed = world.pc.list_indexes().await?.indexes.unwrap_or_default();
    let mut names: Vec<String> = listed.into_iter().map(|index| index.name).collect();
    names.sort();
    Ok(names)
}

pub async fn list_indexes(world: Arc<World>) -> Call {
    assert_eq!(names(&world).await?, ["dense", "hybrid"]);
    Ok(())
}

pub async fn describe_index(world: Arc<World>) -> Call {
    let made = world.pc.describe_index("hybrid").await?;
    assert_eq!((made.name.as_str(), made.dimension), ("hybrid", 2));
    assert_eq!(made.metric, Metric::Dotproduct);
    let spec = made.spec.serverless.expect("a serverless spec");
    assert_eq!((spec.cloud, spec.region.as_str()), (Cloud::Aws, "us-east-1"));
    Ok(())
}

pub async fn configure_protection(world: Arc<World>) -> Call {
    let configure = |to| world.pc.configure_index("hybrid", Some(to), None, None);
    let made = configure(DeletionProtection::Enabled).await?;
    assert_eq!(made.deletion_protection, Some(DeletionProtection::Enabled));
    let refused = world.pc.delete_index("hybrid").await;
    assert!(matches!(refused, Err(PineconeError::ActionForbiddenError { .. })), "{refused:?}");
    configure(DeletionProtection::Disabled).await?;
    Ok(())
}

pub async fn delete_index(world: Arc<World>) -> Call {
    serverless(&world.pc, "short", 2, Metric::Cosine).await?;
    world.pc.delete_index("short").await?;
    assert_eq!(names(&world).await?, ["dense", "hybrid"]);
    Ok(())
}

pub async fn error_401(world: Arc<World>) -> Call {
    let wrong = client(&world.url, "wrong")?;
    let refused = wrong.list_indexes().await;
    assert!(matches!(refused, Err(PineconeError::UnauthorizedError { .. })), "{refused:?}");
    let host = world.pc.describe_index("dense").await?.host;
    match wrong.index(&host).await?.describe_index_stats(None).await {
        Err(PineconeError::DataPlaneError { status }) => assert_eq!(status.code() as i32, 16),
        other => panic!("UNAUTHENTICATED was expected, and the answer is {other:?}"),
    }
    Ok(())
}

pub async fn error_404(world: Arc<World>) -> Call {
    let refused = world.pc.describe_index("nothing").await;
    assert!(matches!(refused, Err(PineconeError::IndexNotFoundError { .. })), "{refused:?}");
    let refused = world.pc.describe_collection("nothing").await;
    assert!(matches!(refused, Err(PineconeError::CollectionNotFoundError { .. })), "{refused:?}");
    Ok(())
}

pub async fn error_409(world: Arc<World>) -> Call {
    let refused = serverless(&world.pc, "dense", 3, Metric::Cosine).await;
    assert!(
        matches!(refused, Err(PineconeError::ResourceAlreadyExistsError { .. })),
        "{refused:?}"
    );
    Ok(())
}

pub async fn embed(world: Arc<World>) -> Call {
    let parameters = EmbedRequestParameters {
        input_type: Some("passage".to_owned()),
        truncate: Some("END".to_owned()),
    };
    let texts = vec!["a cat sleeps on the sofa", "interest rates rise"];
    let answer = world.pc.embed(MODEL, Some(parameters), &texts).await?;
    let lengths: Vec<usize> = answer.data.iter().map(|one| one.values.len()).collect();
    assert_eq!((answer.model.as_str(), lengths), (MODEL, vec![384, 384]));
    assert!(answer.usage.total_tokens > 0);
    Ok(())
}

pub async fn collections(world: Arc<World>) -> Call {
    let space = "".into();
    pod(&world.pc, "source", None).await?;
    world.open("source").await?.upsert(&rows(), &space).await?;
    world.pc.create_collection("kept", "source").await?;
    let kept = world.pc.describe_collection("kept").await?;
    assert_eq!((kept.dimension, kept.vector_count), (Some(3), Some(10)));
    pod(&world.pc, "copy", Some("kept")).await?;
    let stats = world.open("copy").await?.describe_index_stats(None).await?;
    assert_eq!(stats.total_vector_count, 10);
    let listed = world.pc.list_collections().await?.collections.unwrap_or_default();
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["kept"]);
    world.pc.delete_collection("kept").await?;
    let refused = world.pc.describe_collection("kept").await;
    assert!(matches!(refused, Err(PineconeError::CollectionNotFoundError { .. })), "{refused:?}");
    Ok(())
}
