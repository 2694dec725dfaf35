// Requests to the laptop, from the page and from its workers.

// Before each retry of a request without a response, or with a server error.
const PAUSES_MILLISECONDS = [500, 2000, 5000];

/**
 * Send a request, and retry it after each of the pauses. All requests but /session may be repeated: the laptop gives the
 * same response again. Returns the Response; throws an Error whose message is a sentence for the user.
 */
export async function request(path, options = {}, pauses = PAUSES_MILLISECONDS) {
  for (const pause of [...pauses, null]) {
    const response = await fetchWhole(path, options);
    if (response?.ok) return response;
    if (pause === null || (response && response.status < 500)) throw new Error(await reason(path, response));
    await new Promise(resolve => setTimeout(resolve, pause));
  }
}

/** The Response once it is complete; null if it does not arrive. */
async function fetchWhole(path, options) {
  try {
    const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
    return new Response(await response.arrayBuffer(), { status: response.status });
  } catch {
    return null;
  }
}

/** Why a request failed, in a sentence. response: null if there was none. */
async function reason(path, response) {
  if (!response) {
    return "The laptop does not respond. Is `edgenet serve` still running, and is the phone on the same network?";
  }
  if (response.status === 403) {
    return "This link was already used or is wrong. Scan the code that the terminal shows now.";
  }
  const body = await response.json().catch(() => null);
  return body?.error ?? `The laptop responded with status ${response.status} to ${path}. See its terminal.`;
}

/** Send JSON and receive JSON, without a retry. */
export async function sendOnce(path, value) {
  return post(path, "application/json", JSON.stringify(value), []);
}

/** Send JSON and receive JSON. */
export async function send(path, value) {
  return post(path, "application/json", JSON.stringify(value));
}

/** Send bytes and receive JSON. */
export async function sendBytes(path, bytes) {
  return post(path, "application/octet-stream", bytes);
}

async function post(path, type, body, pauses) {
  const response = await request(path, { method: "POST", headers: { "Content-Type": type }, body }, pauses);
  return response.json();
}

export async function fetchBytes(path) {
  return new Uint8Array(await (await request(path)).arrayBuffer());
}
