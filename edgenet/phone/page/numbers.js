// Numbers as text, like edgenet/reporting/numbers.py.

const grouped = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Three significant digits: 0.281, 2.81, 28.1, 281, 2,810. */
export function threeDigits(value) {
  return grouped(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
}

export function milliseconds(seconds) {
  return threeDigits(1000 * seconds);
}

export function megabytes(count) {
  return threeDigits(count / 1e6);
}

export function whole(value) {
  return grouped(value, 0);
}

/** 1 thread, 2 threads. */
export function threads(count) {
  return `${count} thread${count > 1 ? "s" : ""}`;
}

/** A speedup; in parentheses if it is not significant. */
export function speedup({ value, low, high }) {
  const text = `${value.toFixed(2)}x`;
  return low > 1 || high < 1 ? text : `(${text})`;
}
