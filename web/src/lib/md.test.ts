import { render } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import { safeLink, splitBlocks } from './md';
import Md from './parts/Md.svelte';
import { hiddenCount, visible } from './visible';

const html = (text: string): HTMLElement => render(Md, { text }).container;

test('blocks are cut at blank lines but not inside fences and lists', () => {
  expect(splitBlocks('one\n\ntwo')).toEqual(['one\n', 'two']);
  expect(splitBlocks('```\na\n\nb\n```\n\nend')).toEqual(['```\na\n\nb\n```\n', 'end']);
  expect(splitBlocks('- a\n\n- b\n\n  more\n\nend')).toEqual(['- a\n\n- b\n\n  more\n', 'end']);
  expect(splitBlocks('')).toEqual([]);
});

test('an answer that grows keeps its finished blocks as they were', () => {
  const whole = '# Title\n\nFirst.\n\n```js\nlet a;\n\nlet b;\n```\n\nLast';
  for (let end = 1; end < whole.length; end += 1) {
    const before = splitBlocks(whole.slice(0, end)).slice(0, -1);
    const after = splitBlocks(whole.slice(0, end + 1));
    expect(after.slice(0, before.length).map((block) => block.trim())).toEqual(before.map((block) => block.trim()));
  }
});

test('html of a model is text', () => {
  const box = html('Hi <img src=x onerror=alert(1)> <b>there</b>\n\n<script>alert(1)</script>');
  expect(box.querySelector('img, script, b')).toBeNull();
  expect(box.textContent).toContain('<img src=x onerror=alert(1)>');
  expect(box.textContent).toContain('<script>alert(1)</script>');
});

test('links go only to http, https and mailto, and say where', () => {
  const box = html('[a](javascript:alert(1)) [b](https://example.org/x) [c](mailto:a@example.org) [d](data:text/html,x)');
  const links = [...box.querySelectorAll('a')];
  expect(links.map((link) => link.getAttribute('href'))).toEqual(['https://example.org/x', 'mailto:a@example.org']);
  expect(links.every((link) => link.rel.includes('noopener'))).toBe(true);
  expect(box.textContent).toContain('(example.org)');
  expect(safeLink('//example.org')).toBeNull();
  expect(safeLink('java\nscript:alert(1)')).toBeNull();
});

test('images are named, not loaded', () => {
  const box = html('![secret](https://example.org/x.png?d=1)');
  expect(box.querySelector('img')).toBeNull();
  expect(box.textContent).toContain('example.org, not loaded');
});

test('tables, code and lists become elements', () => {
  const box = html('| a | b |\n|---|--:|\n| 1 | `x<y` |\n\n3. three\n4. four\n\n- [x] done');
  expect(box.querySelector('td.right code')?.textContent).toBe('x<y');
  expect(box.querySelector('ol')?.getAttribute('start')).toBe('3');
  expect(box.querySelector('li.task')?.textContent).toContain('☑');
});

test('hidden characters are written out', () => {
  expect(visible('a\u202eb\u200bc\u0007')).toBe('a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩');
  expect(visible('tab\tline\nend')).toBe('tab\tline\nend');
  expect(visible('👩‍💻 👍🏽')).toBe('👩‍💻 👍🏽');
  expect(visible('a\u200db')).toBe('a⟨U+200D⟩b');
  expect(hiddenCount('x\u{e0041}\u{e0042}')).toBe(2);
});
