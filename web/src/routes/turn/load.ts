import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

/** The turn and what was in context; both again when this turn moves. */
export const load = (id: string) => ({
  turn: read(
    () => api.turn(id),
    (fact) => fact.turn_id === id,
  ),
  context: read(
    () => api.context(id),
    (fact) => fact.turn_id === id && fact.type === 'turn.state',
  ),
  approvals: read(
    async () => (await api.approvals('waiting')).filter((one) => one.turn_id === id),
    (fact) => fact.turn_id === id && fact.type.startsWith('approval.'),
  ),
});
