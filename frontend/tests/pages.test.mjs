// The pages as people meet them: in a real browser, by mouse and keyboard, without scripts, on a phone, by axe.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { chromium } from "playwright-core";

const BASE = process.env.BASE ?? "http://127.0.0.1:8000";
const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const STOP = "/doc/stop/star/1014";
const QUERY =
  "PREFIX co: <https://ld.cityorchestra.example/def/co#>\nPREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>\n" +
  "SELECT ?site ?name (STRLEN(?name) AS ?letters) { ?site a co:StreamStation ; rdfs:label ?name } ORDER BY ?name";
const PAGES = {
  home: "/",
  catalogue: "/catalog",
  chosen: "/catalog?theme=TRAN&state=loaded",
  search: "/search?q=republique",
  dataset: "/doc/dataset/star/arrets",
  described: "/doc/dataset/enedis/conso-iris",
  resource: STOP,
  commune: "/describe?iri=http%3A%2F%2Fid.insee.fr%2Fgeo%2Fcommune%2F35238",
  "states over time": "/doc/stream-station/J7380001",
  "figures over time": "/doc/counting-site/300014142",
  origins: "/provenance?iri=https%3A%2F%2Fld.cityorchestra.example%2Fid%2Fstop%2Fstar%2F1014",
  quality: "/quality/ofb/onde",
  places: "/territory",
  "a commune": "/territory/commune/35238",
  "an IRIS": "/territory/iris/352380103",
  story: "/story",
  vocabulary: "/def/co",
  query: "/sparql",
  results: `/sparql?format=html&query=${encodeURIComponent(QUERY)}`,
  mistake: "/sparql?format=html&query=SELECT",
  "ready queries": "/api/queries",
  problem: "/nothing",
};

let browser;

before(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
});

after(() => browser?.close());

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.mistakes = [];
  page.on("pageerror", (error) => page.mistakes.push(error.message));
  await page.goto(BASE + path);
  return page;
}

async function close(page) {
  assert.deepEqual(page.mistakes, []);
  await page.context().close();
}

async function type(page, text) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(text);
}

/** Take the first proposal; the editor ignores keys for an instant, so that nobody takes what they have not read. */
async function accept(page) {
  await page.waitForTimeout(200);
  await page.keyboard.press("Enter");
}

test("from the home page by search to a dataset, a thing in it, and its Turtle", async () => {
  const page = await open("/");
  await page.getByRole("searchbox").fill("Arrêts du réseau STAR");
  await page.getByRole("button", { name: "Chercher" }).click();
  await page.getByRole("main").getByRole("link", { name: "Arrêts du réseau STAR", exact: true }).first().click();
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Arrêts du réseau STAR");
  assert.ok(await page.getByText("Citer la source").count());
  await page.locator("table a").first().click();
  const name = await page.getByRole("heading", { level: 1 }).innerText();
  const href = await page.getByRole("link", { name: "Turtle" }).getAttribute("href");
  const turtle = await page.request.get(BASE + href);
  assert.match(turtle.headers()["content-type"], /^text\/turtle/);
  assert.ok((await turtle.text()).includes(`"${name}"`));
  await page.getByRole("link", { name: "Fichier, ligne et règle de chaque fait" }).click();
  assert.ok(await page.getByRole("cell", { name: "star_arrets.json" }).count());
  await close(page);
});

test("the editor completes from our vocabulary and declares the prefix", async () => {
  const page = await open("/sparql");
  await page.locator(".editor").waitFor();
  await type(page, "SELECT * WHERE {\n  ?stop a ");
  await page.keyboard.type("gtfs:Sto", { delay: 20 });
  await page.locator(".cm-tooltip-autocomplete").getByText("gtfs:Stop", { exact: true }).waitFor();
  await accept(page);
  await page.waitForFunction(() => document.querySelector("textarea").value.includes("gtfs:Stop"));
  const text = await page.locator("textarea").inputValue();
  assert.match(text, /^PREFIX gtfs: <http:\/\/vocab\.gtfs\.org\/terms#>\n/);
  await close(page);
});

test("the editor finds things of the data by their name", async () => {
  const page = await open("/sparql");
  await page.locator(".editor").waitFor();
  await type(page, "SELECT * WHERE { ?s ?p ");
  await page.keyboard.type("<becher", { delay: 20 });
  await page.locator(".cm-tooltip-autocomplete").getByText("Bécherel").first().waitFor();
  await accept(page);
  await page.waitForFunction(() => document.querySelector("textarea").value.includes("<http://id.insee.fr/geo/commune/35022>"));
  await close(page);
});

test("a query runs in the page, and its answer is a table, a chart, a map and files", async () => {
  const page = await open("/sparql");
  await page.locator(".editor").waitFor();
  await type(page, QUERY);
  await page.keyboard.press("ControlOrMeta+Enter");
  await page.locator("#outcome tbody tr").nth(30).waitFor();
  assert.equal(await page.locator("#view-chart").isVisible(), false);
  await page.getByRole("tab", { name: "Graphique" }).click();
  assert.equal(await page.locator("#view-chart .bars tr").count(), 30);
  await page.getByRole("tab", { name: "Graphique" }).press("ArrowRight");
  assert.equal(await page.locator("#view-map path.dot").count(), 31);
  const csv = await page.request.get(BASE + (await page.getByRole("link", { name: "CSV" }).getAttribute("href")));
  assert.equal((await csv.text()).trim().split("\n").length, 32);
  await close(page);
});

test("a mistake is shown at its line", async () => {
  const page = await open("/sparql");
  await page.locator(".editor").waitFor();
  await type(page, "SELECT *\nWHERE {\n  ?s ?p ?o ??\n}");
  await page.keyboard.press("ControlOrMeta+Enter");
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByRole("alert").getAttribute("data-line"), "3");
  await page.locator(".cm-lintRange-error, .cm-lintPoint-error").first().waitFor();
  assert.equal(await page.locator(".cm-line").filter({ has: page.locator(".cm-lintRange-error, .cm-lintPoint-error") }).innerText(), "  ?s ?p ?o ??");
  await close(page);
});

