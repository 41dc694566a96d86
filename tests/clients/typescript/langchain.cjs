// The store calls of calls.json through @langchain/pinecone.

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { absent, call, load, run } = require('./report.cjs');

const { Embeddings } = load('@langchain/core/embeddings');
const { Document } = load('@langchain/core/documents');
const { PineconeEmbeddings, PineconeStore } = load('@langchain/pinecone');
const { Pinecone } = load('@pinecone-database/pinecone');

const DIMENSION = 64;
const TEXTS = {
  cat: 'the cat sleeps on the warm sofa',
  dog: 'the dog runs in the wet garden',
  car: 'a red car drives on a long road',
  train: 'a fast train drives on rails of steel',
};

/** As embedding.py has it: each word adds to a few dimensions, chosen by its hash. */
function embed(text) {
  const values = new Array(DIMENSION).fill(0);
  for (const word of text.toLowerCase().split(/\s+/)) {
    const digest = createHash('sha256').update(word).digest();
    for (let at = 0; at < 4; at += 1) values[digest[at] % DIMENSION] += digest[at + 4] % 2 ? 1 : -1;
  }
  const norm = Math.hypot(...values) || 1;
  return values.map((value) => value / norm);
}

class Hashed extends Embeddings {
  constructor() {
    super({});
  }
  async embedQuery(text) {
    return embed(text);
  }
  async embedDocuments(texts) {
    return texts.map(embed);
  }
}

const documents = () =>
  Object.entries(TEXTS).map(([kind, pageContent]) => new Document({ pageContent, metadata: { kind } }));
const kinds = (found) => found.map((one) => one.metadata.kind).sort();
const config = { apiKey: process.env.CROSSBILL_KEY, controllerHostUrl: process.env.CROSSBILL_URL };
let store;

call('store-add', async () => {
  const pc = new Pinecone(config);
  const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
  await pc.createIndex({ name: 'langchain', dimension: DIMENSION, metric: 'cosine', spec });
  const pineconeIndex = pc.index('langchain');
  store = await PineconeStore.fromExistingIndex(new Hashed(), { pineconeIndex, namespace: 'n' });
  const ids = await store.addDocuments(documents(), { ids: Object.keys(TEXTS) });
  assert.deepEqual(ids, Object.keys(TEXTS));
});

call('store-search', async () => {
  const [found] = await store.similaritySearch('cat sofa', 1);
  assert.deepEqual([found.pageContent, found.metadata.kind], [TEXTS.cat, 'cat']);
});

call('store-scores', async () => {
  const [[found, score]] = await store.similaritySearchWithScore(TEXTS.dog, 1);
  assert.equal(found.metadata.kind, 'dog');
  assert.ok(Math.abs(score - 1) < 1e-5);
});

call('store-filter', async () => {
  const filter = { kind: { $in: ['car', 'dog'] } };
  assert.deepEqual(kinds(await store.similaritySearch('the red car', 4, filter)), ['car', 'dog']);
});

call('store-vector', async () => {
  const [[found]] = await store.similaritySearchVectorWithScore(embed('wet garden'), 1);
  assert.equal(found.metadata.kind, 'dog');
});

call('store-hybrid', () => { throw absent(); });

call('store-diverse', async () => {
  const found = await store.maxMarginalRelevanceSearch('drives on', { k: 2, fetchK: 4 });
  assert.equal(found.length, 2);
});

call('store-namespaces', async () => {
  const pineconeIndex = new Pinecone(config).index('langchain');
  const other = await PineconeStore.fromExistingIndex(new Hashed(), { pineconeIndex, namespace: 'apart' });
  await other.addDocuments(documents().slice(0, 1), { ids: ['cat'] });
  assert.deepEqual(kinds(await other.similaritySearch('the cat', 9)), ['cat']);
  assert.deepEqual(kinds(await store.similaritySearch('the red cat drives', 9)), ['car', 'cat', 'dog', 'train']);
});

call('store-get', () => { throw absent(); });
call('store-update', () => { throw absent(); });

call('store-statistics', () => { throw absent(); });

call('store-delete', async () => {
  await store.delete({ ids: ['cat'] });
  assert.deepEqual(kinds(await store.similaritySearch('the red dog drives', 4)), ['car', 'dog', 'train']);
});

call('store-delete-filter', async () => {
  await store.delete({ filter: { kind: { $eq: 'dog' } } });
  assert.deepEqual(kinds(await store.similaritySearch('a fast car on a road', 4)), ['car', 'train']);
});

call('store-clear', async () => {
  await store.delete({ deleteAll: true });
  assert.deepEqual(await store.similaritySearch('cat', 4), []);
});

call('store-models', async () => {
  const embeddings = new PineconeEmbeddings({ ...config, model: 'multilingual-e5-large' });
  const vectors = await embeddings.embedDocuments(Object.values(TEXTS));
  assert.deepEqual(vectors.map((vector) => vector.length), [384, 384, 384, 384]);
  assert.equal((await embeddings.embedQuery('a kitten')).length, 384);
});

// Every call of this package is asynchronous.
call('store-async', () => { throw absent(); });

run();
