// The only door to the server: typed JSON calls with the csrf header, one error type, and one place that notices a lost session.
import type * as shape from './types';

/** An answer that was not the wanted one, in words for a person. `status` 0 means that the server was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint = '',
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
  let body: { error?: { code?: string; message?: string; hint?: string; request_id?: string; retry_after?: number } } = {};
  try {
    body = await response.json();
  } catch {
    // The body is only a courtesy; the status is enough to go on with.
  }
  const error = body.error ?? {};
  const requestId = error.request_id ?? response.headers.get('x-steward-request-id') ?? '';
  const retryAfter = Number(error.retry_after ?? response.headers.get('retry-after') ?? 0) || 0;
  const message = error.message ?? `the server answered ${response.status}`;
  return new ApiError(response.status, error.code ?? String(response.status), message, error.hint, requestId, retryAfter);
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
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

const seg = encodeURIComponent;

/** Builds `?a=b` from what is set. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

export interface Sent {
  session_id?: string;
  inbound_id?: string | null;
  /** Missing where the message waits for a turn of its own. */
  turn_id?: string | null;
  /** Set where the text was a chat command such as `/stop`, which is answered at once. */
  command?: boolean | string;
  text?: string;
}

export interface Page<T> {
  items: T[];
  cursor?: string | null;
}

export const api = {
  session: () => request<shape.Session>('GET', '/api/session'),
  signInByLink: (token: string) => request<shape.Session>('POST', '/api/session/link', { token }),
  signInByPassword: (user: string, password: string) => request<shape.Session>('POST', '/api/session/password', { user, password }),
  signInByKey: (key: string) => request<shape.Session>('POST', '/api/session/key', { key }),
  setPassword: (password: string) => request<void>('POST', '/api/session/set-password', { password }),
  signOut: () => request<void>('DELETE', '/api/session'),

  today: () => request<shape.Today>('GET', '/api/today'),
  agents: () => request<Page<shape.Agent>>('GET', '/api/agents'),
  sessions: (limit = 100) => request<Page<shape.SessionRow>>('GET', `/api/sessions${query({ limit })}`),
  messages: (id: string, before?: number) =>
    request<{ items: shape.Message[]; has_more: boolean }>('GET', `/api/sessions/${seg(id)}/messages${query({ before, limit: 60 })}`),
  send: (name: string, body: { client_id: string; text: string; agent?: string; channel?: string }) =>
    request<Sent>('POST', `/api/sessions/${seg(name)}/messages`, body),

  turns: (filter: { limit?: number; cursor?: string; agent?: string; status?: string; session?: string }) =>
    request<Page<shape.TurnRow>>('GET', `/api/turns${query(filter)}`),
  turn: (id: string) => request<shape.Turn>('GET', `/api/turns/${seg(id)}`),
  context: (id: string) => request<{ steps: shape.StepContext[] }>('GET', `/api/turns/${seg(id)}/context`),
  turnStreamPath: (id: string) => `/api/turns/${seg(id)}/stream`,
  stop: (id: string) => request<{ status: string }>('POST', `/api/turns/${seg(id)}/stop`),
  undo: (id: string) => request<{ restored: string[]; skipped: { path: string; reason: string }[] }>('POST', `/api/turns/${seg(id)}/undo`),

  approvals: (state: 'waiting' | 'all') => request<shape.Approval[]>('GET', `/api/approvals${query({ state })}`),
  decide: (id: string, answer: { decision: 'allow' | 'deny'; scope: shape.Scope; digest?: string; note?: string }) =>
    request<shape.Approval>('POST', `/api/approvals/${seg(id)}/decision`, answer),

  models: () => request<Page<shape.Model>>('GET', '/api/models'),
  routes: () => request<Page<shape.Route>>('GET', '/api/routes'),
  providers: () => request<Page<shape.Provider>>('GET', '/api/providers'),
  testProvider: (name: string) => request<shape.ProviderTest>('POST', `/api/providers/${seg(name)}/test`),

  spend: (by: string, since: string) => request<shape.Spend>('GET', `/api/spend${query({ by, since })}`),

  keys: () => request<shape.Key[]>('GET', '/api/keys'),
  createKey: (key: { name: string; role: string; expires?: string; user?: string; team?: string; agent?: string }) =>
    request<shape.NewKey>('POST', '/api/keys', key),
  revokeKey: (id: string) => request<void>('POST', `/api/keys/${seg(id)}/revoke`),

  config: () => request<shape.Config>('GET', '/api/config'),
  checkConfig: (text: string) => request<{ ok: boolean; error?: string | null }>('POST', '/api/config/check', { text }),
  patchConfig: (key: string, value: unknown) => request<unknown>('PATCH', '/api/config', { key, value }),
  doctor: () => request<{ checks: shape.DoctorCheck[] }>('GET', '/api/doctor'),
  backup: () => request<{ path: string; bytes: number }>('POST', '/api/backups'),
};