test("the language changes and stays changed", async () => {
  const page = await open(STOP);
  assert.equal(await page.locator("html").getAttribute("lang"), "fr");
  await page.getByRole("link", { name: "English" }).click();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: "Data" }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "The shared data");
  await close(page);
});

test("everything is there without scripts: facets, queries, charts, maps, mistakes", async () => {
  const page = await open("/catalog", { javaScriptEnabled: false });
  await page.locator(".facets").getByRole("link", { name: /Énergie/ }).click();
  assert.match(page.url(), /theme=ENER/);
  assert.ok(await page.locator(".datasets li").count());
  await page.goto(`${BASE}/sparql`);
  await page.locator("textarea").fill(QUERY);
  await page.getByRole("button", { name: "Exécuter" }).click();
  for (const part of ["#view-table", "#view-chart", "#view-map"]) assert.ok(await page.locator(part).isVisible());
  await page.locator("textarea").fill("SELECT *\nWHERE {\n  ?s ?p ?o ??\n}");
  await page.getByRole("button", { name: "Exécuter" }).click();
  assert.match(await page.getByRole("alert").locator("mark").innerText(), /^3/);
  await page.goto(`${BASE}/territory/commune/35238`);
  assert.ok((await page.locator(".map path.dot").count()) > 500);
  assert.ok(await page.locator(".bars rect").count());
  await close(page);
});

test("maps come nearer by button, and say how wide they are", async () => {
  const page = await open("/territory");
  const svg = page.locator(".map > svg").first();
  const whole = await svg.getAttribute("viewBox");
  const width = await page.locator("[data-km]").first().innerText();
  await page.getByRole("button", { name: "Plus près" }).first().click();
  assert.notEqual(await svg.getAttribute("viewBox"), whole);
  assert.notEqual(await page.locator("[data-km]").first().innerText(), width);
  await page.getByRole("button", { name: "Toute la carte" }).first().click();
  assert.equal(await svg.getAttribute("viewBox"), whole);
  await close(page);
});

test("the home page answers questions, the story leads from figures to money", async () => {
  const page = await open("/");
  assert.equal(await page.locator(".panel .answer").count(), 3);
  assert.equal(await page.locator(".panel .warning").count(), 0);
  await page.getByRole("link", { name: "Récits" }).click();
  assert.equal(await page.locator(".chain").count(), 5);
  assert.ok((await page.locator(".chain").first().innerText()).includes("€"));
  await close(page);
});

test("the first page is light, and quickly drawn", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const sizes = [];
  page.on("response", async (answer) => {
    const body = await answer.body().catch(() => Buffer.alloc(0));
    sizes.push([new URL(answer.url()).pathname, gzipSync(body).length]);
  });
  await page.goto(`${BASE}/`, { waitUntil: "networkidle" }); // the second time is what people meet: the first may come right after a publication
  sizes.length = 0;
  const began = performance.now();
  await page.reload({ waitUntil: "load" });
  const taken = performance.now() - began;
  await page.waitForLoadState("networkidle");
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`first page: ${total} bytes compressed, drawn in ${Math.round(taken)} ms (${sizes.map(([path, size]) => `${path} ${size}`).join(", ")})`);
  assert.ok(sizes.length >= 3);
  assert.ok(total < 150_000, `${total} bytes`);
  assert.ok(!sizes.some(([path]) => path.includes("editor")));
  await context.close();
});

for (const [name, path] of Object.entries(PAGES)) {
  test(`${name}: nothing serious for axe, nothing beyond the edge of a phone`, async () => {
    const page = await open(path);
    if (await page.locator("[data-editor]").count()) await page.locator(".editor").waitFor();
    await page.evaluate(AXE);
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values } }), tags);
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]), []);
    await page.setViewportSize({ width: 390, height: 844 });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(beyond <= 0, `${beyond} px too wide`);
    await close(page);
  });
}
