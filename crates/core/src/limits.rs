//! Every bound of the system in one place: what a request may carry, what a
//! file may claim, what a queue may hold. Values the hosted service documents
//! are kept exactly; ours are marked so.

/// Characters of an index name (default; the operator may change it, as all
/// limits that `RequestLimits` names).
pub const INDEX_NAME_CHARS_MAX: usize = 45;
/// The most that may be set for it (ours): a label of a host name, which is
/// what a name may have to be part of.
pub const INDEX_NAME_CHARS_CEILING: usize = 63;
/// Characters of a namespace name.
pub const NAMESPACE_CHARS_MAX: usize = 512;
/// Characters of a record id.
pub const RECORD_ID_CHARS_MAX: usize = 512;
/// Components of a dense vector; segments hold no more.
pub const DIMENSION_MAX: u32 = 20_000;
/// Non-zero entries of a sparse vector.
pub const SPARSE_ENTRIES_MAX: usize = 2048;
/// The most that may be set for it (ours): a query looks up each of its entries
/// in every segment.
pub const SPARSE_ENTRIES_CEILING: usize = 20_000;
/// Bytes of one record's metadata as JSON.
pub const METADATA_BYTES_MAX: usize = 40 * 1024;
/// The most that may be set for it (ours): every record that a query answers
/// with may bring as much.
pub const METADATA_BYTES_CEILING: usize = 1024 * 1024;
/// Bytes of one text of a document.
pub const TEXT_BYTES_MAX: usize = 100 * 1024;
/// Words of one text of a document.
pub const TEXT_TOKENS_MAX: usize = 10_000;
/// Fields of an index that are searched as text.
pub const TEXT_FIELDS_MAX: usize = 100;
/// Bytes of the name of a schema's field.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// The most that may be set for it (ours): names stand in the catalog, as tags.
pub const FIELD_NAME_BYTES_CEILING: usize = 512;
/// Bytes of the description of a schema's field.
pub const FIELD_DESCRIPTION_BYTES_MAX: usize = 256;
/// Characters of the longest part of a word that is indexed.
pub const NGRAM_MAX: u8 = 10;
/// Bytes of one document as JSON.
pub const DOCUMENT_JSON_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a text that is searched for.
pub const TEXT_QUERY_BYTES_MAX: usize = 10 * 1024;
/// Records of one upsert request.
pub const UPSERT_RECORDS_MAX: usize = 1000;
/// Bytes of one upsert request (default; the operator may raise it).
pub const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of one answer over gRPC (ours): the official clients read as much.
pub const GRPC_ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of a file with a TLS certificate chain or key (ours).
pub const TLS_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Characters of the name of an API key (ours).
pub const KEY_NAME_CHARS_MAX: usize = 64;
/// Names, or beginnings of names, of the indexes that an API key is for (ours).
pub const KEY_INDEXES_MAX: usize = 100;
/// API keys of a server (ours): each request looks at all of them.
pub const KEYS_MAX: usize = 1000;
/// Bytes of a file of API keys (ours).
pub const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Refused requests that the audit log writes down a second (ours), so that who
/// has no key cannot fill the disk.
pub const AUDITED_REFUSALS_PER_SECOND: u32 = 20;
/// Ids of one fetch or delete request.
pub const IDS_PER_REQUEST_MAX: usize = 1000;
/// Results of one query.
pub const TOP_K_MAX: usize = 10_000;
/// How many times the usual part of an index a query may ask to be looked
/// through: least and most.
pub const SCAN_FACTOR: (f32, f32) = (0.5, 4.0);
/// The part of the true nearest neighbours that a query aims to find where it
/// says nothing (ours).
pub const RECALL_TARGET: f32 = 0.95;
/// Candidates that a query may ask for.
pub const CANDIDATES_MAX: usize = 100_000;
/// Bytes of the answer to one query.
pub const QUERY_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Metadata fields that one search may name.
pub const SEARCH_FIELDS_MAX: usize = 100;
/// Ids of one page of a listing.
pub const LIST_PAGE_MAX: usize = 100;
/// Records of one page of fetch-by-metadata.
pub const FETCH_BY_METADATA_PAGE_MAX: usize = 10_000;
/// Default page of fetch-by-metadata.
pub const FETCH_BY_METADATA_PAGE_DEFAULT: usize = 100;
/// Values of one `$in` or `$nin`.
pub const FILTER_VALUES_MAX: usize = 10_000;
/// Nesting of a filter (ours).
pub const FILTER_DEPTH_MAX: usize = 32;
/// The most that may be set for it (ours): JSON is read 127 deep, and a level
/// of a filter is two.
pub const FILTER_DEPTH_CEILING: usize = 60;
/// Conditions of one filter (ours).
pub const FILTER_CLAUSES_MAX: usize = 1000;
/// The most that may be set for it (ours): each takes a bit for every row.
pub const FILTER_CLAUSES_CEILING: usize = 10_000;
/// Words of one text condition of a filter, once the text is taken apart.
pub const TEXT_FILTER_TOKENS_MAX: usize = 128;
/// Clauses of one search of text.
pub const TEXT_CLAUSES_MAX: usize = 100;
/// Words of one search of text, each counted once for every field that it is
/// looked for in (ours).
pub const TEXT_TERMS_MAX: usize = 4096;
/// Groups within groups of a text query (ours).
pub const TEXT_DEPTH_MAX: usize = 32;
/// Fuzzy words and regular expressions of one search of text, each counted
/// once for every field (ours): each takes a bit for every row.
pub const TEXT_AUTOMATA_MAX: usize = 64;
/// Bytes of one regular expression (ours).
pub const TEXT_REGEX_BYTES_MAX: usize = 256;
/// How much the automaton of one regular expression may take (ours): characters
/// count 1, classes 100, all times the repetitions.
pub const TEXT_REGEX_COST_MAX: u64 = 1000;
/// Words, first in order, that the last one of a phrase prefix stands for.
pub const TEXT_PREFIX_WORDS_MAX: usize = 50;
/// How many words may lie between those of a phrase (ours).
pub const TEXT_SLOP_MAX: u32 = 100;
/// Characters of a word that count, the rest of it is cut off.
pub const TEXT_TOKEN_CHARS_MAX: usize = 40;
/// Tags of one index.
pub const TAGS_MAX: usize = 20;
/// The most that may be set for it (ours): a change to one index writes the
/// whole catalog, with all tags of all indexes.
pub const TAGS_CEILING: usize = 200;
/// Characters of a tag's key.
pub const TAG_KEY_CHARS_MAX: usize = 80;
/// The most that may be set for it (ours), as for [`TAGS_CEILING`].
pub const TAG_KEY_CHARS_CEILING: usize = 256;
/// Characters of a tag's value.
pub const TAG_VALUE_CHARS_MAX: usize = 120;
/// The most that may be set for it (ours), as for [`TAGS_CEILING`].
pub const TAG_VALUE_CHARS_CEILING: usize = 2048;

