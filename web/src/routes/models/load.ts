import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';
import { may } from '../../lib/session.svelte';
import type { JournalFact } from '../../lib/types';

const isConfig = (fact: JournalFact): boolean => fact.type === 'config.changed';

export const load = () => ({
  providers: may('read') ? read(api.providers, isConfig) : null,
  models: read(api.models, (fact) => isConfig(fact) || fact.type.startsWith('model.')),
  routes: read(api.routes, isConfig),
});
