// The page. For tests, document.body.dataset tells its state: ready, running, done or failed; and camera: off or on.

import { Camera } from "./camera.js";
import { describe, watch } from "./device.js";
import { ask, send, sendOnce } from "./server.js";
import { threads as countOf } from "./numbers.js";
import { Variants, element, fastest } from "./variants.js";
import { STOPPED, open } from "./work.js";

const find = id => document.getElementById(id);
const buttons = { ready: "Benchmark this phone", running: "Stop", done: "Benchmark again", failed: "Start again" };

let bundle, threads, phone, table, running, camera;

function setState(state, message = "") {
  document.body.dataset.state = state;
  say("message", message);
  find("benchmark").textContent = buttons[state];
  find("benchmark").disabled = false;
  find("progress").hidden = state !== "running";
  find("outcome").hidden = find("condition").hidden = state !== "done";
  find("camera").disabled = find("variant").disabled = !bundle || state === "running";
}

function say(place, message) {
  find(place).textContent = message;
  find(place).hidden = !message;
}

/** Get the session and the bundle, and show what there is. */
async function begin() {
  const token = location.hash.slice(1);
  try {
    if (token) {
      history.replaceState(null, "", location.pathname);
      await sendOnce("/session", { token }).catch(() => {}); // the session of an earlier visit may do; /bundle.json tells
    }
    const found = await (await ask("/bundle.json")).json();
    const { possibleThreads } = await import("./runtime.js").catch(() => {
      throw new Error("LiteRT.js cannot be loaded; run `make web` on the laptop, and start `edgenet serve` again.");
    });
    threads = await possibleThreads(found.threads);
    phone = { ...(await describe()), litert: found.litert };
    bundle = found;
  } catch (error) {
    return setState("failed", error.message);
  }
  document.title = `${bundle.name}: edgenet`;
  find("name").textContent = bundle.name;
  showDevice();
  find("variant").replaceChildren(...bundle.variants.map(({ name }) => new Option(name, name)));
  find("variant").value = (bundle.variants.find(variant => variant.name === "int8") ?? bundle.variants[0]).name;
  table = new Variants(find("variants"), bundle, threads.threads);
  say("meaning", bundle.base ? `speed: times as fast as ${bundle.base}; in brackets: no difference is sure` : "");
  setState("ready");
}

function showDevice() {
  const lines = {
    browser: phone.browser,
    device: `${phone.model}, ${phone.system}`,
    cores: phone.cores,
    threads: threads.why ? `no threads: ${threads.why}` : threads.threads.map(countOf).join(", "),
  };
  find("device").replaceChildren(
    ...Object.entries(lines).flatMap(([name, text]) => [element("dt", name), element("dd", text)]),
  );
}

async function benchmark() {
  camera?.stop();
  cameraOff();
  table = new Variants(find("variants"), bundle, threads.threads);
  setState("running");
  running = open(showProgress);
  const watched = await watch();
  try {
    const { id, measurements, resolution } = await running.ask("benchmark", { bundle, threads: threads.threads });
    const condition = { ...watched.end(), resolution };
    show(await send(`/runs/${encodeURIComponent(id)}/finish`, { phone, measurements, condition }));
    setState("done");
  } catch (error) {
    watched.end();
    if (error.message === STOPPED) setState("ready");
    else setState("failed", error.message);
  }
  running.close();
}

function showProgress(told) {
  if (told.name) {
    find("step").textContent = `Step ${told.step} of ${told.steps}: ${told.name}`;
    find("detail").textContent = "";
    find("bar").value = 0;
  } else if (told.detail) {
    find("detail").textContent = told.detail;
    find("bar").value = told.done;
  } else if (told.images) {
    table.agreement(told.variant, told.agreeing / told.images, told.images);
  } else {
    table.latency(told);
  }
}

function show(result) {
  table.finished(result.variants);
  find("fastest").textContent = fastest(result.variants, bundle.base);
  find("stored").textContent = `Stored on the laptop as ${result.file}.`;
  find("grade").replaceChildren("Latency: ", element("b", result.grade));
  find("reasons").replaceChildren(...result.reasons.map(reason => element("li", reason)));
}

async function startCamera() {
  const button = find("camera");
  const variant = bundle.variants.find(({ name }) => name === find("variant").value);
  button.disabled = find("benchmark").disabled = true;
  say("camera-message", "");
  find("view").hidden = false;
  try {
    camera = await Camera.start(bundle, variant, threads.threads.at(-1), cameraOff);
    button.textContent = "Stop the camera";
    document.body.dataset.camera = "on";
  } catch (error) {
    cameraOff(error.message);
  }
  button.disabled = find("benchmark").disabled = false;
}

function cameraOff(message = "") {
  camera = null;
  document.body.dataset.camera = "off";
  find("camera").textContent = "Start the camera";
  find("view").hidden = true;
  for (const id of ["label", "numbers", "best"]) find(id).replaceChildren();
  say("camera-message", message);
}

function stopCamera() {
  camera?.stop();
  cameraOff();
}

find("benchmark").addEventListener("click", () => {
  if (!bundle) begin();
  else if (document.body.dataset.state === "running") running.close();
  else benchmark();
});
find("camera").addEventListener("click", () => (camera ? stopCamera() : startCamera()));
find("variant").addEventListener("change", async () => {
  if (!camera) return;
  stopCamera();
  await startCamera();
});
// A new link, opened where the page already is, loads nothing.
addEventListener("hashchange", () => {
  if (location.hash.length > 1 && document.body.dataset.state !== "running") begin();
});
addEventListener("pagehide", stopCamera);
cameraOff();
begin();
