// Fails the build when the console outgrows its byte budgets: first page script 60 kB, any page 120 kB, styles 15 kB, all gzip.
import { readFileSync, readdirSync, statSync } from 'node:fs';

const dist = new URL('../dist/', import.meta.url).pathname;
const assets = readdirSync(`${dist}assets`);
const size = (name) => statSync(`${dist}assets/${name}.gz`).size;
const text = (name) => readFileSync(`${dist}assets/${name}`, 'utf8');

/** Every script reached by static imports from the given ones. */
function closure(names) {
  const seen = new Set();
  const todo = [...names];
  while (todo.length > 0) {
    const name = todo.pop();
    if (seen.has(name)) continue;
    seen.add(name);
    for (const [, next] of text(name).matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) todo.push(next);
  }
  return seen;
}
const sum = (names) => [...names].reduce((total, name) => total + size(name), 0);

const html = readFileSync(`${dist}index.html`, 'utf8');
const entry = [...html.matchAll(/assets\/([\w.-]+\.js)/g)].map((match) => match[1]);
const shell = closure(entry);
const pages = assets.filter((name) => /^page-.*\.js$/.test(name));
const loads = pages.map((page) => sum(closure([...shell, page])));
const styles = sum(assets.filter((name) => name.endsWith('.css')));
const all = assets.filter((name) => name.endsWith('.br')).reduce((total, name) => total + statSync(`${dist}assets/${name}`).size, 0);

const rows = [
  ['shell script', sum(shell), 60_000],
  ['largest page with shell', Math.max(...loads), 120_000],
  ['all styles', styles, 15_000],
  ['everything, brotli', all, 450_000],
];
let isOver = false;
for (const [name, bytes, limit] of rows) {
  isOver ||= bytes > limit;
  console.log(`${name.padEnd(26)} ${(bytes / 1000).toFixed(1).padStart(6)} kB of ${limit / 1000} kB`);
}
if (isOver) {
  console.error('over budget');
  process.exit(1);
}
