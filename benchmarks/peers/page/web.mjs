// Opens a page of `edgeproof web` in headless Chromium and says what it found, as JSON:
//   node web.mjs URL CHROMIUM MODULES replay PICTURES.json    answers to pictures (base64), and the self-test
//   node web.mjs URL CHROMIUM MODULES answers PICTURES.json   the answers alone, of a file without golden examples
//   node web.mjs URL CHROMIUM MODULES look [SHOTS]            axe-core, keyboard, camera, screenshots
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [url, chromium, modules, task, given] = process.argv.slice(2);
const require = createRequire(resolve(modules, "x.js"));
const playwright = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const MINUTE = 60_000;
const VIEWS = [
  { name: "desktop", width: 1280, height: 800 },
  { name: "telephone", width: 390, height: 844 },
];
// Nothing but this machine can be found, and the camera is one that Chromium plays.
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

// A tab that writes down all requests, what the policy forbade, and what went wrong.
async function opened(browser, address, options = {}) {
  const context = await browser.newContext({ permissions: ["camera"], ...options });
  const tab = await context.newPage();
  tab.setDefaultTimeout(2 * MINUTE);
  const seen = { requests: [], refused: [], errors: [] };
  tab.on("request", (request) => seen.requests.push(request.url()));
  tab.on("pageerror", (error) => seen.errors.push(String(error)));
  tab.on("console", (message) => /Content Security Policy/.test(message.text()) && seen.refused.push(message.text()));
  await tab.goto(address);
  await tab.waitForFunction(() => /Ready|could not/.test(document.getElementById("state").textContent));
  return { tab, seen, context };
}

// Answers of the page's own modules to picture files, with the pixels that the model got.
async function answered(tab, pictures) {
  return tab.evaluate(async (files) => {
    const { classifier } = await import("./classifier.js");
    const { prepared, answer } = await classifier();
    const found = [];
    for (const file of files) {
      const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
      const pixels = await prepared(new Blob([bytes]));
      const { probabilities, milliseconds } = await answer(pixels);
      const text = Array.from(pixels.data, (value) => String.fromCharCode(value)).join("");
      found.push({ pixels: btoa(text), probabilities: Array.from(probabilities), milliseconds });
    }
    return found;
  }, pictures);
}

async function replay(browser) {
  const { tab, seen } = await opened(browser, `${url}?selftest`);
  await tab.waitForFunction(() => document.getElementById("figures").textContent !== "");
  const selftest = JSON.parse(await tab.textContent("#figures"));
  const checked = await tab.textContent("#checked");
  const answers = await answered(tab, JSON.parse(readFileSync(given, "utf8")));
  return { state: await tab.textContent("#state"), selftest, checked, answers, ...seen };
}

function measured() {
  const hanging = [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".scroll"))
    .map((element) => element.outerHTML.slice(0, 80));
  const targets = [...document.querySelectorAll("button, input")].map((each) => each.getBoundingClientRect());
  return { hanging, smallest_target_px: Math.min(...targets.map(({ width, height }) => Math.min(width, height))) };
}

async function look(browser, { name, width, height }, colorScheme) {
  const options = { viewport: { width, height }, colorScheme, bypassCSP: true };
  const { tab, seen, context } = await opened(browser, url, options);
  await tab.click(".sample >> nth=1");
  await tab.waitForFunction(() => document.querySelectorAll("#bars li").length > 0);
  await tab.click("#check");
  await tab.waitForFunction(() => /should/.test(document.getElementById("checked").textContent));
  const found = { name, colorScheme, ...(await tab.evaluate(measured)) };
  if (given) {
    await tab.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => null))));
    await tab.waitForTimeout(400);
    await tab.screenshot({ path: resolve(given, `web-${name}-${colorScheme}.png`), fullPage: true });
  }
  await tab.evaluate(axe);
  const judged = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  found.rules_passed = judged.passes.length;
  found.violations = judged.violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map((node) => node.html) }));
  await context.close();
  return { ...found, ...seen };
}

// Everything with keys alone: what has the focus after each Tab, whether it can be seen, and what Enter does.
async function byKeyboard(browser) {
  const { tab, context } = await opened(browser, url);
  const stops = [];
  for (let number = 0; number < 60; number += 1) {
    await tab.keyboard.press("Tab");
    const stop = await tab.evaluate(() => {
      const one = document.activeElement;
      const drawn = getComputedStyle(one.matches(".file input") ? one.nextElementSibling : one);
      const text = one.getAttribute("aria-label") ?? (one.textContent.trim() || one.querySelector("img")?.alt);
      return { tag: one.tagName, text, outline_px: drawn.outlineStyle === "none" ? 0 : parseFloat(drawn.outlineWidth) };
    });
    if (stop.tag === "BODY") {
      break;
    }
    stops.push(stop);
    if (stop.text === "Sample 1" || stop.text === "Run the self-test") {
      await tab.keyboard.press("Enter");
      const awaited = stop.text === "Sample 1" ? ["told", "%"] : ["checked", "should"];
      await tab.waitForFunction(([id, part]) => document.getElementById(id).textContent.includes(part), awaited);
    }
  }
  const found = { stops, told: await tab.textContent("#told"), checked: await tab.textContent("#checked") };
  await context.close();
  return found;
}

// The camera's picture changes all the time; after it stops, nothing of it is left running.
async function camera(browser) {
  const { tab, seen, context } = await opened(browser, url);
  await tab.click("#start");
  await tab.waitForFunction(() => /Model/.test(document.getElementById("latency").textContent));
  const told = await tab.textContent("#told");
  await tab.waitForTimeout(500);
  await tab.click("#start");
  const stopped = await tab.evaluate(() => document.getElementById("camera").srcObject === null);
  await context.close();
  return { told, stopped, ...seen };
}

// A file chosen, a file that is no picture, and a model file that is not the one that the page was made of.
async function files(browser) {
  const { tab, context } = await opened(browser, url);
  const bytes = Buffer.from(await (await fetch(new URL("golden/00.png", url))).arrayBuffer());
  await tab.setInputFiles("#file", { name: "chosen.png", mimeType: "image/png", buffer: bytes });
  await tab.waitForFunction(() => document.querySelectorAll("#bars li").length > 0);
  const told = await tab.textContent("#told");
  await tab.setInputFiles("#file", { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("notes") });
  await tab.waitForSelector("#error:not([hidden])");
  const error = await tab.textContent("#error");
  await context.close();
  const other = await browser.newContext();
  const changed = await other.newPage();
  await changed.route("**/model.tflite", async (route) => {
    const body = Buffer.from(await (await route.fetch()).body());
    body[body.length >> 1] ^= 1;
    await route.fulfill({ body });
  });
  await changed.goto(url);
  await changed.waitForSelector("#error:not([hidden])");
  const refused = await changed.textContent("#error");
  await other.close();
  return { told, error, refused };
}

const browser = await playwright.chromium.launch({ executablePath: chromium, args: ARGUMENTS });
try {
  const found = { browser: browser.version() };
  if (task === "replay") {
    Object.assign(found, await replay(browser));
  } else if (task === "answers") {
    const { tab, seen } = await opened(browser, url);
    Object.assign(found, { answers: await answered(tab, JSON.parse(readFileSync(given, "utf8"))), ...seen });
  } else {
    found.looks = [];
    for (const view of VIEWS) {
      for (const scheme of ["light", "dark"]) {
        found.looks.push(await look(browser, view, scheme));
      }
    }
    found.keyboard = await byKeyboard(browser);
    found.camera = await camera(browser);
    found.files = await files(browser);
  }
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
