// npm run screenshot -- OUT.png [PAGE] [light|dark] [WIDTHxHEIGHT]     PAGE: chat, approval, turn, or a path such as /turns
// npm run screenshot -- --all DIR                                       every page in light, dark and on a phone
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runnerImport } from 'vite';

const [out = 'console.png', page = 'chat', scheme = 'light', size = '1280x800'] = process.argv.slice(2);
const { module } = await runnerImport(new URL('../e2e/screenshot.ts', import.meta.url).pathname);
const shots = [];
if (out === '--all') {
  const pages = [
    '/',
    'chat',
    'approval',
    '/chat',
    '/approvals',
    '/turns',
    'turn',
    '/agents',
    '/performance',
    '/routes',
    '/routes/default',
    '/routes?request=req_1',
    '/models',
    '/costs',
    '/keys',
    '/settings',
  ];
  for (const one of pages) {
    const name = one.replace(/\//g, '_');
    shots.push({ page: one, width: 1280, height: 800, scheme: 'light', file: join(page, `${name}-light.png`) });
    shots.push({ page: one, width: 1280, height: 800, scheme: 'dark', file: join(page, `${name}-dark.png`) });
    shots.push({ page: one, width: 360, height: 740, scheme: 'light', file: join(page, `${name}-phone.png`) });
  }
  mkdirSync(page, { recursive: true });
} else {
  const [width, height] = size.split('x').map(Number);
  shots.push({ page, width, height, scheme, file: out });
  mkdirSync(dirname(out), { recursive: true });
}
await module.takeShots(shots);
