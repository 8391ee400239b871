import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

export const load = () => read(api.keys, (fact) => fact.type.startsWith('key.'));
