// Starting an import: where from, what happens on errors, which columns hold what. A preview shows
// what the first rows would become; a dry run reads and checks all and writes nothing.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Preview, api } from "../api";
import { components, count } from "../format";
import { useAction, useAsked } from "../hooks";
import { parseNames } from "../parse";
import { go } from "../router";
import { Check, Choice, Note, Problem, Section, Table, TextField } from "../ui";

interface Form {
  uri: string;
  integration: string;
  onError: string;
  maxErrors: string;
  mode: string;
  atomic: boolean;
  skipLoaded: boolean;
  idColumn: string;
  idPrefix: string;
  valuesColumn: string;
  sparseColumn: string;
  metadataHow: string;
  metadataColumns: string;
}

const EMPTY: Form = {
  uri: "",
  integration: "",
  onError: "continue",
  maxErrors: "",
  mode: "upsert",
  atomic: false,
  skipLoaded: false,
  idColumn: "",
  idPrefix: "",
  valuesColumn: "",
  sparseColumn: "",
  metadataHow: "usual",
  metadataColumns: "",
};

const typed = (text: string): string | undefined => (text.trim() === "" ? undefined : text.trim());

/** What says where the records come from: all that a preview takes. */
function source(form: Form): Record<string, unknown> {
  const named = parseNames(form.metadataColumns);
  const columns = {
    id: typed(form.idColumn),
    values: typed(form.valuesColumn),
    sparse_values: typed(form.sparseColumn),
    metadata: form.metadataHow === "usual" ? undefined : form.metadataHow === "column" ? named[0] : named,
  };
  const isMapped = Object.values(columns).some((column) => column !== undefined);
  return {
    uri: form.uri.trim(),
    integrationId: typed(form.integration),
    columns: isMapped ? columns : undefined,
    idPrefix: form.idPrefix === "" ? undefined : form.idPrefix,
  };
}

function start(form: Form, dryRun: boolean): Record<string, unknown> {
  const max = typed(form.maxErrors);
  return {
    ...source(form),
    errorMode: {
      onError: form.onError,
      maxErrors: form.onError === "continue" && max !== undefined ? Number(max) : undefined,
    },
    mode: form.mode,
    atomic: form.atomic ? true : undefined,
    skipLoaded: form.skipLoaded ? true : undefined,
    dryRun: dryRun ? true : undefined,
  };
}

