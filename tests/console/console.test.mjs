// The console in a real browser against a real server: real clicks through every view, the keyboard
// alone, accessibility rules in light and dark, and text that would be markup if it could.
//
// CROSSBILL_CONSOLE_PICTURES=docs/console takes the pictures of docs/console.md on the way.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Browser, Server, picture, until, violations } from "./harness.mjs";

const SPEC = { serverless: { cloud: "aws", region: "us-east-1" } };
// Schemas of documents are of this version.
const DOCUMENTS = { "X-Pinecone-Api-Version": "2026-07" };
const DIMENSION = 16;
const KINDS = ["bird", "fish", "moss", "stone"];

let server;
let browser;
let page;

/** Records in four clouds, so that a map of them has something to show. */
function record(n, kinds = KINDS) {
  const kind = n % kinds.length;
  // From 0 to 1, without order and always the same.
  const noise = (at) => {
    const wave = Math.sin(n * 12.9898 + at * 78.233) * 43758.5453;
    return wave - Math.floor(wave);
  };
  const around = (at) => (noise(at) + noise(at + 50) + noise(at + 100) - 1.5) * 0.8;
  const values = Array.from({ length: DIMENSION }, (_, at) => (at % kinds.length === kind ? 1 : 0) + around(at));
  const metadata = { kind: kinds[kind], weight: Math.round(noise(200) * 1000), title: `Record ${n}` };
  return { id: `r-${String(n).padStart(4, "0")}`, values: values.map((value) => Number(value.toFixed(4))), metadata };
}

async function upsert(index, namespace, records) {
  for (let at = 0; at < records.length; at += 500) {
    const vectors = records.slice(at, at + 500);
    await server.call("POST", `data/${index}/vectors/upsert`, { namespace, vectors });
  }
}

