// The only door to the server: JSON calls typed by the generated paths, the csrf header, one error type, and one place that notices
// a lost session. A path, a parameter or a body that the server does not have does not compile.
import type { components, paths } from './api/schema';
import type { KeyWish, Scope, TurnStatus } from './types';

/** An answer that was not the wanted one, in words for a person. `status` 0 means that the server was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId = '',
    readonly retryAfter = 0,
  ) {
    super(message);
  }
}

let csrf = '';
let onSignedOut: () => void = () => {};

/** Sets the token every change must carry. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** Says whom to tell when the server no longer knows us. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

async function failure(response: Response): Promise<ApiError> {
  let body: Partial<components['schemas']['ErrorBody']> = {};
  try {
    body = await response.json();
  } catch {
    // The body is only a courtesy; the status is enough to go on with.
  }
  const requestId = response.headers.get('x-steward-request-id') ?? '';
  const retryAfter = Number(response.headers.get('retry-after') ?? 0) || 0;
  const message = body.error?.message ?? `the server answered ${response.status}`;
  return new ApiError(response.status, body.error?.code ?? String(response.status), message, requestId, retryAfter);
}

/** A call whose shape the caller vouches for; only for what the generated paths do not know yet. */
export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') {
    headers['content-type'] = 'application/json';
    if (csrf !== '') headers['x-steward-csrf'] = csrf;
  }
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? (method === 'GET' ? undefined : '{}') : JSON.stringify(body),
    });
  } catch (cause) {
    throw new ApiError(0, 'unreachable', cause instanceof Error ? cause.message : String(cause));
  }
  if (!response.ok) {
    const error = await failure(response);
    if (response.status === 401 && !path.startsWith('/api/session')) onSignedOut();
    throw error;
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Builds `?a=b` from what is set. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

type Method = 'get' | 'post' | 'patch' | 'delete';
type PathsOf<M extends Method> = { [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never }[keyof paths];
type Answer<O> = O extends { responses: { 200: { content: { 'application/json': infer T } } } } ? T : void;
type Query<O> = O extends { parameters: { query?: infer Q } } ? Q : never;
type InPath<O> = O extends { parameters: { path: infer P } } ? P : never;
type Body<O> = O extends { requestBody: { content: { 'application/json': infer B } } } ? B : never;

interface Parts<O> {
  path?: InPath<O>;
  query?: Query<O>;
  body?: Body<O>;
}

/** The path with its `{names}` filled in, each as one segment. */
export function fill(path: string, values: Record<string, string> = {}): string {
  return path.replace(/\{(\w+)\}/g, (whole, name: string) => (values[name] === undefined ? whole : encodeURIComponent(values[name])));
}

function call<M extends Method, P extends PathsOf<M>>(method: M, path: P, parts: Parts<paths[P][M]> = {}): Promise<Answer<paths[P][M]>> {
  const address = fill(path, parts.path as Record<string, string> | undefined) + query((parts.query ?? {}) as Parameters<typeof query>[0]);
  return request(method.toUpperCase(), address, parts.body);
}

export const api = {
  session: () => call('get', '/api/session'),
  signInByLink: (token: string) => call('post', '/api/session/link', { body: { token } }),
  signInByPassword: (user: string, password: string) => call('post', '/api/session/password', { body: { user, password } }),
  signInByKey: (key: string) => call('post', '/api/session/key', { body: { key } }),
  setPassword: (password: string) => call('post', '/api/session/set-password', { body: { password } }),
  signOut: () => call('delete', '/api/session'),

  today: () => call('get', '/api/today'),
  agents: () => call('get', '/api/agents'),
  sessions: (limit = 100) => call('get', '/api/sessions', { query: { limit } }),
  messages: (id: string, before?: number) => call('get', '/api/sessions/{id}/messages', { path: { id }, query: { before, limit: 60 } }),
  send: (name: string, body: components['schemas']['Draft']) => call('post', '/api/sessions/{id}/messages', { path: { id: name }, body }),

  turns: (filter: { limit?: number; cursor?: string; agent?: string; status?: TurnStatus; session?: string }) =>
    call('get', '/api/turns', { query: filter }),
  turn: (id: string) => call('get', '/api/turns/{id}', { path: { id } }),
  context: (id: string) => call('get', '/api/turns/{id}/context', { path: { id } }),
  turnStreamPath: (id: string) => fill('/api/turns/{id}/stream' satisfies keyof paths, { id }),
  stop: (id: string) => call('post', '/api/turns/{id}/stop', { path: { id } }),
  undo: (id: string) => call('post', '/api/turns/{id}/undo', { path: { id } }),

  approvals: (state: 'waiting' | 'all') => call('get', '/api/approvals', { query: { state } }),
  approval: (id: string) => call('get', '/api/approvals/{id}', { path: { id } }),
  decide: (id: string, body: { decision: 'allow' | 'deny'; scope: Scope; digest: string; note?: string }) =>
    call('post', '/api/approvals/{id}/decision', { path: { id }, body }),

  models: () => call('get', '/api/models'),
  routes: () => call('get', '/api/routes'),
  explain: (id: string) => call('get', '/api/routes/explain/{id}', { path: { id } }),
  providers: () => call('get', '/api/providers'),
  testProvider: (name: string) => call('post', '/api/providers/{name}/test', { path: { name } }),

  spend: (by: components['schemas']['SpendBy'], since: string) => call('get', '/api/spend', { query: { by, since } }),

  keys: () => call('get', '/api/keys'),
  createKey: (body: KeyWish) => call('post', '/api/keys', { body }),
  revokeKey: (id: string) => call('post', '/api/keys/{id}/revoke', { path: { id } }),

  config: () => call('get', '/api/config'),
  checkConfig: (text: string) => call('post', '/api/config/check', { body: { text } }),
  patchConfig: (key: string, value: unknown) => call('patch', '/api/config', { body: { key, value } }),
  doctor: () => call('get', '/api/doctor'),
  backup: () => call('post', '/api/backups'),
};