export function ImportForm({ index }: { index: string }): JSX.Element {
  const integrations = useAsked(() => api.integrations(), []);
  const [form, setForm] = useState(EMPTY);
  const [preview, setPreview] = useState<Preview | undefined>();
  const starting = useAction();
  const looking = useAction();
  const set =
    <K extends keyof Form>(name: K) =>
    (value: Form[K]): void =>
      setForm((before) => ({ ...before, [name]: value }));
  const begin = (dryRun: boolean): void =>
    starting.run(async () => {
      if (form.uri.trim() === "") throw new Error("No source is given.");
      const { id } = await api.startImport(index, start(form, dryRun));
      go(["index", index, "imports", id]);
    });
  const look = (): void =>
    looking.run(async () => {
      if (form.uri.trim() === "") throw new Error("No source is given.");
      setPreview(await api.previewImport(index, source(form)));
    });
  const columns = preview?.columns.map((column) => column.name) ?? [];
  const known = integrations.value?.integrations ?? [];
  return (
    <>
      <form
        class="card form"
        onSubmit={(event) => {
          event.preventDefault();
          begin(false);
        }}
      >
        <TextField
          label="Source"
          value={form.uri}
          set={set("uri")}
          required
          wide
          mono
          placeholder="s3://bucket/embeddings/"
          hint="A directory or a file: file:///…, s3://…, gs://…, az://…. Each directory below it is a namespace."
        />
        <Choice
          label="Integration"
          value={form.integration}
          set={set("integration")}
          options={[
            ["", "None"],
            ...known.map((one) => [one.id, `${one.id} (${one.kind})`] as [string, string]),
          ]}
        />
        <Choice
          label="Mode"
          value={form.mode}
          set={(value) => setForm({ ...form, mode: value, skipLoaded: value === "replace" ? false : form.skipLoaded })}
          options={[
            ["upsert", "Upsert: beside what is there"],
            ["replace", "Replace: in place of what is there"],
          ]}
        />
        <Choice
          label="On a bad record"
          value={form.onError}
          set={set("onError")}
          options={[
            ["continue", "Reject it and go on"],
            ["abort", "End the import"],
          ]}
        />
        <TextField
          label="Errors at most"
          type="number"
          value={form.maxErrors}
          set={set("maxErrors")}
          disabled={form.onError === "abort"}
          placeholder="any number"
        />
        <div class="checks">
          <Check label="All at once, at its end" value={form.atomic} set={set("atomic")} />
          <Check
            label="Pass over files loaded before"
            value={form.skipLoaded}
            set={set("skipLoaded")}
            disabled={form.mode === "replace"}
          />
        </div>
        <fieldset>
          <legend>Columns</legend>
          <p class="hint">
            Empty fields mean the usual names: id, values, sparse_values, metadata. A preview shows what there is.
          </p>
          <div class="form">
            <TextField label="Ids from" list={columns} value={form.idColumn} set={set("idColumn")} placeholder="id" mono />
            <TextField
              label="Or make ids with the prefix"
              value={form.idPrefix}
              set={set("idPrefix")}
              placeholder="{file}-"
              mono
            />
            <TextField
              label="Vectors from"
              list={columns}
              value={form.valuesColumn}
              set={set("valuesColumn")}
              placeholder="values"
              mono
            />
            <TextField
              label="Sparse vectors from"
              list={columns}
              value={form.sparseColumn}
              set={set("sparseColumn")}
              placeholder="sparse_values"
              mono
            />
            <Choice
              label="Metadata"
              value={form.metadataHow}
              set={set("metadataHow")}
              options={[
                ["usual", "From the column metadata"],
                ["column", "From one column"],
                ["fields", "Made of these columns"],
              ]}
            />
            {form.metadataHow !== "usual" && (
              <TextField
                label={form.metadataHow === "column" ? "Metadata column" : "Metadata columns"}
                list={form.metadataHow === "column" ? columns : undefined}
                value={form.metadataColumns}
                set={set("metadataColumns")}
                placeholder={form.metadataHow === "column" ? "meta" : "title, url"}
                mono
              />
            )}
          </div>
        </fieldset>
        <div class="buttons">
          <button type="button" onClick={look} disabled={looking.busy}>
            Preview
          </button>
          <button type="button" onClick={() => begin(true)} disabled={starting.busy}>
            Dry run
          </button>
          <button type="submit" class="main" disabled={starting.busy}>
            Start import
          </button>
        </div>
      </form>
      <Problem text={starting.error ?? looking.error} />
      <div aria-live="polite">{preview !== undefined && <Previewed preview={preview} />}</div>
    </>
  );
}

function Previewed({ preview }: { preview: Preview }): JSX.Element {
  const rejected = preview.rows.filter((row) => row.code !== undefined).length;
  const hasSparse = preview.rows.some((row) => row.sparseEntries !== undefined);
  return (
    <>
      <Section title="Preview">
        <Note>
          The first rows of <span class="mono">{preview.file}</span>, for the namespace{" "}
          <span class="mono">{preview.namespace}</span>
          {rejected > 0 && `; ${count(rejected)} of ${count(preview.rows.length)} would be rejected`}.
        </Note>
        <Problem text={preview.error} />
        {preview.rows.length > 0 && (
          <Table
            label="First rows"
            heads={[["Row", "number"], "Id", "Vector", ...(hasSparse ? ["Sparse"] : []), "Metadata", "Rejected because"]}
          >
            {preview.rows.map((row) => (
              <tr key={row.row} class={row.code === undefined ? undefined : "bad"}>
                <td class="number">{count(row.row)}</td>
                <th scope="row" class="mono id">
                  {row.id ?? ""}
                </th>
                <td class="mono cut short">{components(row.values)}</td>
                {hasSparse && <td class="number">{row.sparseEntries ?? ""}</td>}
                <td class="mono cut">{row.metadata ?? ""}</td>
                <td class={rejected > 0 ? "message" : undefined}>{row.code === undefined ? "" : `${row.code}: ${row.message ?? ""}`}</td>
              </tr>
            ))}
          </Table>
        )}
      </Section>
      {preview.columns.length > 0 && (
        <Section title={`Columns (${count(preview.columns.length)})`}>
          <Table label="Columns" heads={["Column", "Type"]}>
            {preview.columns.map((column) => (
              <tr key={column.name}>
                <th scope="row" class="mono">
                  {column.name}
                </th>
                <td>{column.type}</td>
              </tr>
            ))}
          </Table>
        </Section>
      )}
    </>
  );
}
