// What the laptop is asked, from the page and from its workers.

/** A request. Gives the Response; throws an Error whose message is one sentence for the user. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch {
    throw new Error("The laptop does not answer; is `edgenet serve` still running, and the phone in the same network?");
  }
  if (response.ok) return response;
  if (response.status === 403) {
    throw new Error("This link was used already, or is wrong; scan the code that the terminal shows now.");
  }
  const found = await response.json().catch(() => null);
  throw new Error(found?.error ?? `The laptop answered ${response.status} to ${path}; see its terminal.`);
}

/** JSON there and back. */
export async function send(path, value) {
  return post(path, "application/json", JSON.stringify(value));
}

/** Raw bytes there, JSON back. */
export async function sendBytes(path, bytes) {
  return post(path, "application/octet-stream", bytes);
}

async function post(path, type, body) {
  const response = await ask(path, { method: "POST", headers: { "Content-Type": type }, body });
  return response.json();
}

export async function bytes(path) {
  return new Uint8Array(await (await ask(path)).arrayBuffer());
}
