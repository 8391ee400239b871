import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

export const load = () => ({
  config: read(api.config, (fact) => fact.type === 'config.changed'),
  doctor: read(api.doctor),
});
