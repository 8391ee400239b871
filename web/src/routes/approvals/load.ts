import { api } from '../../lib/api';
import { read } from '../../lib/resource.svelte';

/** All approvals; waiting ones and history are two views of one answer. */
export const load = () =>
  read(
    () => api.approvals('all'),
    (fact) => fact.type.startsWith('approval.'),
  );
