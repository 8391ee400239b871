import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

export const load = () => read(api.agents, (fact) => fact.type === 'config.changed');
