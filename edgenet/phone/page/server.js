// What the laptop is asked, from the page and from its workers.

// Milliseconds before each further try of a request whose answer was lost, or which the laptop could not serve then.
const PAUSES = [500, 2000, 5000];

/**
 * A request, tried again after each of the pauses where no answer comes or the laptop cannot serve it. All but
 * /session may be asked twice: the laptop answers a repeated request as it did before. Gives the Response; throws an
 * Error whose message is one sentence for the user.
 */
export async function ask(path, options = {}, pauses = PAUSES) {
  for (const pause of [...pauses, null]) {
    const response = await whole(path, options);
    if (response?.ok) return response;
    if (pause === null || (response && response.status < 500)) throw new Error(await reason(path, response));
    await new Promise(resolve => setTimeout(resolve, pause));
  }
}

/** The Response once all of it is here, null where it did not come. */
async function whole(path, options) {
  try {
    const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
    return new Response(await response.arrayBuffer(), { status: response.status });
  } catch {
    return null;
  }
}

/** One sentence on why a request failed. response: null where there was none. */
async function reason(path, response) {
  if (!response) {
    return "The laptop does not answer; is `edgenet serve` still running, and the phone in the same network?";
  }
  if (response.status === 403) {
    return "This link was used already, or is wrong; scan the code that the terminal shows now.";
  }
  const body = await response.json().catch(() => null);
  return body?.error ?? `The laptop answered ${response.status} to ${path}; see its terminal.`;
}

/** JSON there and back, for a request that must not be repeated. */
export async function sendOnce(path, value) {
  return post(path, "application/json", JSON.stringify(value), []);
}

/** JSON there and back. */
export async function send(path, value) {
  return post(path, "application/json", JSON.stringify(value));
}

/** Raw bytes there, JSON back. */
export async function sendBytes(path, bytes) {
  return post(path, "application/octet-stream", bytes);
}

async function post(path, type, body, pauses) {
  const response = await ask(path, { method: "POST", headers: { "Content-Type": type }, body }, pauses);
  return response.json();
}

export async function bytes(path) {
  return new Uint8Array(await (await ask(path)).arrayBuffer());
}
