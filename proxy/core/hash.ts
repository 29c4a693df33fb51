/**
 * MurmurHash3 (x86, 32 bits; Appleby 2011) over the UTF-16 code units of a text, low byte first. The same text gives
 * the same number in every process and version: rings, tables and cookies depend on it. Not for secrets.
 */
export function hash32(text: string, seed = 0): number {
  let h = seed | 0
  const pairs = text.length & ~1
  for (let i = 0; i < pairs; i += 2) h = round(h, text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16))
  if (pairs !== text.length) h ^= scramble(text.charCodeAt(pairs))
  return finish(h ^ (text.length * 2))
}

/** Combines two hashes, order matters. */
export function mix32(a: number, b: number): number {
  return finish(round(round(0, a | 0), b | 0) ^ 8)
}

function scramble(k: number): number {
  const a = Math.imul(k, 0xcc9e2d51)
  return Math.imul((a << 15) | (a >>> 17), 0x1b873593)
}

function round(h: number, k: number): number {
  const a = h ^ scramble(k)
  return (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0
}

function finish(h: number): number {
  let a = h ^ (h >>> 16)
  a = Math.imul(a, 0x85ebca6b)
  a ^= a >>> 13
  a = Math.imul(a, 0xc2b2ae35)
  return (a ^ (a >>> 16)) >>> 0
}
