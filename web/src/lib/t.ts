// The words of the console. Keys are checked by the compiler against messages/en.ts; plurals go by Intl.
import { messages } from '../../messages/en';

export type MessageKey = keyof typeof messages;
type Values = Record<string, string | number>;

const plurals = new Intl.PluralRules('en');

/** The sentence of a key with `{name}` filled in; where it has forms, `n` chooses one. */
export function t(key: MessageKey, values: Values = {}): string {
  const message: string | { one: string; other: string } = messages[key];
  const text = typeof message === 'string' ? message : plurals.select(Number(values.n)) === 'one' ? message.one : message.other;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The word of a value the server chose, or the value itself when it is new to us. */
export function word(prefix: string, value: string | null | undefined): string {
  const key = `${prefix}.${value ?? ''}`;
  return key in messages ? t(key as MessageKey) : (value ?? '');
}
