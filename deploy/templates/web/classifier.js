// The model file in LiteRT.js: fetched from beside this page, checked against its hash, and run on the processor.
import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";
import { decoded, entered, finished, left } from "./preprocess.js";

const here = (name) => new URL(name, import.meta.url).href;
let found = null;

// The classifier of this page, as a promise of { contract, answer, prepared }; the same each time.
export function classifier() {
  found ??= opened();
  return found;
}

// Fetch a file that lies beside this page. Throws where it is missing.
export async function fetched(name) {
  const response = await fetch(here(name));
  if (!response.ok) {
    throw new Error(`${name} cannot be had (${response.status}).`);
  }
  return response;
}

// The sha256 of some bytes, in hexadecimal.
export async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (value) => value.toString(16).padStart(2, "0")).join("");
}

async function opened() {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Error("A browser lets a page check its model only where the page comes by https, or from this machine.");
  }
  const contract = await (await fetched("contract.json")).json();
  const bytes = new Uint8Array(await (await fetched(contract.file.name)).arrayBuffer());
  if ((await sha256(bytes)) !== contract.file.sha256) {
    throw new Error(`${contract.file.name} is not the file that this page was made of: it was changed or damaged.`);
  }
  await loadLiteRt(here("litert/core/wasm/"));
  const model = await loadAndCompile(bytes, { accelerator: "wasm" });
  // The first run of a graph takes long, and would be told as its latency.
  const [, height, width] = contract.input.shape;
  await run(model, contract, { data: new Uint8Array(width * height * 3) });
  let turn = Promise.resolve();
  return {
    contract,
    // A picture file as the pixels that the model takes.
    prepared: async (picture) => finished(await decoded(picture, contract.preprocessing), contract.preprocessing),
    // Probabilities of such pixels, and how many milliseconds the model took. Calls wait for one another.
    answer: (pixels) => {
      const mine = turn.then(() => run(model, contract, pixels));
      turn = mine.catch(() => {});
      return mine;
    },
  };
}

async function run(model, contract, pixels) {
  const tensor = new Tensor(entered(pixels, contract.input), contract.input.shape);
  const started = performance.now();
  const outputs = await model.run(tensor);
  const raw = await outputs[0].data();
  const milliseconds = performance.now() - started;
  const probabilities = left(raw, contract.output);
  [tensor, ...outputs].forEach((each) => each.delete());
  return { probabilities, milliseconds };
}

// Labels with their probabilities, the best first; of equal ones the earlier class first.
export function best(probabilities, labels, count) {
  return Array.from(probabilities, (probability, number) => ({ label: labels[number], probability, number }))
    .sort((one, other) => other.probability - one.probability || one.number - other.number)
    .slice(0, count);
}
