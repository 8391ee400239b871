import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';
import type { TurnRow, TurnStatus } from '../../lib/types';

export interface Filter {
  status?: TurnStatus;
  agent: string;
  session: string;
}

export const PAGE = 50;

export const pageAfter = (filter: Filter, cursor?: string) => api.turns({ ...filter, cursor, limit: PAGE });

/** The newest page of the filter, again when a turn moves, and the agents to choose from. */
export const load = (filter: () => Filter) => ({
  turns: read<{ items: TurnRow[]; cursor: string | null }>(
    () => pageAfter(filter()),
    (fact) => fact.type === 'turn.state',
  ),
  agents: read(api.agents),
});
