// What a tool call is about, in one line and in full. The arguments come from a model: shown, never trusted.
import type { Approval, Call } from './types';

/** The arguments that say most, in the order of preference. */
const TELLING = ['command', 'path', 'url', 'query', 'pattern', 'question', 'to', 'file', 'patch'];

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((part) => typeof part === 'string')) return value.map(quote).join(' ');
  return JSON.stringify(value) ?? '';
}

/** An argument as a shell would need it, so that `rm "a b"` is not read as two files. */
function quote(part: string): string {
  return /^[\w./:=@%+,-]+$/.test(part) ? part : JSON.stringify(part);
}

/** One line: the telling argument, else all of them. */
export function callSummary(call: Pick<Call, 'args'>): string {
  const args = call.args;
  if (typeof args !== 'object' || args === null) return asText(args ?? '').replace(/\s+/g, ' ');
  const record = args as Record<string, unknown>;
  const name = TELLING.find((one) => record[one] !== undefined);
  const text = name === undefined ? JSON.stringify(args) : asText(record[name]);
  return (text === '{}' ? '' : text).replace(/\s+/g, ' ').slice(0, 240);
}

/** Everything that will run or ran: nothing is left out. Multi-line texts keep their lines. */
export function callDetail(call: Pick<Call | Approval, 'args'>): string {
  const args = call.args;
  if (typeof args !== 'object' || args === null) return asText(args ?? '');
  if (Array.isArray(args)) return JSON.stringify(args, null, 2);
  const lines = Object.entries(args).map(([name, value]) => {
    const text = typeof value === 'string' || Array.isArray(value) ? asText(value) : JSON.stringify(value, null, 2);
    return text.includes('\n') ? `${name}:\n${text}` : `${name}: ${text}`;
  });
  return lines.join('\n');
}
