"""Import a directory of Parquet into an index and query it, with the official `pinecone`
client.

    crossbill serve --allow-import-dir /data/embeddings         # in another terminal
    pip install pinecone
    python3 examples/quickstart.py file:///data/embeddings 384  # the URI, the vectors' length

Against the hosted service the same program runs without `host` and with the service's key.
"""

import os
import sys
import time

from pinecone import ImportErrorMode, Pinecone, ServerlessSpec

uri, dimension = sys.argv[1], int(sys.argv[2])

pc = Pinecone(
    api_key=os.environ.get("PINECONE_API_KEY", "local"),
    host=os.environ.get("PINECONE_CONTROLLER_HOST", "http://127.0.0.1:5080"),
)

if not pc.has_index("product-search"):
    pc.create_index(
        name="product-search",
        dimension=dimension,
        metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )
index = pc.index("product-search")

operation = index.start_import(uri=uri, error_mode=ImportErrorMode.CONTINUE)
while True:
    status = index.describe_import(id=operation.id)
    percent, records = status.percent_complete or 0, status.records_imported or 0
    print(f"{status.status}: {percent:.1f} %, {records:,} records")
    if status.status in ("Completed", "Failed", "Cancelled"):
        break
    time.sleep(1)
if status.status != "Completed":
    sys.exit(f"the import ended as {status.status}: {status.error}")

namespaces = index.describe_index_stats().namespaces
for name, namespace in namespaces.items():
    print(f"namespace {name!r}: {namespace.vector_count:,} records")

name = next(iter(namespaces))
first = next(iter(index.list(namespace=name, limit=1))).vectors[0].id
print(f"nearest to {first!r}:")
for match in index.query(id=first, top_k=5, namespace=name, include_metadata=True).matches:
    print(f"  {match.score:.4f}  {match.id}  {match.metadata}")
