// What stands on the page, and what happens when it is touched.
import { best, classifier, fetched } from "./classifier.js";
import { finished, flattened } from "./preprocess.js";
import { selftest, sentence } from "./selftest.js";

const SHOWN = 5;
// Pictures smaller than this are shown with their pixels as they are, and not smoothed.
const SMALL_PX = 160;
// The camera's answers are read aloud no more often than that, and only when the first one has changed.
const SPOKEN_EVERY_MS = 2500;

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
let newest = 0;
let stream = null;
let checking = false;
let asking = false;
let spoken = { label: "", at: 0 };

function complain(error) {
  at("error").textContent = error === null ? "" : error.message;
  at("error").hidden = error === null;
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

// The five best classes as bars. Rows stay where they are, so that a bar moves to its new length.
function draw(answers) {
  const rows = [...at("bars").children];
  answers.forEach(({ label, probability }, number) => {
    const row = rows[number] ?? at("bars").appendChild(element("li", ""));
    if (row.children.length === 0) {
      const track = element("span", "track");
      track.append(element("span", ""));
      row.append(element("span", "label"), element("span", "share"), track);
    }
    row.children[0].textContent = label;
    row.children[1].textContent = percent(probability);
    row.children[2].firstChild.style.width = percent(probability).replace(" ", "");
  });
}

function tell(answers, { model, pixels }, live) {
  draw(answers);
  const [{ label, probability }] = answers;
  const now = performance.now();
  if (!live || (label !== spoken.label && now - spoken.at > SPOKEN_EVERY_MS)) {
    at("told").textContent = `${label}, ${percent(probability)}`;
    spoken = { label, at: now };
  }
  at("latency").textContent = `Model ${model.toFixed(1)} ms, preparing the picture ${pixels.toFixed(1)} ms.`;
}

// Answer what `prepare` gives, unless another picture was asked for in the meantime.
async function answer(prepare, live = false) {
  const number = (newest += 1);
  const { contract, answer: run } = await classifier();
  const started = performance.now();
  const image = await prepare(contract.preprocessing);
  const pixels = performance.now() - started;
  const { probabilities, milliseconds } = await run(image);
  if (number === newest) {
    complain(null);
    tell(best(probabilities, contract.labels, SHOWN), { model: milliseconds, pixels }, live);
  }
}

async function show(picture, title) {
  const bitmap = await createImageBitmap(picture);
  const canvas = at("shown");
  const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.classList.toggle("small", Math.max(bitmap.width, bitmap.height) < SMALL_PX);
  canvas.setAttribute("aria-label", title);
  bitmap.close();
}

async function take(picture, title, sample = null) {
  stopCamera();
  document.querySelectorAll(".sample").forEach((one) => one.setAttribute("aria-pressed", one === sample));
  try {
    await show(picture, title).catch(() => {
      throw new Error(`${title} is no picture that this browser can read.`);
    });
    const { prepared } = await classifier();
    await answer(() => prepared(picture));
  } catch (error) {
    complain(error);
  }
}

async function startCamera() {
  if (asking) {
    return;
  }
  asking = true;
  try {
    if (navigator.mediaDevices === undefined) {
      throw new Error("A browser gives the camera to pages that come by https, or from this machine.");
    }
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    complain(new Error(`No camera: ${error.message}`));
    return;
  } finally {
    asking = false;
  }
  const video = at("camera");
  video.srcObject = stream;
  [video.hidden, at("shown").hidden] = [false, true];
  at("start").textContent = "Stop the camera";
  await video.play();
  while (stream !== null) {
    await new Promise(requestAnimationFrame);
    if (stream !== null && video.videoWidth > 0) {
      const frame = ({ background }) => flattened(video, video.videoWidth, video.videoHeight, background);
      await answer((preprocessing) => finished(frame(preprocessing), preprocessing), true);
    }
  }
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  const video = at("camera");
  video.srcObject = null;
  [video.hidden, at("shown").hidden] = [true, false];
  at("start").textContent = "Start the camera";
}

// The button stays enabled meanwhile: one that is disabled loses the focus of whoever uses keys.
async function check() {
  if (checking) {
    return;
  }
  checking = true;
  at("checked").textContent = "Running …";
  try {
    const outcome = await selftest();
    at("checked").textContent = sentence(outcome);
    at("figures").textContent = JSON.stringify(outcome, null, 1);
    at("details").hidden = false;
  } catch (error) {
    at("checked").textContent = `Could not be run: ${error.message}`;
  } finally {
    checking = false;
  }
}

function listen() {
  const drop = at("picture");
  at("file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0], target.files[0].name));
  at("start").addEventListener("click", () => {
    if (stream !== null) {
      stopCamera();
      return;
    }
    startCamera().catch((error) => {
      stopCamera();
      complain(error);
    });
  });
  at("check")?.addEventListener("click", check);
  document.querySelectorAll(".sample").forEach((one) =>
    one.addEventListener("click", async () => {
      const { picture, title } = one.dataset;
      await fetched(picture)
        .then((response) => response.blob())
        .then((blob) => take(blob, title, one))
        .catch(complain);
    }),
  );
  ["dragenter", "dragover", "dragleave", "drop"].forEach((kind) =>
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      const [file] = kind === "drop" ? event.dataTransfer.files : [];
      if (file !== undefined) {
        take(file, file.name);
      }
    }),
  );
}

async function begin() {
  try {
    await classifier();
    at("state").textContent = "Ready. The model file has the right checksum.";
    document.querySelectorAll("button, input").forEach((each) => (each.disabled = false));
    if (new URLSearchParams(location.search).has("selftest") && at("check") !== null) {
      await check();
    }
  } catch (error) {
    at("state").textContent = "The model could not be loaded.";
    complain(error);
  }
}

listen();
begin();
