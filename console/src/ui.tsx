// What all views are made of: fields, notes, tables, figures. Text from the server is always given to
// the page as text; nothing here makes markup of it.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

import { api, type Namespace } from "./api";
import { count } from "./format";
import { useAsked } from "./hooks";

export function Problem({ text }: { text: string | undefined }): JSX.Element | null {
  if (text === undefined || text === "") return null;
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

export function Note({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="note">{children}</p>;
}

/** A control with its label, and what else there is to say about it. */
export function Field({
  label,
  hint,
  wide,
  children,
}: {
  label: string;
  hint?: string;
  wide?: boolean;
  children: (ids: { id: string; describedBy: string | undefined }) => JSX.Element;
}): JSX.Element {
  const id = useId();
  const describedBy = hint === undefined ? undefined : `${id}-hint`;
  return (
    <div class={wide === true ? "field wide" : "field"}>
      <label for={id}>{label}</label>
      {children({ id, describedBy })}
      {hint !== undefined && (
        <small id={describedBy} class="hint">
          {hint}
        </small>
      )}
    </div>
  );
}

interface Typed {
  label: string;
  value: string;
  set: (value: string) => void;
  hint?: string;
  wide?: boolean;
  required?: boolean;
  placeholder?: string;
  disabled?: boolean;
}

export function TextField({
  list,
  type = "text",
  mono = false,
  ...typed
}: Typed & { list?: string[]; type?: "text" | "number" | "password"; mono?: boolean }): JSX.Element {
  const options = useId();
  return (
    <Field label={typed.label} hint={typed.hint} wide={typed.wide}>
      {({ id, describedBy }) => (
        <>
          <input
            id={id}
            // The types know a list on a text field only.
            type={type as "text"}
            class={mono ? "mono" : undefined}
            value={typed.value}
            required={typed.required}
            disabled={typed.disabled}
            placeholder={typed.placeholder}
            autocomplete="off"
            spellcheck={false}
            aria-describedby={describedBy}
            list={list === undefined ? undefined : options}
            onInput={(event) => typed.set(event.currentTarget.value)}
          />
          {list !== undefined && (
            <datalist id={options}>
              {list.map((item) => (
                <option key={item} value={item} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

export function TextArea({ rows = 3, ...typed }: Typed & { rows?: number }): JSX.Element {
  return (
    <Field label={typed.label} hint={typed.hint} wide={typed.wide ?? true}>
      {({ id, describedBy }) => (
        <textarea
          id={id}
          rows={rows}
          class="mono"
          value={typed.value}
          required={typed.required}
          placeholder={typed.placeholder}
          spellcheck={false}
          aria-describedby={describedBy}
          onInput={(event) => typed.set(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function Choice({
  options,
  ...typed
}: Typed & { options: [value: string, shown: string][] }): JSX.Element {
  return (
    <Field label={typed.label} hint={typed.hint} wide={typed.wide}>
      {({ id, describedBy }) => (
        <select
          id={id}
          value={typed.value}
          disabled={typed.disabled}
          aria-describedby={describedBy}
          onChange={(event) => typed.set(event.currentTarget.value)}
        >
          {options.map(([value, shown]) => (
            <option key={value} value={value}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Check({
  label,
  value,
  set,
  disabled,
}: {
  label: string;
  value: boolean;
  set: (value: boolean) => void;
  disabled?: boolean;
}): JSX.Element {
  return (
    <label class={disabled === true ? "check off" : "check"}>
      <input
        type="checkbox"
        checked={value}
        disabled={disabled}
        onChange={(event) => set(event.currentTarget.checked)}
      />
      {label}
    </label>
  );
}

/** The part of a page on one question, with its heading. */
export function Section({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}): JSX.Element {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <div class="head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** A table that scrolls by itself where it is wider than the page. */
export function Table({
  label,
  heads,
  children,
}: {
  label: string;
  heads: (string | [shown: string, className: string])[];
  children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label={`${label}, table`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => {
              const [shown, name] = typeof head === "string" ? [head, undefined] : head;
              return (
                <th key={shown} scope="col" class={name}>
                  {shown}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** Figures with their names. */
export function Figures({ of }: { of: (readonly [string, ComponentChildren] | undefined)[] }): JSX.Element {
  return (
    <dl class="figures">
      {of.map(
        (pair) =>
          pair !== undefined && (
            <div key={pair[0]}>
              <dt>{pair[0]}</dt>
              <dd>{pair[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

export function Bar({ percent, label }: { percent: number; label: string }): JSX.Element {
  return <progress max={100} value={percent} aria-label={label} />;
}

/** A namespace's name as it is shown. */
export const shownNamespace = (name: string): string => (name === "" || name === "__default__" ? "__default__" : name);

/** The namespaces of an index, the first hundreds of them. */
export async function someNamespaces(
  index: string,
  most = 500,
): Promise<{ namespaces: Namespace[]; total: number }> {
  const namespaces: Namespace[] = [];
  let token: string | undefined;
  let total = 0;
  do {
    const page = await api.namespaces(index, token);
    namespaces.push(...page.namespaces);
    total = page.total_count;
    token = page.pagination?.next;
  } while (token !== undefined && namespaces.length < most);
  return { namespaces, total };
}

export function NamespaceField({
  index,
  value,
  set,
}: {
  index: string;
  value: string;
  set: (value: string) => void;
}): JSX.Element {
  const asked = useAsked(() => someNamespaces(index), [index]);
  const found = asked.value?.namespaces ?? [];
  const named = new Map<string, string>([["__default__", "__default__"]]);
  found.forEach((one) => named.set(one.name, `${one.name} (${count(one.record_count)})`));
  const wanted = shownNamespace(value);
  if (!named.has(wanted)) named.set(wanted, wanted);
  return (
    <Choice
      label="Namespace"
      value={wanted}
      set={set}
      options={[...named.entries()].map(([name, shown]) => [name, shown] as [string, string])}
    />
  );
}