/// Characters of an import URI.
pub const IMPORT_URI_CHARS_MAX: usize = 1500;
/// The most that may be set for it (ours): paths of files and keys of object
/// stores are shorter.
pub const IMPORT_URI_CHARS_CEILING: usize = 8192;
/// Characters of an integration id.
pub const INTEGRATION_ID_CHARS_MAX: usize = 1000;
/// Integrations made over the API that a server keeps (ours).
pub const STORED_INTEGRATIONS_MAX: usize = 1000;
/// Characters of the id of an integration made over the API (ours).
pub const STORED_INTEGRATION_ID_CHARS_MAX: usize = 100;
/// Bytes of one setting of an integration made over the API (ours).
pub const INTEGRATION_FIELD_BYTES_MAX: usize = 16 * 1024;
/// Buckets that one integration made over the API may name (ours).
pub const INTEGRATION_BUCKETS_MAX: usize = 1000;
/// Rows that a preview of a source shows (ours).
pub const PREVIEW_ROWS_MAX: usize = 20;
/// Components of each vector that a preview shows (ours).
pub const PREVIEW_COMPONENTS_MAX: usize = 8;
/// Bytes of each text that a preview shows (ours).
pub const PREVIEW_TEXT_BYTES_MAX: usize = 2000;
/// Columns that a preview shows (ours).
pub const PREVIEW_COLUMNS_MAX: usize = 1000;
/// Bytes of decoded rows after which a preview has seen enough (ours).
pub const PREVIEW_BATCH_BYTES: usize = 1024 * 1024;
/// Bytes of lines that a preview looks at to learn their fields (ours).
pub const PREVIEW_HEAD_BYTES: usize = 4 * 1024 * 1024;
/// Files that a test of a source shows (ours).
pub const SOURCE_TEST_FILES_MAX: usize = 10;
/// Records with text of one upsert; also the texts of one call to embed.
pub const TEXT_RECORDS_MAX: usize = 96;
/// Documents of one call to rerank.
pub const RERANK_DOCUMENTS_MAX: usize = 100;
/// Texts of one request to an embedding endpoint (ours; default, the operator
/// may change it, at most [`TEXT_RECORDS_MAX`]).
pub const EMBEDDING_BATCH: u16 = 32;
/// Requests to a model's endpoint under way at once (ours; default, the
/// operator may change it).
pub const MODEL_CALLS_AT_ONCE: u16 = 4;
/// Bytes of one answer of a model's endpoint (ours): 96 vectors of the largest
/// dimension, written at length.
pub const MODEL_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Models that one server offers (ours).
pub const MODELS_MAX: usize = 100;
/// Characters of a model's name (ours).
pub const MODEL_NAME_CHARS_MAX: usize = 200;
/// Characters of the name of a source's column (ours).
pub const COLUMN_NAME_CHARS_MAX: usize = 1000;
/// Columns that an import makes metadata of (ours).
pub const METADATA_COLUMNS_MAX: usize = 100;
/// Imports of one page.
pub const IMPORT_PAGE_MAX: usize = 100;
/// The most that may be set for a page of imports, exports, backups, restore
/// jobs or schedules (ours): an answer is made in memory.
pub const JOB_PAGE_CEILING: usize = 10_000;
/// Files of one import.
pub const IMPORT_FILES_MAX: usize = 100_000;
/// Objects that listing one import's source looks at (ours).
pub const SOURCE_OBJECTS_MAX: usize = 1_000_000;
/// Directories within directories that listing a source follows (ours).
pub const SOURCE_DEPTH_MAX: usize = 64;
/// Bytes of one imported file.
pub const IMPORT_FILE_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// Namespaces of one import.
pub const IMPORT_NAMESPACES_MAX: usize = 10_000;
/// Bytes of one namespace in an import.
pub const IMPORT_NAMESPACE_BYTES_MAX: u64 = 500 * 1024 * 1024 * 1024;
/// Bytes of memory that a dry run of an import takes for each id that it
/// remembers (ours): a number in a table that doubles, and once in a list.
pub const DRY_RUN_ID_BYTES: u64 = 40;
/// Files of earlier imports of an index that `skipLoaded` looks at, those of
/// the newest imports first (ours).
pub const LOADED_FILES_MAX: usize = 1_000_000;
/// Imports that wait or run on one server (ours).
pub const IMPORT_QUEUE_MAX: usize = 1000;
/// Ends of imports that wait to be told to a webhook at once (ours).
pub const WEBHOOKS_WAITING_MAX: usize = 10_000;
/// Least bytes of a webhook's secret (ours).
pub const WEBHOOK_SECRET_BYTES_MIN: usize = 16;
/// Exports that wait or run on one server (ours).
pub const EXPORT_QUEUE_MAX: usize = 100;
/// Exports of one page (ours).
pub const EXPORT_PAGE_MAX: usize = 100;
/// Bytes after which a file of an export is full (ours).
pub const EXPORT_PART_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of JSON after which a file of an export of documents is full, before
/// it is packed: below [`UNPACKED_BYTES_FREE`], so that an import takes it however
/// small it became (ours).
pub const EXPORT_LINES_BYTES: u64 = 128 * 1024 * 1024;
/// Requests a second that a pull makes (ours; default, at most
/// [`PULL_RATE_MAX`]). The hosted service documents 100 fetches and 200 lists.
pub const PULL_RATE: f64 = 20.0;
/// Requests a second that a pull may be told to make (ours).
pub const PULL_RATE_MAX: f64 = 1000.0;
/// Fetches that a pull has under way at once: default, and at most (ours).
pub const PULL_CONCURRENCY: (u16, u16) = (4, 32);
/// Bytes of the URL that a pull fetches records with (ours): servers and
/// proxies commonly take 8 KiB.
pub const PULL_URL_BYTES_MAX: usize = 7000;
/// Bytes of dense vectors as JSON that a pull asks for at once, about (ours).
pub const PULL_FETCH_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of one answer that a pull reads (ours).
pub const PULL_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Records after which a file of a pull is full (ours; default).
pub const PULL_PART_ROWS: u64 = 100_000;
/// Bytes after which a file of a pull is full (ours).
pub const PULL_PART_BYTES: u64 = 64 * 1024 * 1024;
/// Records that were left out and of which a pull keeps the reason (ours).
pub const PULL_NOTES_MAX: usize = 20;
/// Bytes of a pull's checkpoint (ours).
pub const PULL_CHECKPOINT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Backups and collections that a server keeps (ours).
pub const BACKUPS_MAX: usize = 10_000;
/// Backups and collections of one index (ours).
pub const BACKUPS_PER_INDEX_MAX: usize = 1000;
/// Characters of the name of a backup or of a schedule (ours).
pub const BACKUP_NAME_CHARS_MAX: usize = 200;
/// Characters of the description of a backup (ours).
pub const BACKUP_DESCRIPTION_CHARS_MAX: usize = 1000;
/// Backups, restore jobs or schedules of one page.
pub const BACKUP_PAGE_MAX: usize = 100;
/// The same where the request does not say.
pub const BACKUP_PAGE_DEFAULT: usize = 10;
/// Restore jobs that a server remembers, the newest (ours).
pub const RESTORE_JOBS_MAX: usize = 1000;
/// Schedules of backups of one index, disabled ones among them (ours).
pub const SCHEDULES_PER_INDEX_MAX: usize = 10;
/// Days after which a schedule's backups expire at most (ours).
pub const SCHEDULE_EXPIRE_DAYS_MAX: u32 = 3650;
/// Namespaces that a backup or a restore works on at once (ours): each waits for
/// the disk.
pub const BACKUP_NAMESPACES_AT_ONCE: usize = 8;
/// Bytes of a Parquet footer (ours).
pub const PARQUET_FOOTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries of a list in a Parquet footer, columns for example (ours).
pub const PARQUET_LIST_MAX: u64 = 1 << 16;
/// Row groups of a Parquet file (ours).
pub const PARQUET_ROW_GROUPS_MAX: u64 = 1 << 19;
/// Groups within groups of a Parquet schema (ours).
pub const PARQUET_SCHEMA_DEPTH_MAX: usize = 64;
/// Bytes of a Parquet page, packed or unpacked (ours).
pub const PARQUET_PAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of a rejected record's own text kept beside its reason, so that it
/// can be mended and imported again (ours).
pub const REJECT_RECORD_BYTES_MAX: usize = 512 * 1024;
/// Bytes of rejected records' text after which a task of an import keeps only
/// the beginning of each (ours).
pub const REJECT_TASK_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of that beginning, also of what a list of rejects shows (ours).
pub const REJECT_SHOWN_BYTES_MAX: usize = 1024;
/// Bytes of rejected records' text in one page of whole ones (ours).
pub const REJECT_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rejects of one page (ours): most, and by default.
pub const REJECTS_PAGE: (usize, usize) = (1000, 100);
/// Files and parts of a page of a manifest that names no limit (ours); at most
/// [`MANIFEST_CHUNK_ENTRIES`].
pub const MANIFEST_PAGE_DEFAULT: usize = 100;
/// Bytes of the head of one message of an Arrow file (ours).
pub const ARROW_MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Record batches and dictionaries of an Arrow file (ours).
pub const ARROW_MESSAGES_MAX: usize = 1_000_000;
/// Bytes of one line of JSON (ours).
pub const JSON_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many times its own size a packed file may unpack to (ours).
pub const UNPACKED_RATIO_MAX: u64 = 256;
/// Bytes that any packed file may unpack to, however small it is (ours).
pub const UNPACKED_BYTES_FREE: u64 = 256 * 1024 * 1024;
/// Characters of a value quoted in a message (ours).
pub const QUOTED_CHARS_MAX: usize = 80;

