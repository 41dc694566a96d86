// The calls of calls.json through the official TypeScript client, versions 6 to 9. What a version
// takes in another form is in the functions at the top.

const assert = require('node:assert/strict');
const { Outcome, absent, call, load, raised, refused, run } = require('./report.cjs');

const { Pinecone, Errors } = load('@pinecone-database/pinecone');
const major = Number(load('@pinecone-database/pinecone/package.json').version.split('.')[0]);
const old = major < 7;
const { CROSSBILL_URL: controllerHostUrl, CROSSBILL_KEY: key, CROSSBILL_SOURCE: source } = process.env;
const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
const [MODEL, RERANKER] = ['multilingual-e5-large', 'bge-reranker-v2-m3'];
const rows = Array.from({ length: 10 }, (_, row) => ({
  id: `doc${row % 2}#${row}`,
  values: [row, 1, 0.5],
  metadata: { row, even: row % 2 === 0 },
}));

const client = (apiKey) => new Pinecone({ apiKey, controllerHostUrl });
const pc = client(key);
const at = (name, namespace) => (namespace ? pc.index(name).namespace(namespace) : pc.index(name));
const dense = (namespace) => at('dense', namespace);
const upsert = (index, records) => index.upsert(old ? records : { records });
const configure = (name, change) =>
  old ? pc.configureIndex(name, change) : pc.configureIndex({ name, ...change });
/** Where indexes are made by a schema. */
const indexes = () => (major >= 9 ? pc.indexes : pc.preview.indexes);
const deleteMany = (index, { ids, filter }) =>
  index.deleteMany(old ? ids || filter : ids ? { ids } : { filter });
const startImport = (uri) =>
  old ? dense().startImport(uri, 'continue') : dense().startImport({ uri, errorMode: 'continue' });
const listNamespaces = (limit, paginationToken) =>
  old ? dense().listNamespaces(limit, paginationToken) : dense().listNamespaces({ limit, paginationToken });
const fetched = async (namespace) =>
  (await dense(namespace).fetch(old ? rows.map((row) => row.id) : { ids: rows.map((row) => row.id) })).records;

/** Makes an index of pods. Version 9 does not any more: it is asked for as an older one asks. */
async function makePods(name) {
  if (major < 9) {
    const pod = { environment: 'us-east1-gcp', podType: 'p1.x1', pods: 1 };
    return pc.createIndex({ name, dimension: 2, metric: 'euclidean', spec: { pod } });
  }
  const pod = { environment: 'us-east1-gcp', pod_type: 'p1.x1', pods: 1 };
  const made = await fetch(`${controllerHostUrl}/indexes`, {
    method: 'POST',
    headers: { 'Api-Key': key, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name, dimension: 2, metric: 'euclidean', spec: { pod } }),
  });
  assert.equal(made.status, 201, await made.text());
}

call('create-dense', async () => {
  await pc.createIndex({ name: 'dense', dimension: 3, metric: 'cosine', spec, waitUntilReady: true });
  await pc.createIndex({ name: 'hybrid', dimension: 2, metric: 'dotproduct', spec });
  const made = await pc.describeIndex('dense');
  assert.deepEqual([made.dimension, made.metric, made.status.ready], [3, 'cosine', true]);
});

call('create-sparse', async () => {
  await pc.createIndex({ name: 'sparse', metric: 'dotproduct', vectorType: 'sparse', spec });
  assert.equal((await pc.describeIndex('sparse')).vectorType, 'sparse');
});

call('create-pod', async () => {
  if (major >= 9) throw absent(); // It refuses to before it asks.
  await makePods('pod');
  assert.equal((await pc.describeIndex('pod')).spec.pod.podType, 'p1.x1');
  await pc.deleteIndex('pod');
});

call('create-schema', async () => {
  if (major < 8) throw absent();
  const fields = { _values: { type: 'dense_vector', dimension: 4, metric: 'dotproduct' } };
  const made = await indexes().create({ name: 'schema', schema: { fields } });
  assert.deepEqual(Object.keys(made.schema.fields), ['_values']);
  await pc.deleteIndex('schema');
});

async function forModel(name) {
  const embed = { model: MODEL, fieldMap: { text: 'text' } };
  await pc.createIndexForModel({ name, cloud: 'aws', region: 'us-east-1', embed, waitUntilReady: true });
  return pc.describeIndex(name);
}

