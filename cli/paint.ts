import type { Colours } from './colours.ts'

/** Colours the text pages of a sidecar, where a terminal can show that. The text itself does not change. */
export type Painting = 'endpoints' | 'flights' | 'ready' | 'explain' | 'plain'

type Rule = readonly [RegExp, keyof Pick<Colours, 'red' | 'yellow' | 'green' | 'bold' | 'dim'>]

const rules: Readonly<Record<Painting, readonly Rule[]>> = {
  endpoints: [
    [/^\S.*$/gm, 'bold'],
    [/^ {2}ENDPOINT .*$/gm, 'dim'],
    [/\bejected for .*$|\bSTALE\b.*$|\b(?:critical|failing)\b/gm, 'red'],
    [/\bprobing \(.*$|\b(?:draining|maintenance)\b|\bwarming up\b/gm, 'yellow'],
    [/\badmitting\b/g, 'green'],
  ],
  flights: [
    [/(?<=^[\d:.]{12} {2})(?:5\d\d \S+|\S+ (?!-)[A-Z]+)(?= )/gm, 'red'],
    [/(?<=^[\d:.]{12} {2})4\d\d -(?= )/gm, 'yellow'],
    [/(?<=^[\d:.]{12} {2})[23]\d\d -(?= )/gm, 'green'],
    [/^ {14}.*$/gm, 'dim'],
  ],
  ready: [
    [/^ready$/gm, 'green'],
    [/^not ready.*$/gm, 'red'],
    [/(?<=^ {2})ok(?= )/gm, 'green'],
    [/(?<=^ {2})warn(?= )/gm, 'yellow'],
    [/(?<=^ {2})fail(?= )/gm, 'red'],
  ],
  explain: [
    [/(?<=^└─ )would be sent to .*$/gm, 'green'],
    [/(?<=^└─ )would be (?:answered|closed) .*$/gm, 'red'],
    [/(?<=^├─ )\S+/gm, 'bold'],
  ],
  plain: [],
}

export function paint(text: string, painting: Painting, colours: Colours): string {
  if (!colours.isColorSupported) return text
  let painted = text
  for (const [words, colour] of rules[painting]) painted = painted.replace(words, found => colours[colour](found))
  return painted
}
