// A real server with a data directory of its own, a real browser, and the words that tests of the
// console talk in. Knows nothing of what the console shows.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const BINARY = process.env.CROSSBILL_BIN ?? join(REPOSITORY, "target/release/crossbill");
const CHROMIUM = process.env.CROSSBILL_CHROMIUM ?? "/usr/bin/chromium";
const PACKAGES = resolve(process.env.CROSSBILL_NODE ?? join(REPOSITORY, ".venvs/console"));
/** Where pictures of the views go; none are taken without it. */
const PICTURES = process.env.CROSSBILL_CONSOLE_PICTURES;
/** How long anything may take. */
export const PATIENCE_MS = 60_000;

const load = createRequire(join(PACKAGES, "x.js"));
const { chromium } = load("playwright-core");
const AXE = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

/** The first of `count` free ports. */
async function freePorts(count) {
  for (;;) {
    const first = 12_000 + Math.floor(Math.random() * 18_000);
    const held = [];
    try {
      for (let port = first; port < first + count; port += 1) held.push(await listen(port));
      return first;
    } catch {
      // One is taken: try others.
    } finally {
      await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
    }
  }
}

function listen(port) {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => done(server));
  });
}

/** Waits until `condition` gives something true. */
export async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`no ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export class Server {
  static async start(...flags) {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), "crossbill-console-"));
    server.source = join(server.folder, "source");
    mkdirSync(server.source);
    const port = await freePorts(30);
    server.url = `http://127.0.0.1:${port}`;
    const command = ["serve", "--listen", `127.0.0.1:${port}`, "--index-port-first", String(port + 1)];
    command.push("--data", join(server.folder, "data"), "--allow-import-dir", server.source, ...flags);
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("CROSSBILL_"));
    const clean = Object.fromEntries(environment);
    server.process = spawn(BINARY, command, { stdio: ["ignore", "ignore", "pipe"], env: clean });
    server.log = "";
    server.process.stderr.on("data", (text) => (server.log += text));
    await until(async () => {
      if (server.process.exitCode !== null) throw new Error(`the server ended:\n${server.log}`);
      return fetch(`${server.url}/health`).then((answer) => answer.ok, () => false);
    }, `answer from ${server.url}`);
    return server;
  }

  async call(method, path, body, headers = {}) {
    const request = { method, headers };
    if (body !== undefined) request.body = JSON.stringify(body);
    const answer = await fetch(`${this.url}/${path}`, request);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? {} : JSON.parse(text);
  }

  async stop() {
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
    if (this.log.includes("panicked")) throw new Error(`the server panicked:\n${this.log}`);
  }
}

/** A browser with nothing of any other in it. */
export class Browser {
  static async start() {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), "crossbill-chromium-"));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: CHROMIUM,
      headless: true,
      viewport: { width: 1280, height: 860 },
      acceptDownloads: true,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    browser.context.setDefaultTimeout(PATIENCE_MS);
    await browser.context.addInitScript({ content: AXE });
    return browser;
  }

  /** A page of the console; what goes wrong in it is kept in `wrong`. */
  async page(server, place = "") {
    const page = await this.context.newPage();
    page.wrong = [];
    page.on("pageerror", (error) => page.wrong.push(String(error)));
    page.on("dialog", (dialog) => {
      page.wrong.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      // The browser tells of every answer that is an error; views show those.
      const isAnswer = message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && !isAnswer) page.wrong.push(message.text());
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(server.url) && !url.startsWith("blob:") && !url.startsWith("data:")) {
        page.wrong.push(`asked ${url}`);
      }
    });
    await page.goto(`${server.url}/${place}`);
    return page;
  }

  async stop() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

/** What the accessibility rules find, in light and in dark. */
export async function violations(page) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations: broken } = await page.evaluate(() =>
      // eslint-disable-next-line no-undef
      axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
    );
    for (const rule of broken) {
      for (const node of rule.nodes) found.push(`${colorScheme}: ${rule.id}: ${node.target}: ${node.failureSummary}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  return found;
}

/** Takes a picture of the view, where pictures are wanted. */
export async function picture(page, name, colorScheme = "light") {
  if (PICTURES === undefined) return;
  if (!existsSync(PICTURES)) mkdirSync(PICTURES, { recursive: true });
  await page.emulateMedia({ colorScheme });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled", caret: "hide" });
  await page.emulateMedia({ colorScheme: "light" });
}
