import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';
import { may } from '../../lib/session.svelte';

export const load = () => ({
  config: may('administer') ? read(api.config, (fact) => fact.type === 'config.changed') : null,
  doctor: may('read') ? read(api.doctor) : null,
});
