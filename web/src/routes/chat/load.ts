import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

/** The chats, newest first, again when a message comes or a turn moves; and the agents one can talk to. */
export const load = () => ({
  sessions: read(
    async () => (await api.sessions(200)).items,
    (fact) => fact.type === 'message.in' || fact.type === 'turn.state',
  ),
  agents: read(api.agents),
});
