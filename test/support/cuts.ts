/**
 * The ways a message is cut into reads: whole, at each place into two, and a byte at a time. Long ones are cut at their
 * ends, and here and there between.
 */
export function* cuttings(bytes: Buffer): Generator<{ readonly name: string; readonly chunks: readonly Buffer[] }> {
  yield { name: 'whole', chunks: [bytes] }
  for (const at of places(bytes.length))
    yield { name: `cut at ${at}`, chunks: [bytes.subarray(0, at), bytes.subarray(at)] }
  if (bytes.length <= 4000)
    yield { name: 'a byte at a time', chunks: Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)) }
}

const EDGE = 150

function places(length: number): number[] {
  const all: number[] = []
  const stride = Math.max(1, Math.floor(length / 97))
  for (let at = 1; at < length; at += length <= 1000 || at < EDGE || at > length - EDGE ? 1 : stride) all.push(at)
  return all
}

/** Cut at these places (in any order, repeated or not). */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places)].sort((a, b) => a - b).filter(place => place > 0 && place < bytes.length)
  return [0, ...sorted].map((from, i) => bytes.subarray(from, sorted[i] ?? bytes.length))
}
