/** Numbers, sizes and times as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** 12345 as 12,345, and from a million on as 1.2M. */
export function count(value) {
  return Math.abs(value) < 1_000_000 ? whole.format(value) : short.format(value);
}

/** A rate per second; small ones keep a digit, so that 0.4 is not 0. */
export function rate(value) {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : count(value);
}

/** Bytes in the unit that leaves one to three digits before the point. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds, down to the microsecond; 0 is what nobody measured. */
export function milliseconds(value) {
  if (value === 0) return "–";
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  return value < 100 ? `${value.toFixed(1)} ms` : `${count(value)} ms`;
}

/** The local time of day of an RFC 3339 moment, to the millisecond. */
export function timeOfDay(moment) {
  return clock.format(new Date(moment));
}

/** When it was, as short as it is clear: the time of today, or the day and the time. */
export function since(moment, now = new Date()) {
  const then = new Date(moment);
  const isToday = then.toDateString() === now.toDateString();
  return isToday ? minutes.format(then) : `${day.format(then)}, ${minutes.format(then)}`;
}
