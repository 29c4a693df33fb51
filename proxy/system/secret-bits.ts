/** Numbers that cannot be guessed from those before: the ids of DNS queries. */
const POOL = 512
let pool = new Uint16Array(0)
let at = 0

export function randomUint16(): number {
  if (at === pool.length) {
    // Loaded on first use. The global `crypto` would load the Web API too, which takes megabytes.
    pool = process.getBuiltinModule('node:crypto').randomFillSync(new Uint16Array(POOL))
    at = 0
  }
  return pool[at++]!
}
