// What the browser tells of the phone.

/** As /runs/<id>/finish takes it, but for LiteRT.js. Browsers on iPhones and Firefox tell less; then the user agent has to do. */
export async function describe() {
  const agent = navigator.userAgent;
  const hints = await navigator.userAgentData
    ?.getHighEntropyValues(["model", "architecture", "bitness", "platformVersion"])
    .catch(() => null);
  return {
    model: hints?.model || modelOf(agent),
    architecture: architectureOf(hints, agent),
    cores: navigator.hardwareConcurrency || 1,
    // Rounded to a power of two, and up to a limit.
    memory_bytes: navigator.deviceMemory ? navigator.deviceMemory * 2 ** 30 : null,
    system: systemOf(hints, agent),
    browser: browserOf(agent),
    user_agent: agent,
    isolated: self.crossOriginIsolated === true,
  };
}

function modelOf(agent) {
  const android = agent.match(/Android [^;)]*; ([^;)]+?)(?: Build\/[^)]*)?\)/)?.[1];
  // What Chrome says of every phone, and Firefox of none.
  if (android && android !== "K" && !/^(Mobile|Tablet|rv:.*)$/.test(android)) return android;
  // An iPad says that it is a Mac, which has no touch screen.
  if (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1) return "iPad";
  return agent.match(/iPhone|iPad/)?.[0] ?? (/Android/.test(agent) ? "Android device" : "computer");
}

function architectureOf(hints, agent) {
  if (hints?.architecture) {
    const bits = hints.bitness === "64" ? "_64" : "";
    return `${hints.architecture}${bits}`.replace("arm_64", "arm64");
  }
  if (/iPhone|iPad/.test(modelOf(agent))) return "arm64";
  // Chrome says armv81 on every Android.
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
  // Android 10 is what Chrome says of every phone.
  const android = agent.match(/Android [\d.]+(?=;)(?!; K\))/)?.[0] ?? agent.match(/Android/)?.[0];
  return android ?? agent.match(/Windows|Mac OS X|Linux/)?.[0] ?? "unknown";
}

function browserOf(agent) {
  // Each of these names those below it, too.
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

/** Watches what may spoil a benchmark, and keeps the screen on, until `end`, which gives what /runs/<id>/finish takes.
 */
export async function watch() {
  let hidden = document.hidden, battery = null, lock = null, over = false;
  const power = await navigator.getBattery?.().catch(() => null);
  const look = () => {
    if (power) battery = battery || !power.charging;
  };
  const stayAwake = async () => {
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    if (over) lock?.release();
  };
  const changed = () => {
    if (document.hidden) hidden = true;
    else stayAwake(); // a hidden page loses its lock
  };
  look();
  stayAwake();
  power?.addEventListener("chargingchange", look);
  document.addEventListener("visibilitychange", changed);
  return {
    end() {
      over = true;
      look();
      power?.removeEventListener("chargingchange", look);
      document.removeEventListener("visibilitychange", changed);
      lock?.release();
      return { hidden, battery };
    },
  };
}
