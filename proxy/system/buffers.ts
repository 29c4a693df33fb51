/**
 * The buffers of reads and heads. A `Slab` goes back to its pool when its owner has released it and no write still
 * sends from it. So a body passes from socket to socket by reference, and no read overwrites bytes that have not left.
 */
export class Slab {
  readonly buffer: Buffer
  /** Writes that still wait in a socket, at least in part. */
  pins = 0
  owned = true

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size)
  }
}

export const SMALL_READ = 64 * 1024
export const LARGE_READ = 256 * 1024
/**
 * How many free slabs of each size are kept. Further ones go to the garbage collector, so memory is released after a
 * burst.
 */
const KEPT = 16

const free = new Map<number, Slab[]>([
  [SMALL_READ, []],
  [LARGE_READ, []],
])
/** By the memory behind a view. Weak, so that a dropped slab is collected. */
const slabs = new WeakMap<ArrayBufferLike, Slab>()

export function takeSlab(size: number): Slab {
  const slab = free.get(size)!.pop() ?? new Slab(size)
  slab.owned = true
  slabs.set(slab.buffer.buffer, slab)
  return slab
}

/** The owner releases it; it is free once the last write from it has left. */
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
 * All connections that wait for a head read into this one buffer, so an idle connection holds no buffer. It is never
 * pinned: a write from it is copied first (system/socket-wire.ts).
 */
export const sharedRead: Buffer = Buffer.allocUnsafeSlow(SMALL_READ)

let scratchSlab = takeSlab(SMALL_READ)

/** Space to write a head into; valid until the end of the `Wire.write` that sends it. */
export function scratch(): Buffer {
  if (scratchSlab.pins !== 0) {
    letGo(scratchSlab)
    scratchSlab = takeSlab(SMALL_READ)
  }
  return scratchSlab.buffer
}
