// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

export const number = (value) => whole.format(value);
export const exactTime = (value) => `${exact.format(new Date(value))} (${value})`;
export const clockTime = (value) => clock.format(new Date(value));

/** "1 URL", "2 URLs". */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

const plural = new Intl.PluralRules("en", { type: "ordinal" });
const ENDS = { one: "st", two: "nd", few: "rd", other: "th" };

/** "1st", "22nd", "103rd". */
export const ordinal = (value) => `${number(value)}${ENDS[plural.select(value)]}`;

let skew = 0;

/** Learns from the `Date` of an answer how far the clock of the browser is off. It has seconds only. */
export function learnTime(date) {
  const difference = Date.parse(date) - Date.now();
  skew = Math.abs(difference) > 5000 ? difference : 0;
}

/** The time of the service, in milliseconds. */
export const now = () => Date.now() + skew;

/** Seconds as "20 ms", "0.4 s", "12 s", "3 min", "5 h" or "2 d". */
export function duration(seconds) {
  if (seconds > 0 && seconds < 0.1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** A time as "3 min ago" or "in 2 h". */
export function relative(value, time) {
  const seconds = Math.round((time - new Date(value).getTime()) / 1000);
  if (Math.abs(seconds) < 2) return "now";
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}
