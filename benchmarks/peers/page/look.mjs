// Opens a page in headless Chromium and says what it found, as JSON: node look.mjs PAGE CHROMIUM MODULES [SHOTS]
// MODULES is the node_modules folder with playwright-core and axe-core; SHOTS a folder for screenshots.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page, chromium, modules, shots] = process.argv.slice(2);
const require = createRequire(resolve(modules, "x.js"));
const playwright = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [1280, 390];
const SCHEMES = ["light", "dark"];

// What hangs out of the window although nothing around it scrolls, and pictures that did not load.
function overflowing() {
  const scrolls = (element) => element && (element.matches(".scroll, .skip") || scrolls(element.parentElement));
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element))
    .map((element) => `${element.tagName} ${element.textContent.trim().slice(0, 60)}`);
}

function measured() {
  const writing = [...document.querySelectorAll("p, li, td, th, caption, figcaption, code")];
  return {
    missing: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
    pictures: document.images.length,
    width: document.documentElement.scrollWidth,
    smallest_px: Math.min(...writing.map((element) => parseFloat(getComputedStyle(element).fontSize))),
    headings: [...document.querySelectorAll("h1, h2, h3, h4")].map((heading) => Number(heading.tagName[1])),
  };
}

async function look(browser, width, scheme) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme: scheme, bypassCSP: true });
  const tab = await context.newPage();
  const requests = [];
  tab.on("request", (request) => requests.push(request.url()));
  await tab.goto(pathToFileURL(resolve(page)).href);
  await tab.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => null))));
  const found = { width_px: width, scheme, ...(await tab.evaluate(measured)), overflowing: await tab.evaluate(overflowing) };
  if (shots) {
    await tab.screenshot({ path: resolve(shots, `${width}-${scheme}.png`), fullPage: true });
  }
  found.requests = requests.filter((url) => !url.startsWith("data:")).slice(1);
  await tab.evaluate(axe);
  const judged = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  found.rules_passed = judged.passes.length;
  found.violations = judged.violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map((node) => node.html.slice(0, 120)) }));
  await context.close();
  return found;
}

const browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const looks = [];
for (const width of WIDTHS) {
  for (const scheme of SCHEMES) {
    looks.push(await look(browser, width, scheme));
  }
}
await browser.close();
console.log(JSON.stringify({ axe: require("axe-core/package.json").version, browser: browser.version(), looks }));
