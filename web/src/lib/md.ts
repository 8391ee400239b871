// Markdown as a tree of tokens that components render. HTML in it stays text, links are limited, images are never loaded.
import { Lexer, type Token } from 'marked';

export type { Token };

/** Cuts the text at blank lines outside fences and lists, so that a growing answer re-reads only its last block. */
export function splitBlocks(text: string): string[] {
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence = '';
  let hasBlank = false;
  for (const line of text.split('\n')) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? '';
    const isBlank = line.trim() === '';
    if (hasBlank && fence === '' && !isBlank && !continues(lines, line)) {
      blocks.push(lines.join('\n'));
      lines = [];
    }
    if (fence === '' && mark !== '') fence = mark;
    else if (fence !== '' && mark.startsWith(fence) && line.trim() === mark) fence = '';
    hasBlank = isBlank;
    if (!isBlank || lines.length > 0) lines.push(line);
  }
  if (lines.some((line) => line.trim() !== '')) blocks.push(lines.join('\n'));
  return blocks;
}

const LIST = /^ {0,3}([-*+]|\d{1,9}[.)]) /;

/** Inside a list an indented line or a further item still belongs to it; an indented line continues indented code. */
function continues(lines: string[], line: string): boolean {
  const isIndented = /^( {2,}|\t)/.test(line);
  const isInList = LIST.test(lines[0] ?? '');
  return isInList ? isIndented || LIST.test(line) : isIndented && /^( {4}|\t)/.test(lines[0] ?? '');
}

/** The tokens of one block. */
export function lex(block: string): Token[] {
  return new Lexer({ gfm: true, breaks: false }).lex(block);
}

export interface SafeLink {
  href: string;
  /** What the reader is told about where it goes. */
  host: string;
}

/** The link if it goes where a link may go: http, https, mailto. Anything else stays text. */
export function safeLink(href: string): SafeLink | null {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return null;
  }
  if (url.protocol === 'mailto:') return { href: url.href, host: url.pathname };
  if (url.protocol === 'http:' || url.protocol === 'https:') return { href: url.href, host: url.host };
  return null;
}

/** marked escapes entities in a few plain tokens; components escape by themselves, so it is taken back here. */
export function unescape(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name] ?? '');
}
