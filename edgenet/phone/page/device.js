// The properties of the phone, as far as the browser provides them.

/**
 * The device as in the report to /runs/<id>/finish, without the version of LiteRT.js. Browsers on iPhones, and Firefox,
 * provide less; the rest then comes from the user agent.
 */
export async function describeDevice() {
  const agent = navigator.userAgent;
  const hints = await navigator.userAgentData
    ?.getHighEntropyValues(["model", "architecture", "bitness", "platformVersion"])
    .catch(() => null);
  return {
    model: hints?.model || modelOf(agent),
    architecture: architectureOf(hints, agent),
    cores: navigator.hardwareConcurrency || 1,
    // Browsers round it to a power of two, and limit it.
    memory_bytes: navigator.deviceMemory ? navigator.deviceMemory * 2 ** 30 : null,
    system: systemOf(hints, agent),
    browser: browserOf(agent),
    user_agent: agent,
    isolated: self.crossOriginIsolated === true,
  };
}

function modelOf(agent) {
  const android = agent.match(/Android [^;)]*; ([^;)]+?)(?: Build\/[^)]*)?\)/)?.[1];
  // "K" is what Chrome has for every phone; Firefox has none.
  if (android && android !== "K" && !/^(Mobile|Tablet|rv:.*)$/.test(android)) return android;
  // An iPad identifies itself as a Mac, which has no touch screen.
  if (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1) return "iPad";
  return agent.match(/iPhone|iPad/)?.[0] ?? (/Android/.test(agent) ? "Android device" : "computer");
}

function architectureOf(hints, agent) {
  if (hints?.architecture) {
    const bits = hints.bitness === "64" ? "_64" : "";
    return `${hints.architecture}${bits}`.replace("arm_64", "arm64");
  }
  if (/iPhone|iPad/.test(modelOf(agent))) return "arm64";
  // Chrome has armv81 on every Android device.
  return navigator.platform.match(/aarch64|armv\d|x86_64|i\d86/)?.[0] ?? "unknown";
}

function systemOf(hints, agent) {
  if (hints?.platformVersion) {
    const { platform } = navigator.userAgentData;
    if (platform !== "Windows") return `${platform} ${hints.platformVersion}`;
    return parseInt(hints.platformVersion) >= 13 ? "Windows 11" : "Windows 10";
  }
  const ios = agent.match(/(?:iPhone|CPU) OS (\d+(?:_\d+)*)/)?.[1];
  if (ios) return `iOS ${ios.replaceAll("_", ".")}`;
  if (modelOf(agent) === "iPad") return "iPadOS";
  // Chrome has "Android 10" for every phone.
  const android = agent.match(/Android [\d.]+(?=;)(?!; K\))/)?.[0] ?? agent.match(/Android/)?.[0];
  return android ?? agent.match(/Windows|Mac OS X|Linux/)?.[0] ?? "unknown";
}

function browserOf(agent) {
  // The user agents of those above contain the names below, too.
  const names = [
    ["SamsungBrowser", "Samsung Internet"],
    ["EdgA", "Edge"],
    ["Edg", "Edge"],
    ["OPR", "Opera"],
    ["FxiOS", "Firefox"],
    ["CriOS", "Chrome"],
    ["Firefox", "Firefox"],
    ["HeadlessChrome", "headless Chrome"],
    ["Chrome", "Chrome"],
  ];
  for (const [token, name] of names) {
    const version = agent.match(new RegExp(`\\b${token}/(\\d+)`))?.[1];
    if (version) return `${name} ${version}`;
  }
  const safari = agent.match(/Version\/([\d.]+).*Safari/)?.[1];
  return safari ? `Safari ${safari}` : "unknown";
}

/** Watch what disturbs a benchmark, and keep the screen on, until `end`, which returns both for the report. */
export async function watchPage() {
  let hidden = document.hidden, battery = null, lock = null, over = false;
  const power = await navigator.getBattery?.().catch(() => null);
  const readBattery = () => {
    if (power) battery = battery || !power.charging;
  };
  const stayAwake = async () => {
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    if (over) lock?.release();
  };
  const changed = () => {
    if (document.hidden) hidden = true;
    else stayAwake(); // a hidden page loses its wake lock
  };
  readBattery();
  stayAwake();
  power?.addEventListener("chargingchange", readBattery);
  document.addEventListener("visibilitychange", changed);
  return {
    end() {
      over = true;
      readBattery();
      power?.removeEventListener("chargingchange", readBattery);
      document.removeEventListener("visibilitychange", changed);
      lock?.release();
      return { hidden, battery };
    },
  };
}
