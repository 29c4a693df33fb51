/**
 * Where bytes are read into and heads are written. A `Slab` goes back to its pool when its owner lets go of it and no
 * write still sends from it; so a body passes from socket to socket by reference, and nobody reads into bytes that have
 * not left.
 */
export class Slab {
  readonly buffer: Buffer
  /** Writes of which a part still waits in a socket. */
  pins = 0
  owned = true

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size)
  }
}

export const SMALL_READ = 64 * 1024
export const LARGE_READ = 256 * 1024
/** Free slabs kept for each size; more are left to the garbage collector, so memory comes back after a burst. */
const KEPT = 16

const free = new Map<number, Slab[]>([
  [SMALL_READ, []],
  [LARGE_READ, []],
])
/** By the memory a view looks at. Weak, so that a dropped slab is forgotten. */
const slabs = new WeakMap<ArrayBufferLike, Slab>()

export function takeSlab(size: number): Slab {
  const slab = free.get(size)!.pop() ?? new Slab(size)
  slab.owned = true
  slabs.set(slab.buffer.buffer, slab)
  return slab
}

/** The owner needs it no more; it is free once the last write from it has left. */
export function letGo(slab: Slab): void {
  slab.owned = false
  if (slab.pins === 0) recycle(slab)
}

/** A write from `bytes` is under way; null when they are in no slab (then the garbage collector keeps them). */
export function pin(bytes: Buffer): Slab | null {
  const slab = slabs.get(bytes.buffer)
  if (slab === undefined) return null
  slab.pins++
  return slab
}

export function unpin(slab: Slab): void {
  if (--slab.pins === 0 && !slab.owned) recycle(slab)
}

function recycle(slab: Slab): void {
  const list = free.get(slab.buffer.length)!
  if (list.length < KEPT) list.push(slab)
}

/**
 * All connections that wait for a head read into this one buffer: what an idle connection costs is then no buffer at
 * all. It is never pinned: a write from it is copied first (system/socket-wire.ts).
 */
export const sharedRead: Buffer = Buffer.allocUnsafeSlow(SMALL_READ)

let scratchSlab = takeSlab(SMALL_READ)

/** Room to write a head into; good until the end of the `Wire.write` that sends it. */
export function scratch(): Buffer {
  if (scratchSlab.pins !== 0) {
    letGo(scratchSlab)
    scratchSlab = takeSlab(SMALL_READ)
  }
  return scratchSlab.buffer
}
