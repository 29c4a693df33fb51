import type { FileHandle } from 'node:fs/promises'
import type { Piece } from './pieces.ts'
import { create, recordLength, recordsOf, type Segment } from './segment.ts'

/** Appends to the newest segment: one write for all that came while the one before was under way. */
export interface SegmentWriter {
  /** Resolves when they are written, or kept in memory where that cannot be; false: too much waits already. */
  write(pieces: readonly Piece[]): Promise<boolean>
  /** More may come into it. */
  isOpen(segment: Segment): boolean
  /** It is removed. */
  forget(segment: Segment): void
  /** Why nothing is written to disk; null: all is. */
  trouble(): string | null
  close(): Promise<void>
}

export interface SegmentWriterOptions {
  readonly segmentBytes: number
  newSegment(onDisk: boolean): Segment
  readonly mayWrite: boolean
  isHead(segment: Segment): boolean
  isLeft(segment: Segment): boolean
  readonly say: (line: string) => void
  readonly onWritten: () => void
}

/** What waits for the disk. A sender is told to come again where there is more: its spans are still with it. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** After a write that failed. */
const RETRY_MS = 5_000
const SYNC_MS = 1_000

interface Waiting {
  readonly pieces: readonly Piece[]
  readonly done: () => void
}

export function segmentWriter(options: SegmentWriterOptions): SegmentWriter {
  const { segmentBytes, say } = options
  let current: { segment: Segment; handle: FileHandle | null } | null = null
  let waiting: Waiting[] = []
  let waitingBytes = 0
  let isRunning = false
  let running: Promise<void> = Promise.resolve()
  let trouble: string | null = null
  let retryAt = 0
  let unsynced = false

  // Spans that go on within a second never need to reach the disk itself.
  const sync = setInterval(() => {
    const { segment, handle } = current ?? {}
    if (!unsynced || handle == null || segment!.taken === segment!.records!.length) return
    unsynced = false
    handle.datasync().catch((error: Error) => failed(error))
  }, SYNC_MS)
  sync.unref()

  async function run(): Promise<void> {
    isRunning = true
    while (waiting.length > 0) {
      const group = firstOf(waiting, segmentBytes)
      waiting = waiting.slice(group.length)
      const pieces = group.flatMap(each => each.pieces)
      await append(pieces)
      waitingBytes -= bytesOf(pieces)
      for (const { done } of group) done()
      options.onWritten()
    }
    isRunning = false
  }

  async function append(pieces: readonly Piece[]): Promise<void> {
    const target = await openSegment()
    const { segment, handle } = target
    if (handle !== null) {
      try {
        await writeAll(handle, recordsOf(pieces))
        unsynced = true
      } catch (error) {
        failed(error as Error)
        // Half a record must not stay: what is behind it could not be read. What was whole is kept.
        await handle.truncate(segment.bytes).catch(() => {})
        await endSegment()
        return append(pieces)
      }
    }
    segment.records!.push(...pieces)
    for (const piece of pieces) {
      segment.bytes += recordLength(piece)
      segment.spans += piece.spans
    }
    if (segment.bytes >= segmentBytes) await endSegment()
  }

  async function openSegment(): Promise<{ segment: Segment; handle: FileHandle | null }> {
    const mayWrite = options.mayWrite && (trouble === null || performance.now() >= retryAt)
    // Back from memory to the disk.
    if (current !== null && current.handle === null && mayWrite) await endSegment()
    if (current !== null) return current
    if (mayWrite) {
      const segment = options.newSegment(true)
      try {
        current = { segment, handle: await create(segment.path!) }
        if (trouble !== null) say('traces: spans are kept on disk again')
        trouble = null
        return current
      } catch (error) {
        failed(error as Error)
        options.onWritten()
      }
    }
    current = { segment: options.newSegment(false), handle: null }
    return current
  }

  async function endSegment(): Promise<void> {
    const ended = current
    current = null
    if (ended === null) return
    const { segment, handle } = ended
    if (handle !== null) {
      if (segment.taken < segment.records!.length) await handle.datasync().catch(failed)
      await handle.close().catch(() => {})
      // The oldest is read next: it stays in memory.
      if (!options.isHead(segment) && options.isLeft(segment)) segment.records = null
    }
    options.onWritten()
  }

  function failed(error: Error): void {
    const why = (error as NodeJS.ErrnoException).code === 'ENOSPC' ? 'the disk is full' : error.message
    if (trouble === null) say(`traces: ${why}: spans are kept in memory until that is over`)
    trouble = why
    retryAt = performance.now() + RETRY_MS
  }

  return {
    write(pieces) {
      const bytes = bytesOf(pieces)
      if (waitingBytes > 0 && waitingBytes + bytes > MAX_WAITING_BYTES) return Promise.resolve(false)
      waitingBytes += bytes
      return new Promise(resolve => {
        waiting.push({ pieces, done: () => resolve(true) })
        if (!isRunning) running = run()
      })
    },
    isOpen: segment => current?.segment === segment,
    forget(segment) {
      if (current?.segment !== segment) return
      const { handle } = current
      current = null
      void handle?.close().catch(() => {})
    },
    trouble: () => (options.mayWrite ? trouble : 'nothing can be written'),
    async close() {
      clearInterval(sync)
      await running
      await endSegment()
    },
  }
}

/** At least one, and no more than about `bytes`. */
function firstOf(waiting: readonly Waiting[], bytes: number): readonly Waiting[] {
  let sum = 0
  const end = waiting.findIndex(({ pieces }) => {
    sum += bytesOf(pieces)
    return sum > bytes
  })
  return end === -1 ? waiting : waiting.slice(0, Math.max(1, end))
}

function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + recordLength(piece), 0)
}

async function writeAll(handle: FileHandle, parts: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(parts)
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at)
    at += bytesWritten
  }
}
