// What the stand-in always gives: its agents, models, routes, providers and checks.
import type { components } from '../src/lib/api/schema';

type Schemas = components['schemas'];

export const agents: Schemas['AgentLineList'] = {
  items: [
    {
      name: 'main',
      route: 'default',
      workspace: 'workspaces/main',
      tools: ['files', 'shell', 'web', 'memory', 'schedule'],
      limits: { steps: 20, turn_usd: '0.50', turn_time_s: 1800, tokens: 400_000 },
    },
    {
      name: 'research',
      route: 'cheap',
      workspace: 'workspaces/research',
      tools: ['read', 'search', 'web'],
      limits: { steps: 12, turn_usd: '0.10', turn_time_s: 600, tokens: 100_000 },
    },
  ],
};

export const models: Schemas['ModelLineList'] = {
  items: [
    {
      model: 'anthropic/claude-sonnet-4-5',
      provider: 'anthropic',
      input_usd_per_mtok: '3.0',
      output_usd_per_mtok: '15.0',
      context_tokens: 200_000,
      tier: 'mid',
      is_local: false,
      state: 'ready',
    },
    {
      model: 'openai/gpt-5',
      provider: 'openai',
      input_usd_per_mtok: '1.25',
      output_usd_per_mtok: '10.0',
      context_tokens: 400_000,
      tier: 'premium',
      is_local: false,
      state: 'missing',
    },
    {
      model: 'local/small',
      provider: 'local',
      input_usd_per_mtok: '0',
      output_usd_per_mtok: '0',
      context_tokens: 32_768,
      tier: 'economy',
      is_local: true,
      state: 'ready',
    },
  ],
};

export const routes: Schemas['RouteLineList'] = {
  items: [
    { name: 'default', strategy: 'latency', targets: ['anthropic/claude-sonnet-4-5', 'openai/gpt-5', 'local/small'] },
    { name: 'cheap', strategy: 'cost', targets: ['local/small'] },
  ],
};

export const providers: Schemas['ProviderLineList'] = {
  items: [
    {
      name: 'anthropic',
      dialect: 'anthropic',
      base_url: 'https://api.anthropic.com',
      has_key: true,
      known: true,
      key_env: 'ANTHROPIC_API_KEY',
    },
    {
      name: 'openai',
      dialect: 'openai-responses',
      base_url: 'https://api.openai.com',
      has_key: false,
      known: true,
      key_env: 'OPENAI_API_KEY',
    },
    { name: 'local', dialect: 'local', base_url: null, has_key: false, known: true, key_env: null },
  ],
};

export const doctor: Schemas['DoctorReport'] = {
  checks: [
    { name: 'database', state: 'ok', detail: 'SQLite, WAL, 4 ms a commit', fix: '' },
    { name: 'sandbox', state: 'ok', detail: 'bubblewrap holds all 12 escape attempts', fix: '' },
    { name: 'providers', state: 'warn', detail: 'openai has no key', fix: 'steward secrets set openai' },
  ],
};