call('create-for-model', async () => {
  const made = await forModel('model');
  assert.deepEqual([made.embed.model, made.embed.fieldMap], [MODEL, { text: 'text' }]);
  await pc.deleteIndex('model');
});

call('list-indexes', async () => {
  const names = (await pc.listIndexes()).indexes.map((index) => index.name);
  assert.deepEqual(names.sort(), ['dense', 'hybrid', 'sparse']);
});

call('describe-index', async () => {
  const made = await pc.describeIndex('hybrid');
  assert.deepEqual([made.name, made.dimension, made.metric], ['hybrid', 2, 'dotproduct']);
  assert.deepEqual([made.spec.serverless.cloud, made.spec.serverless.region], ['aws', 'us-east-1']);
});

call('configure-tags', async () => {
  await configure('dense', { tags: { team: 'search', old: 'yes' } });
  await configure('dense', { tags: { old: '', new: '1' } });
  assert.deepEqual((await pc.describeIndex('dense')).tags, { team: 'search', new: '1' });
});

call('configure-protection', async () => {
  await configure('hybrid', { deletionProtection: 'enabled' });
  assert.equal((await pc.describeIndex('hybrid')).deletionProtection, 'enabled');
  const error = await raised(() => pc.deleteIndex('hybrid'));
  assert.match(error.message, /protect/i);
  await configure('hybrid', { deletionProtection: 'disabled' });
});

call('delete-index', async () => {
  await pc.createIndex({ name: 'short', dimension: 2, metric: 'cosine', spec });
  await pc.deleteIndex('short');
  assert.ok((await raised(() => pc.describeIndex('short'))) instanceof Errors.PineconeNotFoundError);
});

call('upsert', async () => {
  await upsert(dense('query'), rows);
  assert.equal(Object.keys(await fetched('query')).length, 10);
});
call('upsert-batched', () => { throw absent(); });
call('upsert-dataframe', () => { throw absent(); });

call('upsert-sparse', async () => {
  const sparse = Array.from({ length: 5 }, (_, row) => ({
    id: `s${row}`,
    sparseValues: { indices: [row, row + 1], values: [1, 0.5] },
  }));
  await upsert(at('sparse'), sparse);
  await upsert(at('hybrid'), sparse.map((record, row) => ({ ...record, values: [row, 1] })));
});

call('query-vector', async () => {
  const answer = await dense('query').query({ vector: rows[4].values, topK: 3 });
  assert.equal(answer.matches.length, 3);
  assert.equal(answer.matches[0].id, rows[4].id);
  assert.ok(Math.abs(answer.matches[0].score - 1) < 1e-5);
  assert.equal(answer.namespace, 'query');
  assert.ok(answer.usage.readUnits >= 1);
  assert.deepEqual((await dense('nobody').query({ vector: rows[4].values, topK: 3 })).matches, []);
});

call('query-id', async () => {
  const answer = await dense('query').query({ id: rows[7].id, topK: 1 });
  assert.deepEqual(answer.matches.map((match) => match.id), [rows[7].id]);
});

const scored = (answer) => answer.matches.map((match) => [match.id, match.score]);
call('query-sparse', async () => {
  const sparseVector = { indices: [4], values: [2] };
  const answer = await at('sparse').query({ sparseVector, topK: 5 });
  assert.deepEqual(scored(answer), [['s4', 2], ['s3', 1]]);
});

call('query-hybrid', async () => {
  const sparseVector = { indices: [0], values: [100] };
  const answer = await at('hybrid').query({ vector: [1, 0], sparseVector, topK: 2 });
  assert.deepEqual(scored(answer), [['s0', 100], ['s4', 4]]);
});

call('query-filter', async () => {
  for (const [filter, expected] of [
    [{ even: true }, 5],
    [{ row: { $gte: 2, $lt: 5 } }, 3],
    [{ $or: [{ row: { $in: [1, 2] } }, { row: { $eq: 9 } }] }, 3],
    [{ row: { $nin: [1, 2] } }, 8],
    [{ absent: { $exists: false } }, 10],
  ]) {
    const answer = await dense('query').query({ vector: [1, 1, 1], topK: 10, filter });
    assert.equal(answer.matches.length, expected, JSON.stringify(filter));
  }
});

call('query-include', async () => {
  const options = { id: rows[3].id, topK: 1, includeValues: true, includeMetadata: true };
  const [match] = (await dense('query').query(options)).matches;
  assert.deepEqual([match.values, match.metadata], [rows[3].values, rows[3].metadata]);
});

