// Calls of the public API, and the shapes of what it answers as far as the console reads them. The
// key lives in this module's memory and nowhere else.

export interface SchemaField {
  type?: string;
  full_text_search?: unknown;
}

export interface IndexModel {
  name: string;
  metric: string;
  dimension?: number;
  vector_type: string;
  vector_storage?: string;
  recall_target?: number;
  host: string;
  status: { state: string };
  deletion_protection: string;
  tags?: Record<string, string>;
  schema?: { fields?: Record<string, SchemaField> };
}

export interface Namespace {
  name: string;
  record_count: number;
  size_bytes: number;
}

export interface Pagination {
  next?: string;
}

export interface SparseValues {
  indices: number[];
  values: number[];
}

export interface Vector {
  id: string;
  values?: number[];
  sparseValues?: SparseValues;
  metadata?: Record<string, unknown>;
}

export interface Match extends Vector {
  score: number;
}

export interface Explain {
  segments: number;
  lists: number;
  rowsScanned: number;
  rowsScored: number;
  rowsInMemory: number;
  micros: { request: number; search: number; read: number };
}

export interface Import {
  id: string;
  uri: string;
  status: "Pending" | "InProgress" | "Completed" | "Failed" | "Cancelled";
  createdAt: string;
  finishedAt?: string;
  percentComplete: number;
  recordsImported: number;
  recordsRejected: number;
  recordsSuperseded: number;
  recordsRead: number;
  recordsUnderWay?: number;
  recordsTotal?: number;
  bytesRead: number;
  bytesTotal?: number;
  filesDone: number;
  filesTotal?: number;
  filesSkipped?: number;
  phase: string;
  paused?: boolean;
  recordsPerSecond?: number;
  etaSeconds?: number;
  warnings?: string[];
  error?: string;
  errorMode: string;
  dryRun?: boolean;
  skipLoaded?: boolean;
  atomic?: boolean;
  mode?: string;
  maxErrors?: number;
  estimate?: { seconds: number; diskBytes: number; diskFreeBytes: number };
}

export interface Reject {
  file: string;
  rowGroup?: number;
  row?: number;
  id?: string;
  code: string;
  column?: string;
  message: string;
  record?: string;
}

export interface Preview {
  file: string;
  namespace: string;
  columns: { name: string; type: string }[];
  rows: {
    row: number;
    id?: string;
    values?: number[];
    sparseEntries?: number;
    metadata?: string;
    code?: string;
    message?: string;
  }[];
  error?: string;
}

export interface Load {
  version: string;
  uptime_seconds: number;
  requests: {
    working: number;
    working_max: number;
    answered: number;
    refused: number;
    failed: number;
    micros: number;
  };
  threads: number;
  searches: number;
  imports: { running: number; waiting: number };
  memory: { resident_bytes?: number; anonymous_bytes?: number; memtables_bytes: number };
  disk_free_bytes: number;
}

/** What a call failed with. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

let key = "";
let keyWanted: () => void = () => undefined;

/** Takes the key that the user typed. */
export function setKey(typed: string): void {
  key = typed;
}

/** Says whom to tell where the server wants a key, or another one. */
export function onKeyWanted(tell: () => void): void {
  keyWanted = tell;
}

type Query = Record<string, string | number | undefined | string[]>;

/** How long an answer may take before the console gives up on it. */
const PATIENCE_MS = 60_000;

async function call<T>(method: string, path: string, query: Query = {}, body?: unknown): Promise<T> {
  const url = new URL(path, new URL(".", location.href.split("#")[0]));
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) value.forEach((item) => url.searchParams.append(name, item));
    else if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = {};
  if (key !== "") headers["Api-Key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const request: RequestInit = { method, headers, signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" };
  if (body !== undefined) request.body = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(url, request);
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(0, late ? "The server did not answer in time." : "The server cannot be reached.");
  }
  const text = await answer.text();
  if (answer.status === 401) keyWanted();
  if (!answer.ok) throw new ApiError(answer.status, messageOf(text, answer.status));
  return (text === "" ? {} : JSON.parse(text)) as T;
}

function messageOf(text: string, status: number): string {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    if (typeof body.message === "string") return body.message;
  } catch {
    // Something between here and the server answered.
  }
  return `The server answered ${status}.`;
}

