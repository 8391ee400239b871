import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';
import type { JournalFact } from '../../lib/types';

const isConfig = (fact: JournalFact): boolean => fact.type === 'config.changed';

export const load = () => ({
  providers: read(api.providers, isConfig),
  models: read(api.models, (fact) => isConfig(fact) || fact.type.startsWith('model.')),
  routes: read(api.routes, isConfig),
});
