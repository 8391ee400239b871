// Numbers, money and times as people read them. Money is BigInt pico-dollars from the decimal string; it never becomes a float.

const PICO_DIGITS = 12;
const PICO = 10n ** BigInt(PICO_DIGITS);

/** Pico-dollars of a decimal string such as `"0.000412"`; what is no number counts as nothing. */
export function parsePico(usd: string | number | null | undefined): bigint {
  const match = /^\s*(-?)(\d+)(?:\.(\d*))?\s*$/.exec(String(usd ?? ''));
  if (match === null) return 0n;
  const fraction = (match[3] ?? '').slice(0, PICO_DIGITS).padEnd(PICO_DIGITS, '0');
  const pico = BigInt(match[2] ?? '0') * PICO + BigInt(fraction);
  return match[1] === '-' ? -pico : pico;
}

/** Digits after the point for a whole column: 2 when any amount reaches a dollar, else 4. */
export function columnDigits(amounts: bigint[]): number {
  return amounts.some((pico) => pico >= PICO || pico <= -PICO) ? 2 : 4;
}

/** `$0.0312`, rounded half up. An amount too small to show is said to be smaller, never zero. */
export function formatUsd(pico: bigint, digits = columnDigits([pico])): string {
  const sign = pico < 0n ? '−' : '';
  const size = pico < 0n ? -pico : pico;
  const unit = 10n ** BigInt(PICO_DIGITS - digits);
  const units = (size + unit / 2n) / unit;
  if (units === 0n && size > 0n) return `<$${(1 / 10 ** digits).toFixed(digits)}`;
  const text = units.toString().padStart(digits + 1, '0');
  const whole = Number(text.slice(0, -digits)).toLocaleString('en-US');
  return `${sign}$${whole}.${text.slice(-digits)}`;
}

/** Every digit the server sent, for hover and copy. */
export function exactUsd(pico: bigint): string {
  const size = pico < 0n ? -pico : pico;
  const fraction = (size % PICO).toString().padStart(PICO_DIGITS, '0').replace(/0+$/, '').padEnd(2, '0');
  return `${pico < 0n ? '−' : ''}$${size / PICO}.${fraction}`;
}

/** Pico-dollars of an amount that came as a number of dollars; only to show it, never to add it up. */
export function picoOf(usd: number): bigint {
  return Number.isFinite(usd) ? BigInt(Math.round(usd * Number(PICO))) : 0n;
}

/** `3.1 %`, `99.97 %`, `<0.1 %` of a share between 0 and 1. What is not whole is never rounded to all or nothing. */
export function formatShare(share: number): string {
  if (!Number.isFinite(share)) return '–';
  const percent = share * 100;
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  if (percent > 99.9 && percent < 100) return '>99.9 %';
  return `${trim(Math.round(percent * 10) / 10)} %`;
}

/** `812`, `14.8k`, `1.2M`. */
export function formatCount(count: number | null | undefined): string {
  const value = count ?? 0;
  if (value < 1000) return String(Math.round(value));
  if (value < 999_950) return `${trim(value / 1000)}k`;
  return `${trim(value / 1_000_000)}M`;
}

function trim(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
}

/** `240 ms`, `6.9 s`, `2 min 5 s`, `3 h 12 min`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `0.4 ms`, `14.2 ms`, `612 ms`, `1.4 s`; a time that is short enough keeps its tenths. */
export function formatMs(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return '–';
  return ms > 0 && ms < 100 ? `${trim(Math.round(ms * 10) / 10)} ms` : formatDuration(ms);
}

/** `0.25 /s`, `12.4 /s`, `3.1k /s`. */
export function formatRate(perSecond: number): string {
  return `${perSecond < 10 ? Number(perSecond.toFixed(2)) : formatRateSize(perSecond)} /s`;
}

function formatRateSize(value: number): string {
  return value < 1000 ? trim(value) : formatCount(value);
}

/** Milliseconds between two instants; until `now` where the end is still open. */
export function between(from: string | null | undefined, to: string | null | undefined, now = Date.now()): number {
  if (!from) return NaN;
  return (to ? Date.parse(to) : now) - Date.parse(from);
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });

/** `now`, `5 min. ago`, `in 9 min.`, `yesterday`. */
export function formatAgo(at: string | null | undefined, now = Date.now()): string {
  const seconds = (Date.parse(at ?? '') - now) / 1000;
  if (!Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size < 10) return 'now';
  if (size < 60) return relative.format(Math.round(seconds), 'second');
  if (size < 3600) return relative.format(Math.round(seconds / 60), 'minute');
  if (size < 86_400) return relative.format(Math.round(seconds / 3600), 'hour');
  if (size < 30 * 86_400) return relative.format(Math.round(seconds / 86_400), 'day');
  return new Date(at ?? '').toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
}

/** The exact instant with its zone, for hover. */
export function formatExact(at: string | null | undefined): string {
  const date = new Date(at ?? '');
  if (Number.isNaN(date.getTime())) return '';
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
}

/** `4.2 kB`, `1.1 GB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