call('query-namespaces', () => { throw absent(); });

call('fetch', async () => {
  const odd = 'a/b c,d?e&f';
  await upsert(dense('fetch'), [{ id: odd, values: [1, 2, 3] }]);
  const ids = [odd, 'unknown'];
  const answer = await dense('fetch').fetch(old ? ids : { ids });
  assert.deepEqual(Object.keys(answer.records), [odd]);
  assert.deepEqual(answer.records[odd].values, [1, 2, 3]);
  assert.ok(answer.usage.readUnits >= 1);
});

call('fetch-by-metadata', async () => {
  if (old) throw absent();
  const found = [];
  let paginationToken;
  do {
    const options = { filter: { even: { $eq: true } }, limit: 2, paginationToken };
    const answer = await dense('query').fetchByMetadata(options);
    found.push(...Object.keys(answer.records));
    paginationToken = answer.pagination && answer.pagination.next;
  } while (paginationToken);
  const even = rows.filter((row) => row.metadata.even).map((row) => row.id);
  assert.deepEqual(found, even);
});

call('update-values', async () => {
  await upsert(dense('update'), rows);
  await dense('update').update({ id: rows[0].id, values: [9, 9, 9] });
  const record = (await fetched('update'))[rows[0].id];
  assert.deepEqual([record.values, record.metadata], [[9, 9, 9], rows[0].metadata]);
});

call('update-metadata', async () => {
  await dense('update').update({ id: rows[1].id, metadata: { new: 'x' } });
  assert.deepEqual((await fetched('update'))[rows[1].id].metadata, { ...rows[1].metadata, new: 'x' });
});

call('update-by-filter', async () => {
  if (old) throw absent();
  await dense('update').update({ filter: { even: { $eq: true } }, metadata: { seen: true } });
  const seen = Object.values(await fetched('update')).filter((record) => record.metadata.seen === true);
  assert.equal(seen.length, 5);
});

call('delete-ids', async () => {
  await upsert(dense('delete'), rows);
  await deleteMany(dense('delete'), { ids: [rows[0].id, 'unknown'] });
  await dense('delete').deleteOne(old ? rows[1].id : { id: rows[1].id });
  assert.equal(Object.keys(await fetched('delete')).length, 8);
});

call('delete-filter', async () => {
  await deleteMany(dense('delete'), { filter: { row: { $gte: 5 } } });
  assert.equal(Object.keys(await fetched('delete')).length, 3);
});

call('delete-all', async () => {
  await dense('delete').deleteAll();
  assert.equal(Object.keys(await fetched('delete')).length, 0);
});

call('list-prefix', async () => {
  const found = (await dense('query').listPaginated({ prefix: 'doc1#' })).vectors.map((item) => item.id);
  const expected = rows.map((row) => row.id).filter((id) => id.startsWith('doc1#'));
  assert.deepEqual(found, expected);
});

call('list-pages', async () => {
  const sizes = [];
  let paginationToken;
  do {
    const page = await dense('query').listPaginated({ limit: 4, paginationToken });
    sizes.push(page.vectors.length);
    paginationToken = page.pagination && page.pagination.next;
  } while (paginationToken);
  assert.deepEqual(sizes, [4, 4, 2]);
});

call('stats', async () => {
  const answer = await dense().describeIndexStats();
  assert.deepEqual([answer.dimension, answer.namespaces.query.recordCount], [3, 10]);
  assert.ok(answer.totalRecordCount >= 10);
});

call('create-namespace', async () => {
  if (old) throw absent();
  const schema = { fields: { genre: { filterable: true } } };
  const made = await dense().createNamespace({ name: 'made', schema });
  assert.equal(made.name, 'made');
  const again = await raised(() => dense().createNamespace({ name: 'made' }));
  assert.ok(again instanceof Errors.PineconeConflictError, again);
});

call('list-namespaces', async () => {
  const names = [];
  let token;
  do {
    const page = await listNamespaces(2, token);
    names.push(...page.namespaces.map((one) => one.name));
    token = page.pagination && page.pagination.next;
  } while (token);
  for (const name of ['query', 'update', 'fetch']) assert.ok(names.includes(name), names.join());
  assert.equal(new Set(names).size, names.length);
});

