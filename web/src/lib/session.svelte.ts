// Who is signed in. A lost session is a state to recover from, not a page: the sign-in shows over what is there.
import { api, ApiError, setCsrf, whenSignedOut } from './api';
import { forget } from './kept';
import { reconnectStream, startStream } from './stream';
import type { Session } from './types';

class Me {
  /** The session, also the last one while a new sign-in is wanted. */
  session = $state.raw<Session | null>(null);
  needsSignIn = $state(false);
  isReady = $state(false);
  problem = $state.raw<ApiError | null>(null);
}

export const me = new Me();

export type Right = 'use' | 'read' | 'administer';

/** What a role may do. The server decides; this only hides what it would refuse. */
export function may(right: Right): boolean {
  const role = me.session?.role;
  if (role === 'owner' || role === 'admin') return true;
  if (role === 'operator') return right !== 'administer';
  return role === 'member' ? right === 'use' : right === 'read';
}

/** May this person change how the server is set up? */
export function isAdmin(): boolean {
  return may('administer');
}

/** Takes the one-time link of the address if there is one, else asks who we are. */
export async function begin(): Promise<void> {
  whenSignedOut(() => (me.needsSignIn = true));
  // A link pasted into the address of an open console changes only the fragment.
  addEventListener('hashchange', () => void take());
  await take();
}

async function take(): Promise<void> {
  const token = /^#signin=([^&]+)/.exec(location.hash)?.[1];
  if (token === undefined && me.isReady) return;
  if (token !== undefined) history.replaceState(history.state, '', location.pathname + location.search);
  try {
    accept(token === undefined ? await api.session() : await linkOrSession(decodeURIComponent(token)));
  } catch (error) {
    const problem = error instanceof ApiError ? error : new ApiError(0, 'unreachable', String(error));
    const isPlainSignedOut = problem.status === 401 && token === undefined;
    me.problem = isPlainSignedOut ? null : problem;
    me.needsSignIn = true;
  }
  me.isReady = true;
}

/** A used link does no harm to someone who is signed in already. */
async function linkOrSession(token: string): Promise<Session> {
  try {
    return await api.signInByLink(token);
  } catch (refusal) {
    return await api.session().catch(() => {
      throw refusal;
    });
  }
}

/** Takes a fresh session and lets every page that was refused try again. */
export function accept(session: Session): void {
  const isReturn = me.session !== null;
  setCsrf(session.csrf);
  me.session = session;
  me.needsSignIn = false;
  me.problem = null;
  startStream();
  if (isReturn) {
    reconnectStream();
    dispatchEvent(new CustomEvent('steward:signed-in'));
  }
}

/** Ends the session here and at the server, and forgets what this browser kept. */
export async function signOut(): Promise<void> {
  await api.signOut();
  forget();
  location.assign('/');
}