const data = (index: string, path: string): string => `data/${encodeURIComponent(index)}/${path}`;

export const api = {
  indexes: () => call<{ indexes: IndexModel[] }>("GET", "indexes"),
  index: (name: string) => call<IndexModel>("GET", `indexes/${encodeURIComponent(name)}`),
  load: () => call<Load>("GET", "load"),
  ready: () => call<{ status: string }>("GET", "ready"),
  integrations: () => call<{ integrations: { id: string; kind: string }[] }>("GET", "integrations"),
  stats: (index: string) =>
    call<{ totalVectorCount: number; namespaces: Record<string, { vectorCount: number }> }>(
      "POST",
      data(index, "describe_index_stats"),
      {},
      {},
    ),
  namespaces: (index: string, token?: string) =>
    call<{ namespaces: Namespace[]; pagination?: Pagination; total_count: number }>("GET", data(index, "namespaces"), {
      limit: 100,
      paginationToken: token,
    }),
  list: (index: string, namespace: string, limit: number, prefix?: string, token?: string) =>
    call<{ vectors: { id: string }[]; pagination?: Pagination }>("GET", data(index, "vectors/list"), {
      namespace,
      limit,
      // A token carries the prefix of its listing.
      prefix: token === undefined ? prefix : undefined,
      paginationToken: token,
    }),
  fetch: (index: string, namespace: string, ids: string[]) =>
    call<{ vectors: Record<string, Vector> }>("GET", data(index, "vectors/fetch"), { namespace, ids }),
  fetchByMetadata: (index: string, namespace: string, filter: unknown, limit: number, token?: string) =>
    call<{ vectors: Record<string, Vector>; pagination?: Pagination }>(
      "POST",
      data(index, "vectors/fetch_by_metadata"),
      {},
      { namespace, filter, limit, paginationToken: token },
    ),
  query: (index: string, body: unknown) =>
    call<{ matches: Match[]; explain?: Explain }>("POST", data(index, "query"), {}, body),
  imports: (index: string, token?: string) =>
    call<{ data: Import[]; pagination?: Pagination }>("GET", data(index, "bulk/imports"), {
      limit: 50,
      paginationToken: token,
    }),
  describeImport: (index: string, id: string) =>
    call<Import>("GET", data(index, `bulk/imports/${encodeURIComponent(id)}`)),
  startImport: (index: string, body: unknown) => call<{ id: string }>("POST", data(index, "bulk/imports"), {}, body),
  previewImport: (index: string, body: unknown) =>
    call<Preview>("POST", data(index, "bulk/imports/preview"), {}, body),
  pauseImport: (index: string, id: string) => call("POST", data(index, `bulk/imports/${encodeURIComponent(id)}/pause`)),
  resumeImport: (index: string, id: string) =>
    call("POST", data(index, `bulk/imports/${encodeURIComponent(id)}/resume`)),
  cancelImport: (index: string, id: string) => call("DELETE", data(index, `bulk/imports/${encodeURIComponent(id)}`)),
  rejects: (index: string, id: string, offset: number, limit: number, whole = false) =>
    call<{ data: Reject[]; total: number }>("GET", data(index, `bulk/imports/${encodeURIComponent(id)}/rejects`), {
      offset,
      limit,
      records: whole ? "whole" : undefined,
    }),
};

const documentsAt = (index: string, namespace: string, verb: string): string =>
  data(index, `namespaces/${encodeURIComponent(namespace === "" ? "__default__" : namespace)}/documents/${verb}`);

/** The same of an index that holds documents. */
export const documents = {
  list: (index: string, namespace: string, limit: number, prefix?: string, token?: string) =>
    call<{ documents: { _id: string }[]; pagination?: Pagination }>(
      "POST",
      documentsAt(index, namespace, "list"),
      {},
      { limit, prefix: token === undefined ? prefix : undefined, pagination_token: token },
    ),
  fetch: (index: string, namespace: string, body: unknown) =>
    call<{ documents: Record<string, Record<string, unknown>>; pagination?: Pagination }>(
      "POST",
      documentsAt(index, namespace, "fetch"),
      {},
      body,
    ),
  search: (index: string, namespace: string, body: unknown) =>
    call<{ matches: (Record<string, unknown> & { _id: string; _score: number })[] }>(
      "POST",
      documentsAt(index, namespace, "search"),
      {},
      body,
    ),
};