call('describe-namespace', async () => {
  const one = await dense().describeNamespace('query');
  assert.deepEqual([one.name, Number(one.recordCount)], ['query', 10]);
});

call('delete-namespace', async () => {
  await dense().deleteNamespace('fetch');
  const error = await raised(() => dense().describeNamespace('fetch'));
  assert.ok(error instanceof Errors.PineconeNotFoundError, error);
});

call('start-import', async () => {
  const { id } = await startImport(source);
  let state;
  for (let tries = 0; tries < 600; tries += 1) {
    state = await dense().describeImport(id);
    if (['Completed', 'Failed', 'Cancelled'].includes(state.status)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual([state.status, state.recordsImported], ['Completed', 20], state.error);
  assert.ok(state.createdAt instanceof Date && state.finishedAt instanceof Date);
});

call('list-imports', async () => {
  const { id } = await startImport(source);
  assert.ok((await dense().listImports(10)).data.some((one) => one.id === id));
  const page = await dense().listImports(1);
  assert.equal(page.data.length, 1);
  const next = await dense().listImports(1, page.pagination.next);
  assert.notEqual(next.data[0].id, page.data[0].id);
});

call('cancel-import', async () => {
  // As the client's own tests do: from a place that nothing can be read from.
  const { id } = await startImport('s3://pinecone-test-public/');
  await dense().cancelImport(id);
  assert.equal((await dense().describeImport(id)).status, 'Cancelled');
  const error = await raised(() => dense().describeImport('999999'));
  assert.ok(error instanceof Errors.PineconeNotFoundError, error);
});

call('error-400', async () => {
  const error = await raised(() => dense().query({ vector: [1, 2], topK: 1 }));
  assert.ok(error instanceof Errors.PineconeBadRequestError, error);
  assert.match(error.message, /dimension/);
});

call('error-401', async () => {
  const error = await raised(() => client('wrong').listIndexes());
  assert.ok(error instanceof Errors.PineconeAuthorizationError, error);
});

call('error-404', async () => {
  const error = await raised(() => pc.describeIndex('nothing'));
  assert.ok(error instanceof Errors.PineconeNotFoundError, error);
});

call('error-409', async () => {
  const error = await raised(() => pc.createIndex({ name: 'dense', dimension: 3, metric: 'cosine', spec }));
  assert.ok(error instanceof Errors.PineconeConflictError, error);
});

call('upsert-records', async () => {
  await forModel('text');
  const records = [
    { id: 'cat', text: 'a cat sleeps on the sofa', kind: 'pet' },
    { id: 'bank', text: 'the bank raised its interest rates', kind: 'news' },
  ];
  await at('text', 'n').upsertRecords(old ? records : { records });
  const found = await at('text', 'n').fetch(old ? ['cat'] : { ids: ['cat'] });
  assert.equal(found.records.cat.values.length, 384);
});

call('search-text', async () => {
  const query = { inputs: { text: 'kittens' }, topK: 2 };
  const rerank = { model: RERANKER, rankFields: ['text'], topN: 1, query: 'finance' };
  for (const [options, expected] of [[{}, 'cat'], [{ rerank }, 'bank']]) {
    const [hit] = (await at('text', 'n').searchRecords({ query, ...options })).result.hits;
    assert.equal(hit._id, expected);
  }
  await pc.deleteIndex('text');
});

call('search-records', async () => {
  const query = { topK: 2, vector: { values: rows[4].values } };
  const [hit] = (await dense('query').searchRecords({ query })).result.hits;
  assert.deepEqual([hit._id, hit.fields.row], [rows[4].id, 4]);
});

call('embed', async () => {
  const [model, inputs, parameters] = [MODEL, ['x', 'y'], { inputType: 'query' }];
  const made = await (old
    ? pc.inference.embed(model, inputs, parameters)
    : pc.inference.embed({ model, inputs, parameters }));
  assert.deepEqual(made.data.map((one) => one.values.length), [384, 384]);
});

call('rerank', async () => {
  const [model, query, topN] = [RERANKER, 'pets', 1];
  const documents = [{ text: 'shares fell' }, { text: 'a cat sleeps' }];
  const ranked = await (old
    ? pc.inference.rerank(model, query, documents, { topN })
    : pc.inference.rerank({ model, query, documents, topN }));
  assert.deepEqual(ranked.data.map((one) => [one.index, one.document.text]), [[1, 'a cat sleeps']]);
});

call('list-models', async () => {
  const names = async (options) => (await pc.inference.listModels(options)).models.map((one) => one.model);
  assert.deepEqual((await names()).sort(), [MODEL, RERANKER, 'minilm'].sort());
  assert.deepEqual(await names({ type: 'rerank' }), [RERANKER]);
});

// Version 8 has documents as a preview, with the namespace first; version 9 at the index.
function documents() {
  if (major >= 9) return at('documents', 'n').documents;
  const index = pc.preview.index({ name: 'documents' });
  const names = ['upsert', 'search', 'fetch', 'update', 'list', 'delete'];
  return Object.fromEntries(names.map((name) => [name, (given) => index[`${name}Documents`]('n', given)]));
}
const documentCall = (name, run) =>
  call(`documents-${name}`, major >= 8 ? run : () => { throw absent(); });
const found = async (scoreBy) =>
  (await documents().search({ scoreBy: [scoreBy], topK: 5 })).matches.map((one) => one._id);

documentCall('upsert', async () => {
  const fields = {
    at: { type: 'dense_vector', dimension: 2, metric: 'cosine' },
    terms: { type: 'sparse_vector' },
    body: { type: 'string', fullTextSearch: { stemming: true } },
  };
  await indexes().create({ name: 'documents', schema: { fields }, waitUntilReady: true });
  const fox = { _id: 'fox', at: [1, 1], body: 'A fox runs after a cat', year: 3 };
  const made = await documents().upsert({
    documents: [
      { _id: 'cat', at: [1, 0], body: 'A cat sleeps', year: 1 },
      { _id: 'dog', at: [0, 1], body: 'Two dogs run', year: 2 },
      { ...fox, terms: { indices: [7], values: [2] } },
    ],
  });
  assert.equal(made.upsertedCount, 3);
});

documentCall('search', async () => {
  const of = (field) => (major >= 9 ? { fields: [field] } : { field });
  for (const [scoreBy, expected] of [
    [{ type: 'text', ...of('body'), query: 'running dog' }, ['dog', 'fox']],
    [{ type: 'query_string', query: 'body:(cat AND fox)' }, ['fox']],
    [{ type: 'dense_vector', ...of('at'), values: [0.9, 0.1] }, ['cat', 'fox', 'dog']],
    [{ type: 'sparse_vector', ...of('terms'), sparseValues: { indices: [7], values: [1] } }, ['fox']],
  ]) {
    assert.deepEqual(await found(scoreBy), expected, JSON.stringify(scoreBy));
  }
});

documentCall('fetch', async () => {
  const answer = await documents().fetch({ ids: ['cat', 'none'], includeFields: ['year'] });
  assert.deepEqual(answer.documents, { cat: { _id: 'cat', year: 1 } });
});

documentCall('update', async () => {
  const patch = [{ _id: 'cat', body: 'A bird sings', _remove_fields: ['year'] }];
  await documents().update({ documents: patch });
  assert.deepEqual(await found({ type: 'query_string', query: 'body:bird' }), ['cat']);
  const first = await documents().list({ limit: 2 });
  const second = await documents().list({ limit: 2, paginationToken: first.pagination.next });
  const ids = [...first.documents, ...second.documents].map((one) => one._id);
  assert.deepEqual(ids, ['cat', 'dog', 'fox']);
});

documentCall('delete', async () => {
  await documents().delete({ ids: ['cat'] });
  await documents().delete({ deleteAll: true });
  assert.deepEqual(await found({ type: 'query_string', query: 'body:fox' }), []);
  await pc.deleteIndex('documents');
});

call('backups', async () => {
  const made = await pc.createBackup({ indexName: 'dense', name: 'one' });
  const listed = await pc.listBackups({ indexName: 'dense' });
  assert.ok(listed.data.some((one) => one.backupId === made.backupId));
  assert.equal((await pc.describeBackup(made.backupId)).name, 'one');
  await pc.deleteBackup(made.backupId);
});

call('collections', async () => {
  // Only of pods.
  await assert.rejects(pc.createCollection({ name: 'kept', source: 'dense' }), /pod/);
  await makePods('pods');
  await pc.createCollection({ name: 'kept', source: 'pods' });
  assert.ok((await pc.listCollections()).collections.some((one) => one.name === 'kept'));
  assert.strictEqual((await pc.describeCollection('kept')).name, 'kept');
  await pc.deleteCollection('kept');
  await pc.deleteIndex('pods');
});

run();