/** Lines of JSON below the directory that imports may read. */
function lines(folder, name, rows) {
  mkdirSync(join(server.source, folder), { recursive: true });
  writeFileSync(join(server.source, folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

before(async () => {
  server = await Server.start();
  browser = await Browser.start();
  const tags = { team: "search" };
  await server.call("POST", "indexes", { name: "garden", dimension: DIMENSION, metric: "cosine", spec: SPEC, tags });
  await server.call("POST", "indexes", { name: "terms", vector_type: "sparse", metric: "dotproduct", spec: SPEC });
  await upsert("garden", "", Array.from({ length: 600 }, (_, n) => record(n)));
  await upsert("garden", "other", [record(1), record(2)]);
  const sparse = { id: "s1", sparseValues: { indices: [3, 9], values: [0.5, 0.25] }, metadata: { kind: "word" } };
  await server.call("POST", "data/terms/vectors/upsert", { vectors: [sparse] });
  page = await browser.page(server);
});

after(async () => {
  await browser?.stop();
  await server?.stop();
});

/** That the view is as it should be for everybody, and nothing went wrong on the way. */
async function checkView(name) {
  assert.deepEqual(await violations(page), [], name);
  assert.deepEqual(page.wrong, [], name);
}

const heading = (name) => page.getByRole("heading", { level: 1, name, exact: true });
const cell = (row, name) => page.getByRole("row").filter({ hasText: row }).getByText(name, { exact: true });

test("indexes with sizes and recall", async () => {
  await heading("Indexes").waitFor();
  const row = page.getByRole("row").filter({ hasText: "garden" });
  await row.getByText("602", { exact: true }).waitFor();
  await row.getByText("0.95", { exact: true }).waitFor();
  await row.getByText(/\d (KB|MB)$/).waitFor();
  await page.getByRole("row").filter({ hasText: "terms" }).getByText("exact", { exact: true }).waitFor();
  await checkView("indexes");
  await picture(page, "indexes");
});

test("namespaces of an index", async () => {
  await page.getByRole("link", { name: "garden", exact: true }).click();
  await heading("garden: Namespaces").waitFor();
  await cell("__default__", "600").waitFor();
  await cell("other", "2").waitFor();
  await page.getByText("team: search").waitFor();
  await checkView("namespaces");
});

test("records: browse, open, page, fetch, filter", async () => {
  await page.getByRole("link", { name: "__default__", exact: true }).click();
  await page.getByRole("button", { name: "Open record r-0003" }).click();
  await page.getByText('"title": "Record 3"').waitFor();
  await page.getByText("Vector (16 components)").waitFor();
  await checkView("records");
  await picture(page, "records");
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByRole("rowheader", { name: "r-0025" }).waitFor();
  await page.getByRole("button", { name: "Previous page" }).click();
  await page.getByRole("rowheader", { name: "r-0000" }).waitFor();
  await page.getByLabel("Ids that begin with").fill("r-059");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("rowheader", { name: "r-0599" }).waitFor();
  await page.getByLabel("Show", { exact: true }).selectOption("fetch");
  await page.getByLabel("Ids", { exact: true }).fill("r-0007, nothing");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByText("Not found: nothing").waitFor();
  assert.equal(await page.getByRole("rowheader").count(), 1);
  await page.getByLabel("Show", { exact: true }).selectOption("filter");
  await page.getByLabel("Filter").fill('{"kind": ');
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await alert("The filter is not JSON").waitFor();
  await page.getByLabel("Filter").fill('{"kind": {"$eq": "fish"}}');
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("rowheader", { name: "r-0001" }).waitFor();
  assert.equal(await page.getByRole("rowheader", { name: "r-0000" }).count(), 0);
});

test("a query by a record's id, with what it cost", async () => {
  await page.getByRole("link", { name: "Query by record r-0001" }).click();
  await page.getByRole("heading", { name: "10 matches" }).waitFor();
  const first = page.getByRole("row").nth(1);
  await first.getByText("r-0001", { exact: true }).waitFor();
  for (const name of ["Round trip", "Search", "Segments", "Lists read", "Rows scanned", "Rows scored"]) {
    await page.getByText(name, { exact: true }).waitFor();
  }
  assert.equal(await figure("Rows in memory"), "600");
  await page.getByLabel("Filter").fill('{"kind": {"$eq": "moss"}}');
  await page.getByRole("spinbutton", { name: "Matches" }).fill("3");
  await page.getByRole("button", { name: "Query", exact: true }).click();
  await page.getByRole("heading", { name: "3 matches" }).waitFor();
  assert.equal(await page.getByRole("cell").filter({ hasText: '"kind":"moss"' }).count(), 3);
  await checkView("query");
  await picture(page, "query");
});

/** What the view says is wrong. */
const alert = (text) => page.getByRole("alert").filter({ hasText: text }).first();

/** A figure by its name. */
const figure = (name) =>
  page.locator("dl > div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd").textContent();

test("a query by a vector that is pasted", async () => {
  await page.getByLabel("Filter").fill("");
  await page.getByLabel("Search by").selectOption("vector");
  await page.getByLabel("Vector", { exact: true }).fill("1 2 three");
  await page.getByRole("button", { name: "Query", exact: true }).click();
  await alert("Component 2 of the vector is not a number.").waitFor();
  await page.getByLabel("Vector", { exact: true }).fill("1, 2");
  await page.getByRole("button", { name: "Query", exact: true }).click();
  await alert("dimension 2 does not match").waitFor();
  await page.getByLabel("Vector", { exact: true }).fill(JSON.stringify(record(8).values));
  await page.getByLabel("Scan factor").fill("2");
  await page.getByRole("button", { name: "Query", exact: true }).click();
  await page.getByRole("row").nth(1).getByText("r-0008", { exact: true }).waitFor();
});

test("a sparse index", async () => {
  await page.goto(`${server.url}/#/index/terms/query`);
  await page.getByLabel("Search by").selectOption("vector");
  await page.getByLabel("Sparse vector").fill('{"indices": [9], "values": [2]}');
  await page.getByRole("button", { name: "Query", exact: true }).click();
  await page.getByRole("rowheader", { name: "s1" }).waitFor();
  await page.getByText("0.500000").waitFor();
});

test("documents, by words, by a vector and by a document", async () => {
  const fields = {
    embedding: { type: "dense_vector", dimension: 3, metric: "cosine" },
    body: { type: "string", full_text_search: {} },
  };
  await server.call("POST", "indexes", { name: "articles", schema: { fields } }, DOCUMENTS);
  const documents = [
    { _id: "a1", embedding: [1, 0, 0], body: "Crossbills take seeds out of pine cones.", year: 2026 },
    { _id: "a2", embedding: [0, 1, 0], body: "Larks sing above the <b>fields</b>.", year: 2020 },
  ];
  const into = "data/articles/namespaces/__default__/documents/upsert";
  await server.call("POST", into, { documents }, DOCUMENTS);
  await page.goto(`${server.url}/#/index/articles/query`);
  await page.getByLabel("Words").fill('"pine cones" OR larks');
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("heading", { name: "2 matches" }).waitFor();
  await page.getByLabel("Filter").fill('{"year": {"$gte": 2021}}');
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("heading", { name: "1 matches" }).waitFor();
  await page.getByRole("rowheader", { name: "a1" }).waitFor();
  await checkView("search");
  await picture(page, "search");
  await page.getByLabel("Filter").fill("");
  await page.getByLabel("Search by").selectOption("dense");
  await page.getByLabel("Vector", { exact: true }).fill("0 1 0");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("row").nth(1).getByText("a2", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Query by record a1" }).click();
  await page.getByRole("row").nth(1).getByText("a1", { exact: true }).waitFor();
  await page.getByLabel("Search by").selectOption("words");
  await page.getByLabel("Words").fill("body:(pine AND");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("alert").waitFor();
});

test("a map, coloured, hovered and walked by keys", async () => {
  await page.goto(`${server.url}/#/index/garden/map`);
  await page.getByRole("button", { name: "Draw" }).click();
  await page.getByRole("heading", { name: "Map of 600 records" }).waitFor();
  await page.getByLabel("Colour by").selectOption("kind");
  await page.getByRole("list", { name: "Colours of kind" }).getByText("moss").waitFor();
  const map = page.getByRole("application");
  await map.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.locator(".tip").getByText("r-0001", { exact: true }).waitFor();
  await checkView("map");
  await page.keyboard.press("Escape");
  const tip = page.locator(".tip");
  await tip.waitFor({ state: "detached" });
  // Where a point is, the pointer finds it.
  const box = await map.boundingBox();
  const hit = async () => {
    for (let y = 20; y < box.height; y += 12) {
      for (let x = 20; x < box.width; x += 12) {
        await page.mouse.move(box.x + x, box.y + y);
        if ((await tip.count()) > 0) return true;
      }
    }
    return false;
  };
  assert.ok(await hit(), "no point was found by hovering");
  assert.match(await tip.textContent(), /r-\d{4}.*"kind"/);
  await picture(page, "map", "dark");
  await page.getByLabel("Colour by").selectOption("weight");
  await page.getByRole("list", { name: "Colours of weight" }).waitFor();
});

test("an import from the form: preview, mapping, dry run, start, rejects", async () => {
  const rows = Array.from({ length: 300 }, (_, n) => {
    const { id, values, metadata } = record(1000 + n);
    return { key: id, emb: values, title: metadata.title, kind: metadata.kind };
  });
  rows[4].emb = [1, 2];
  rows[250].key = "";
  lines("birds", "part.jsonl", rows);
  await page.goto(`${server.url}/#/index/garden/imports`);
  await page.getByText("There was no import yet.").waitFor();
  await page.getByRole("link", { name: "New import" }).click();
  await page.getByLabel("Source").fill(`file://${server.source}`);
  await page.getByRole("button", { name: "Preview" }).click();
  await alert('"key"').waitFor();
  await page.getByRole("rowheader", { name: "emb", exact: true }).waitFor();
  await page.getByLabel("Ids from").fill("key");
  await page.getByLabel("Vectors from", { exact: true }).fill("emb");
  await page.getByLabel("Metadata", { exact: true }).selectOption("fields");
  await page.getByLabel("Metadata columns").fill("title, kind");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("rowheader", { name: "r-1000" }).waitFor();
  await page.getByText(/1 of 20 would be rejected/).waitFor();
  await page.getByText(/E_DIM/).waitFor();
  await checkView("import form");
  await picture(page, "import-form");
  await page.getByRole("button", { name: "Dry run" }).click();
  await heading("Import 1 into garden").waitFor();
  await page.getByText("dry run: nothing is written").waitFor();
  await page.getByText(/The import would take about/).waitFor();
  await page.goBack();
  await page.getByLabel("Source").fill(`file://${server.source}`);
  await page.getByLabel("Ids from").fill("key");
  await page.getByLabel("Vectors from", { exact: true }).fill("emb");
  await page.getByLabel("Metadata", { exact: true }).selectOption("fields");
  await page.getByLabel("Metadata columns").fill("title, kind");
  await page.getByRole("button", { name: "Start import" }).click();
  await heading("Import 2 into garden").waitFor();
  await page.getByText("Completed", { exact: true }).waitFor();
  assert.equal(await figure("Imported"), "298");
  assert.equal(await figure("Rejected"), "2");
  await page.getByRole("heading", { name: "Rejects (2)" }).waitFor();
  await page.getByRole("cell", { name: "E_DIM" }).waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download all" }).click();
  const saved = readFileSync(await (await download).path(), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(saved.map((reject) => reject.row), [4, 250]);
  await checkView("import");
  await picture(page, "import-rejects");
});

test("an import that runs: live figures, pause, resume, cancel", async () => {
  // A namespace each, so that there are tasks that have not begun when it is paused.
  const some = Array.from({ length: 25_000 }, (_, n) => JSON.stringify(record(n)));
  for (let part = 0; part < 16; part += 1) {
    mkdirSync(join(server.source, `many/n${part}`), { recursive: true });
    writeFileSync(join(server.source, `many/n${part}/part.jsonl`), `${some.join("\n")}\n`);
  }
  await page.goto(`${server.url}/#/index/garden/imports/new`);
  await page.getByLabel("Source").fill(`file://${server.source}/many`);
  await page.getByRole("button", { name: "Start import" }).click();
  await heading("Import 3 into garden").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused", { exact: true }).waitFor();
  await page.getByRole("img", { name: /Records a second over time/ }).waitFor();
  await checkView("an import under way");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  const moves = async () => `${await figure("Records read")} ${await figure("Under way")}` !== "0 of 400,000 0";
  await until(moves, "progress of the import");
  await picture(page, "import");
  await page.getByRole("button", { name: "Cancel import" }).click();
  await page.getByText("Cancelled", { exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Pause" }).count(), 0);
  await page.getByRole("link", { name: "All imports" }).click();
  for (const [id, state] of [["1", "Completed"], ["2", "Completed"], ["3", "Cancelled"]]) {
    const link = page.getByRole("link", { name: `Import ${id}`, exact: true });
    await page.getByRole("row").filter({ has: link }).getByText(state, { exact: true }).waitFor();
  }
  await checkView("imports");
});

test("health and load", async () => {
  await page.getByRole("link", { name: "Health" }).click();
  await heading("Health").waitFor();
  await page.getByText("Ready", { exact: true }).waitFor();
  await page.getByText("Requests a second").waitFor();
  assert.equal(await figure("Failed"), "0");
  await page.getByRole("img", { name: /Requests a second over time, now/ }).waitFor();
  // Every look is a request itself.
  const seen = new Set();
  await until(async () => seen.add(await figure("Answered")).size > 3, "live figures");
  await checkView("health");
  await picture(page, "health");
});

test("the keyboard alone", async () => {
  const walker = await browser.page(server);
  const focused = () =>
    walker.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
  const tabTo = async (name) => {
    for (let press = 0; press < 60; press += 1) {
      await walker.keyboard.press("Tab");
      const found = await focused();
      if (found?.trim() === name) return;
    }
    assert.fail(`${name} cannot be reached with Tab`);
  };
  const tabToField = async (label) => {
    for (let press = 0; press < 60; press += 1) {
      await walker.keyboard.press("Tab");
      const found = await walker.evaluate(() => document.activeElement?.labels?.[0]?.textContent);
      if (found === label) return;
    }
    assert.fail(`the field ${label} cannot be reached with Tab`);
  };
  await walker.getByRole("link", { name: "garden", exact: true }).waitFor();
  await tabTo("Skip to content");
  await tabTo("garden");
  await walker.keyboard.press("Enter");
  await walker.getByRole("heading", { level: 1, name: "garden: Namespaces" }).waitFor();
  await until(async () => (await focused()) === "garden: Namespaces", "focus on the new view's heading");
  await tabTo("Query");
  await walker.keyboard.press("Enter");
  await walker.getByRole("heading", { level: 1, name: "garden: Query" }).waitFor();
  await until(async () => (await focused()) === "garden: Query", "focus on the new view's heading");
  await tabToField("Id");
  await walker.keyboard.type("r-0005");
  await walker.keyboard.press("Enter");
  await walker.getByRole("heading", { name: "10 matches" }).waitFor();
  await tabTo("Open record r-0005");
  await walker.keyboard.press("Space");
  await walker.getByText('"title": "Record 5"').waitFor();
  const outline = await walker.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "what has the focus shows it");
  assert.deepEqual(walker.wrong, []);
  await walker.close();
});

test("text stays text wherever it comes from", async () => {
  const bad = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>';
  const name = "hostile";
  const tags = { note: bad };
  await server.call("POST", "indexes", { name, dimension: 2, metric: "cosine", spec: SPEC, tags });
  const metadata = { [bad]: bad, list: [bad] };
  const vectors = [{ id: bad, values: [1, 2], metadata }, { id: "b", values: [2, 1], metadata: { field: bad } }];
  await server.call("POST", `data/${name}/vectors/upsert`, { namespace: bad, vectors });
  lines("hostile", `${"<img src=x onerror=alert(1)>"}.jsonl`, [
    { id: bad, values: [1], metadata: { a: bad } },
    { id: "good", values: [1, 1], [bad]: 1 },
  ]);
  const unharmed = async (where) => {
    const found = await page.evaluate(() => ({
      stolen: window.stolen,
      images: document.querySelectorAll("#app img").length,
      scripts: document.querySelectorAll("#app script").length,
    }));
    assert.deepEqual(found, { stolen: undefined, images: 0, scripts: 0 }, where);
    assert.deepEqual(page.wrong, [], where);
  };
  await page.goto(`${server.url}/#/index/${name}`);
  await page.getByRole("rowheader").getByText(bad).waitFor();
  await page.getByText(`note: ${bad}`).waitFor();
  await unharmed("namespaces");
  const query = new URLSearchParams({ namespace: bad });
  await page.goto(`${server.url}/#/index/${name}/records?${query}`);
  await page.getByRole("button", { name: `Open record ${bad}` }).click();
  await page.getByLabel("Metadata", { exact: true }).filter({ hasText: "onerror" }).waitFor();
  await unharmed("records");
  await page.getByLabel("Show", { exact: true }).selectOption("filter");
  await page.getByLabel("Filter").fill(JSON.stringify({ field: { [bad]: 1 } }));
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await alert("onerror").waitFor();
  await unharmed("an error");
  await page.goto(`${server.url}/#/index/${name}/query?${new URLSearchParams({ namespace: bad, id: bad })}`);
  await page.getByRole("heading", { name: "2 matches" }).waitFor();
  await unharmed("query");
  await page.goto(`${server.url}/#/index/${name}/map?${query}`);
  await page.getByRole("button", { name: "Draw" }).click();
  await page.getByRole("heading", { name: "Map of 2 records" }).waitFor();
  await page.getByLabel("Colour by").selectOption(bad);
  await page.getByRole("application").focus();
  await page.keyboard.press("ArrowRight");
  await page.locator(".tip").getByText("onerror").first().waitFor();
  await unharmed("map");
  await page.goto(`${server.url}/#/index/${name}/imports/new`);
  await page.getByLabel("Source").fill(`file://${server.source}/hostile`);
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("heading", { name: "Preview" }).waitFor();
  await unharmed("preview");
  await page.getByRole("button", { name: "Start import" }).click();
  await page.getByText("Completed", { exact: true }).waitFor();
  await page.getByRole("cell", { name: "E_DIM" }).waitFor();
  await unharmed("rejects");
  await page.goto(`${server.url}/#/index/${encodeURIComponent(bad)}/records`);
  await page.getByRole("alert").first().waitFor();
  await unharmed("an address");
});

test("the page may run and load nothing but its own files", async () => {
  for (const path of ["", "console/console.js", "console/console.css", "console/icon.svg"]) {
    const answer = await fetch(`${server.url}/${path}`);
    assert.equal(answer.status, 200, path);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/);
    assert.ok(!policy.includes("unsafe"), policy);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  }
  assert.equal((await fetch(`${server.url}/console/nothing`)).status, 404);
});

test("a key is asked for, kept in memory and forgotten", async () => {
  const key = "the-right-key-of-this-test";
  const file = join(server.folder, "key");
  writeFileSync(file, `${key}\n`);
  const locked = await Server.start("--api-key-file", file);
  try {
    await locked.call("POST", "indexes", { name: "locked", dimension: 2, spec: SPEC }, { "Api-Key": key });
    const visitor = await browser.page(locked);
    const field = visitor.getByLabel("API key", { exact: true });
    await field.fill("a wrong one");
    await visitor.getByRole("button", { name: "Use this key" }).click();
    await visitor.getByText("The server did not take this key.").waitFor();
    assert.deepEqual(await violations(visitor), []);
    await field.fill(key);
    await visitor.getByRole("button", { name: "Use this key" }).click();
    await visitor.getByRole("link", { name: "locked", exact: true }).click();
    await visitor.getByRole("heading", { level: 1, name: "locked: Namespaces" }).waitFor();
    const kept = await visitor.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
    assert.deepEqual(kept, [0, 0, ""]);
    assert.ok(!visitor.url().includes(key));
    await visitor.reload();
    await field.waitFor();
    assert.deepEqual(visitor.wrong, []);
    await visitor.close();
  } finally {
    await locked.stop();
  }
});