/// Records of one segment (ours).
pub const SEGMENT_ROWS_MAX: u32 = 4_000_000;
/// Segments below this many rows are scanned exactly (ours).
pub const EXACT_ROWS_MAX: u32 = 20_000;
/// Sets of rows that match a filter which a segment keeps for later queries
/// (ours).
pub const FILTER_SETS_MAX: usize = 64;
/// Bytes for each of its rows that a segment's kept sets take (ours).
pub const FILTER_SETS_BYTES_PER_ROW: usize = 4;
/// Records a memtable holds before it is flushed (ours): every query reads all.
pub const MEMTABLE_ROWS_MAX: usize = 5_000;
/// Bytes a memtable holds before it is flushed (ours).
pub const MEMTABLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a segment's full vectors that may stay in memory, however small
/// the part of them that the operator allows (ours).
pub const RESIDENT_VECTORS_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Percent of their raw size that full vectors may take of memory (ours;
/// default, the operator may change it).
pub const RESIDENT_VECTORS_PERCENT: u8 = 100;
/// Bytes a second that merges write (ours; default, the operator may change it).
pub const MERGE_RATE_BYTES: u64 = 200 * 1024 * 1024;
/// Bytes of one write-ahead log frame (ours).
pub const WAL_FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Entries of an import's completion manifest that are kept together; also the
/// most of one answer.
pub const MANIFEST_CHUNK_ENTRIES: usize = 1000;
/// Bytes of a stored document such as a manifest (ours).
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Least bytes of `--memory-limit` (ours): measured, an import of 768
/// components a record peaks near 320 MiB however little it is given.
pub const MEMORY_LIMIT_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// Rows of a table from Python that are written at once (ours).
pub const TABLE_SLICE_ROWS: usize = 4096;
/// Bytes that a row group of such a table takes before it is written out (ours).
pub const TABLE_ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a namespace's name that a table can be imported into (ours): a
/// file's name has no more.
pub const TABLE_NAMESPACE_BYTES_MAX: usize = 255;
/// How long the end of an embedded database waits for calls under way (ours).
pub const EMBEDDED_DRAIN: std::time::Duration = std::time::Duration::from_secs(10);
