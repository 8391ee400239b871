import { readPerformance, type Dimension } from '../../lib/api/pending';
import { read } from '../../lib/resource.svelte';

export const dimensions: Dimension[] = ['route', 'model', 'provider', 'agent', 'team'];
export const windows = ['1m', '5m'] as const;
export type Window = (typeof windows)[number];

export interface Choice {
  by: Dimension;
  window: Window;
}

/** How everything performs, as `choice` asks at the time of each load. */
export const load = (choice: () => Choice) => read(() => readPerformance(choice().by, choice().window));
