// Records of a namespace, whatever the index calls them: vectors, or documents, whose fields are shown
// like metadata.

import { ApiError, api, documents, type Vector } from "./api";

export interface Page {
  records: Vector[];
  next: string | undefined;
}

/** Bytes of ids in one address: servers and proxies take 8 KiB. */
const ADDRESS_BYTES = 5000;
/** Indexes that were found to hold documents. */
const ofDocuments = new Set<string>();

const holdsDocuments = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 400 && error.message.includes("holds documents");

/** Does it as for vectors, or as for documents where the index turns out to hold those. */
async function either<T>(index: string, vectors: () => Promise<T>, asDocuments: () => Promise<T>): Promise<T> {
  if (!ofDocuments.has(index)) {
    try {
      return await vectors();
    } catch (error) {
      if (!holdsDocuments(error)) throw error;
      ofDocuments.add(index);
    }
  }
  return asDocuments();
}

function vectorOf(id: string, document: Record<string, unknown>): Vector {
  const { _id: _, ...fields } = document;
  return { id, metadata: fields };
}

/** The ids of a page in their order, and where the next one begins. */
export async function listIds(
  index: string,
  namespace: string,
  limit: number,
  prefix?: string,
  token?: string,
): Promise<{ ids: string[]; next: string | undefined }> {
  return either(
    index,
    async () => {
      const page = await api.list(index, namespace, limit, prefix, token);
      return { ids: page.vectors.map((vector) => vector.id), next: page.pagination?.next };
    },
    async () => {
      const page = await documents.list(index, namespace, limit, prefix, token);
      return { ids: page.documents.map((document) => document._id), next: page.pagination?.next };
    },
  );
}

/** The records with these ids, in their order; unknown ones are left out. */
export async function fetchRecords(index: string, namespace: string, ids: string[]): Promise<Vector[]> {
  const found = new Map<string, Vector>();
  for (const some of batches(ids)) {
    const page = await either(
      index,
      async () => Object.values((await api.fetch(index, namespace, some)).vectors),
      async () => documentsOf((await documents.fetch(index, namespace, { ids: some })).documents),
    );
    page.forEach((record) => found.set(record.id, record));
  }
  return ids.map((id) => found.get(id)).filter((record) => record !== undefined);
}

const documentsOf = (found: Record<string, Record<string, unknown>>): Vector[] =>
  Object.entries(found).map(([id, document]) => vectorOf(id, document));

function batches(ids: string[]): string[][] {
  const all: string[][] = [];
  let some: string[] = [];
  let bytes = 0;
  for (const id of ids) {
    const own = encodeURIComponent(id).length + 5;
    if (some.length === 100 || (some.length > 0 && bytes + own > ADDRESS_BYTES)) {
      all.push(some);
      some = [];
      bytes = 0;
    }
    some.push(id);
    bytes += own;
  }
  if (some.length > 0) all.push(some);
  return all;
}

export async function browse(
  index: string,
  namespace: string,
  limit: number,
  prefix?: string,
  token?: string,
): Promise<Page> {
  const { ids, next } = await listIds(index, namespace, limit, prefix, token);
  return { records: await fetchRecords(index, namespace, ids), next };
}

export async function filtered(
  index: string,
  namespace: string,
  filter: unknown,
  limit: number,
  token?: string,
): Promise<Page> {
  const byId = (a: Vector, b: Vector): number => (a.id < b.id ? -1 : 1);
  return either(
    index,
    async () => {
      const page = await api.fetchByMetadata(index, namespace, filter, limit, token);
      return { records: Object.values(page.vectors).sort(byId), next: page.pagination?.next };
    },
    async () => {
      const body = { filter, limit, pagination_token: token };
      const page = await documents.fetch(index, namespace, body);
      return { records: documentsOf(page.documents).sort(byId), next: page.pagination?.next };
    },
  );
}
