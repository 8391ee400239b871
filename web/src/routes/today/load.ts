import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

/** Everything of Today in one call, again whenever a turn or an approval moves. */
export const load = () => read(api.today, (fact) => fact.type.startsWith('turn.') || fact.type.startsWith('approval.'));
