import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

export const dimensions = ['agent', 'model', 'route', 'user', 'team', 'key', 'session', 'day'] as const;
export const periods = { day: 1, week: 7, month: 30 } as const;
export type Period = keyof typeof periods;

/** The first instant of a period: midnight here, so many days back. */
export function sinceOf(period: Period, now = new Date()): string {
  const start = new Date(now);
  start.setHours(0, 0, 0, 0);
  start.setDate(start.getDate() - (periods[period] - 1));
  return start.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The report that `choice` asks for at the time of each load. */
export const load = (choice: () => { by: (typeof dimensions)[number]; period: Period }) =>
  read(
    () => api.spend(choice().by, sinceOf(choice().period)),
    (fact) => fact.type === 'turn.state' && fact.status !== 'running',
  );
