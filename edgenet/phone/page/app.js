// The page. For tests, document.body.dataset.state is ready, running, done or failed; and .camera
// and .photo are off or on.

import { clearAnswer, cutSentence } from "./answer.js";
import { Camera } from "./camera.js";
import { describeDevice, watchPage } from "./device.js";
import { request, send, sendOnce } from "./server.js";
import { threads as countOf } from "./numbers.js";
import { classifyPhoto } from "./photo.js";
import { VariantCards, element, fastestSentence } from "./variants.js";
import { STOPPED, openWorker } from "./work.js";

const find = id => document.getElementById(id);
const buttons = { ready: "Benchmark this phone", running: "Stop", done: "Benchmark again", failed: "Start again" };

let bundle, threads, phone, cards, running, camera, photo;

function setState(state, message = "") {
  document.body.dataset.state = state;
  showMessage("message", message);
  find("benchmark").textContent = buttons[state];
  find("progress").hidden = state !== "running";
  find("outcome").hidden = find("quality").hidden = state !== "done";
  setBusy(!bundle || state === "running");
  find("benchmark").disabled = false;
}

function showMessage(id, message) {
  find(id).textContent = message;
  find(id).hidden = !message;
}

/** Open a session, load the bundle's description and show it. */
async function initialize() {
  const token = location.hash.slice(1);
  try {
    if (token) {
      history.replaceState(null, "", location.pathname);
      await sendOnce("/session", { token }).catch(() => {}); // an earlier session may still be valid; /bundle.json shows it
    }
    const description = await (await request("/bundle.json")).json();
    const { possibleThreads } = await import("./runtime.js").catch(() => {
      throw new Error("LiteRT.js cannot be loaded. Run `make web` on the laptop, then restart `edgenet serve`.");
    });
    threads = await possibleThreads(description.threads);
    phone = { ...(await describeDevice()), litert: description.litert };
    bundle = description;
  } catch (error) {
    return setState("failed", error.message);
  }
  document.title = `${bundle.name}: edgenet`;
  find("name").textContent = bundle.name;
  showDevice();
  find("variant").replaceChildren(...bundle.variants.map(({ name }) => new Option(name, name)));
  find("variant").value = (bundle.variants.find(variant => variant.name === "int8") ?? bundle.variants[0]).name;
  find("cut").textContent = cutSentence(bundle);
  cards = new VariantCards(find("variants"), bundle, threads.threads);
  showMessage("meaning", bundle.base ? `speed: relative to ${bundle.base} with the same number of threads; (parentheses): not significant` : "");
  setState("ready");
}

function showDevice() {
  const lines = {
    browser: phone.browser,
    device: `${phone.model}, ${phone.system}`,
    cores: phone.cores,
    threads: threads.reason ? `1 thread: ${threads.reason}` : threads.threads.map(countOf).join(", "),
  };
  find("device").replaceChildren(
    ...Object.entries(lines).flatMap(([name, text]) => [element("dt", name), element("dd", text)]),
  );
}

async function benchmark() {
  closeView();
  cards = new VariantCards(find("variants"), bundle, threads.threads);
  setState("running");
  running = openWorker(showProgress);
  const watcher = await watchPage();
  try {
    const { id, measurements, resolution } = await running.call("benchmark", { bundle, threads: threads.threads });
    const condition = { ...watcher.end(), resolution };
    show(await send(`/runs/${encodeURIComponent(id)}/finish`, { phone, measurements, condition }));
    setState("done");
  } catch (error) {
    watcher.end();
    if (error.message === STOPPED) setState("ready");
    else setState("failed", error.message);
  }
  running.close();
}

function showProgress(progress) {
  if (progress.name) {
    find("step").textContent = `Step ${progress.step} of ${progress.steps}: ${progress.name}`;
    find("detail").textContent = "";
    find("bar").value = 0;
  } else if (progress.detail) {
    find("detail").textContent = progress.detail;
    find("bar").value = progress.done;
  } else if (progress.images) {
    cards.agreement(progress.variant, progress.agreeing / progress.images, progress.images);
  } else {
    cards.latency(progress);
  }
}

function show(result) {
  cards.finished(result.variants);
  find("fastest").textContent = fastestSentence(result.variants, bundle.base);
  find("stored").textContent = `Saved on the laptop as ${result.file}.`;
  find("grade").replaceChildren("Timing quality: ", element("b", result.grade));
  find("reasons").replaceChildren(...result.reasons.map(reason => element("li", reason)));
}

async function startCamera() {
  closeView();
  setBusy(true);
  find("photo").value = "";
  openView("camera");
  try {
    camera = await Camera.start(bundle, variant(), threads.threads.at(-1), closeView);
    find("camera").textContent = "Stop the camera";
    document.body.dataset.camera = "on";
  } catch (error) {
    closeView(error.message);
  }
  setBusy(false);
}

async function openPhoto(file) {
  closeView();
  setBusy(true);
  openView("photo");
  try {
    await classifyPhoto(bundle, variant(), threads.threads.at(-1), file);
    photo = file;
    document.body.dataset.photo = "on";
  } catch (error) {
    closeView(error.message);
  }
  setBusy(false);
}

function variant() {
  return bundle.variants.find(({ name }) => name === find("variant").value);
}

function setBusy(isBusy) {
  for (const id of ["benchmark", "camera", "variant", "photo"]) find(id).disabled = isBusy;
}

/** Show the camera's or a photo's part of the page. */
function openView(source) {
  find("view").hidden = false;
  find("video").hidden = source !== "camera";
  find("photo-image").hidden = source !== "photo";
  find("answer").ariaLive = source === "photo" ? "polite" : "off"; // the camera's changes all the time
}

/** Stop the camera, and show neither it nor a photo. */
function closeView(message = "") {
  camera?.stop();
  camera = photo = null;
  document.body.dataset.camera = document.body.dataset.photo = "off";
  find("camera").textContent = "Start the camera";
  find("view").hidden = true;
  clearAnswer();
  showMessage("camera-message", message);
}

find("benchmark").addEventListener("click", () => {
  if (!bundle) initialize();
  else if (document.body.dataset.state === "running") running.close();
  else benchmark();
});
find("camera").addEventListener("click", () => (camera ? closeView() : startCamera()));
find("variant").addEventListener("change", () => {
  if (camera) startCamera();
  else if (photo) openPhoto(photo);
});
// Without this, choosing the same photo again would change nothing.
find("photo").addEventListener("click", ({ target }) => (target.value = ""));
find("photo").addEventListener("change", ({ target }) => {
  if (target.files.length && !target.disabled) openPhoto(target.files[0]);
});
// Opening a new link on the same page does not reload it.
addEventListener("hashchange", () => {
  if (location.hash.length > 1 && document.body.dataset.state !== "running") initialize();
});
addEventListener("pagehide", () => closeView());
closeView();
initialize();
