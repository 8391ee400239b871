// Makes characters visible that a reader cannot see: control, bidirectional, zero-width and tag characters.
// Text of models, tools and mail is hostile until shown otherwise, and what cannot be seen cannot be approved.

// Tab, newline and carriage return stay; a joiner between two emoji is part of the emoji.
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]|(?<!\p{Extended_Pictographic}\ufe0f?|\p{Emoji_Modifier})\u200d|\u200d(?!\p{Extended_Pictographic})/gu;

/** The text with each hidden character written out, such as `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (char) => `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

/** How many hidden characters the text holds. */
export function hiddenCount(text: string): number {
  return text.match(HIDDEN)?.length ?? 0;
}
