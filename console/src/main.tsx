// The console's frame: the heading with its places, the key where the server wants one, and the view
// that the address names.

import { type JSX, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { onKeyWanted, setKey } from "./api";
import { type Place, go, to, usePlace } from "./router";
import "./style.css";
import { TextField } from "./ui";
import { Health } from "./views/health";
import { ImportForm } from "./views/importform";
import { ImportView } from "./views/import";
import { Imports } from "./views/imports";
import { Indexes } from "./views/indexes";
import { MapView } from "./views/map";
import { Namespaces } from "./views/namespaces";
import { QueryView } from "./views/query";
import { Records } from "./views/records";

const PARTS: [path: string, shown: string][] = [
  ["", "Namespaces"],
  ["records", "Records"],
  ["query", "Query"],
  ["map", "Map"],
  ["imports", "Imports"],
];

function View({ place }: { place: Place }): JSX.Element {
  const [area, index, part = "", item] = place.path;
  if (area === undefined) return <Indexes />;
  if (area === "health") return <Health />;
  if (area !== "index" || index === undefined) return <Lost />;
  const namespace = place.query.get("namespace") ?? "";
  switch (part) {
    case "":
      return <Namespaces index={index} />;
    case "records":
      return <Records key={index} index={index} namespace={namespace} id={place.query.get("id") ?? ""} />;
    case "query":
      return <QueryView key={index} index={index} namespace={namespace} id={place.query.get("id") ?? ""} />;
    case "map":
      return <MapView key={index} index={index} namespace={namespace} />;
    case "imports":
      if (item === undefined) return <Imports index={index} />;
      if (item === "new") return <ImportForm key={index} index={index} />;
      return <ImportView key={`${index}/${item}`} index={index} id={item} />;
    default:
      return <Lost />;
  }
}

function Lost(): JSX.Element {
  return (
    <p>
      There is nothing here. <a href={to([])}>All indexes</a>
    </p>
  );
}

/** Where the user is, for the title and the heading. */
function named(place: Place): string {
  const [area, index, part = "", item] = place.path;
  if (area === "health") return "Health";
  if (area !== "index" || index === undefined) return "Indexes";
  if (part === "imports" && item === "new") return `New import into ${index}`;
  if (part === "imports" && item !== undefined) return `Import ${item} into ${index}`;
  const shown = PARTS.find(([path]) => path === part)?.[1] ?? "";
  return `${index}: ${shown}`;
}

function Tabs({ place }: { place: Place }): JSX.Element | null {
  const [area, index, part = ""] = place.path;
  if (area !== "index" || index === undefined) return null;
  const namespace = place.query.get("namespace") ?? undefined;
  return (
    <nav class="tabs" aria-label={`Index ${index}`}>
      {PARTS.map(([path, shown]) => (
        <a
          key={path}
          href={to(path === "" ? ["index", index] : ["index", index, path], { namespace })}
          aria-current={path === part ? "page" : undefined}
        >
          {shown}
        </a>
      ))}
    </nav>
  );
}

function KeyForm({ done, refused }: { done: () => void; refused: boolean }): JSX.Element {
  const [typed, setTyped] = useState("");
  return (
    <form
      class="card narrow"
      onSubmit={(event) => {
        event.preventDefault();
        setKey(typed.trim());
        done();
      }}
    >
      <h2>API key</h2>
      <p>
        {refused ? "The server did not take this key." : "This server wants a key."} It stays in this page's memory
        and is gone when the page is closed or loaded again.
      </p>
      <TextField label="API key" type="password" value={typed} set={setTyped} required wide />
      <button type="submit" class="main">
        Use this key
      </button>
    </form>
  );
}

function Console(): JSX.Element {
  const place = usePlace();
  const [keyState, setKeyState] = useState<"unknown" | "wanted" | "given" | "refused">("unknown");
  const [session, setSession] = useState(0);
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  const title = named(place);
  useEffect(() => {
    onKeyWanted(() => setKeyState((before) => (before === "given" ? "refused" : "wanted")));
  }, []);
  useEffect(() => {
    document.title = `${title} · Crossbill`;
    // Those who read by ear or keyboard begin where the new view begins.
    if (first.current) first.current = false;
    else heading.current?.focus();
  }, [title]);
  const wantsKey = keyState === "wanted" || keyState === "refused";
  const area = place.path[0];
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          heading.current?.focus();
        }}
      >
        Skip to content
      </a>
      <header>
        <a class="brand" href={to([])}>
          <span class="mark" aria-hidden="true" /> Crossbill
        </a>
        <nav aria-label="Console">
          <a href={to([])} aria-current={area !== "health" ? "page" : undefined}>
            Indexes
          </a>
          <a href={to(["health"])} aria-current={area === "health" ? "page" : undefined}>
            Health
          </a>
          <a href="docs">API</a>
        </nav>
        {keyState === "given" && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              setKey("");
              setKeyState("wanted");
              go([]);
            }}
          >
            Forget key
          </button>
        )}
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {wantsKey ? (
          <KeyForm
            refused={keyState === "refused"}
            done={() => {
              setKeyState("given");
              setSession((before) => before + 1);
            }}
          />
        ) : (
          <div key={session}>
            <Tabs place={place} />
            <View place={place} />
          </div>
        )}
      </main>
    </>
  );
}

const root = document.getElementById("app");
if (root !== null) render(<Console />, root);
