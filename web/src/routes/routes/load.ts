import { api } from '../../lib/api';
import { pending } from '../../lib/api/pending';
import { read } from '../../lib/resource.svelte';
import type { ApiError } from '../../lib/api';
import type { JournalFact } from '../../lib/types';

const moves = (fact: JournalFact): boolean => /^(config\.changed|target\.|rollout\.)/.test(fact.type);

/** All routes by name. */
export const loadAll = () => read(api.routes, (fact) => fact.type === 'config.changed');

/** How one route stands, and its rollout; `null` where it has none. */
export const loadOne = (name: string) => ({
  standing: read(() => pending.standing(name), moves),
  rollout: read(
    () =>
      pending.rollout(name).catch((error: ApiError) => {
        if (error.status === 404) return null;
        throw error;
      }),
    moves,
  ),
});

/** Why a request went where it went. */
export const loadRecord = (id: string) => read(() => pending.record(id));
