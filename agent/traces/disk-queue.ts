import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { claimFolder } from './claim-folder.ts'
import type { Piece } from './pieces.ts'
import { load, newSegment, readSegment, recordLength, type Segment } from './segment.ts'
import { segmentWriter } from './segment-writer.ts'

/**
 * Spans that were taken and are not with the collector yet, in the order in which they came. What `add` has resolved for
 * survives a kill -9; a power failure loses at most what came in the last SYNC_MS.
 */
export interface DiskQueue {
  /** Resolves when they are kept. False: they are not, because as much is being written as may be; ask again later. */
  add(pieces: readonly Piece[]): Promise<boolean>
  /** The oldest that make up a request, without taking them out; null: there are none. */
  peek(maxBytes: number, maxSpans: number): Promise<Batch | null>
  /** They need not be kept any longer. */
  take(batch: Batch): Promise<void>
  /** Called when there is more than before. */
  onMore: () => void
  state(): QueueState
  /** Writes what is not written yet. */
  close(): Promise<void>
}

export interface Batch {
  readonly pieces: readonly Piece[]
  readonly spans: number
  readonly bytes: number
  readonly segment: Segment
}

export interface QueueState {
  readonly spans: number
  readonly bytes: number
  readonly maxBytes: number
  /** Spans that were lost because there was no room. */
  readonly droppedFull: number
  /** Spans that were lost because a file could not be read, or was not as it was written. */
  readonly droppedCorrupt: number
  /** Why spans are kept in memory only; null: they are on disk. */
  readonly trouble: string | null
}

export interface QueueOptions {
  /** Null: there is no folder for it, so in memory only. */
  readonly folder: string | null
  readonly maxBytes: number
  /** For people, when its state changes. */
  readonly say: (line: string) => void
}

export const SYNC_MS = 1_000
const MAX_SEGMENT = 4 * 1024 * 1024
/** While nothing can be written. */
const MEMORY_BYTES = 16 * 1024 * 1024
const NAME = /^(\d{12})\.spans$/

export async function diskQueue({ folder, maxBytes, say }: QueueOptions): Promise<DiskQueue> {
  const segmentBytes = Math.min(MAX_SEGMENT, Math.floor(maxBytes / 8))
  let segments: Segment[] = []
  let droppedFull = 0
  let droppedCorrupt = 0
  /** Out of the queue's hands until it is taken or peeked again. */
  let lent: Batch | null = null
  let nextId = 1
  let position: Awaited<ReturnType<typeof open>> | null = null

  const pathOf = (id: number) => join(folder!, `${String(id).padStart(12, '0')}.spans`)
  const positionPath = () => join(folder!, 'position')
  const bytesOf = (segment: Segment) => segment.bytes - segment.offset
  const total = (what: (segment: Segment) => number) => segments.reduce((sum, segment) => sum + what(segment), 0)

  async function recover(): Promise<void> {
    await mkdir(folder!, { recursive: true, mode: 0o700 })
    await claimFolder(folder!)
    const start = await readPosition()
    const ids = (await readdir(folder!)).flatMap(name => NAME.exec(name)?.[1] ?? []).map(Number)
    for (const id of ids.sort((a, b) => a - b)) {
      nextId = id + 1
      if (id < start.id) {
        await rm(pathOf(id), { force: true })
        continue
      }
      const found = await readSegment(id, pathOf(id), id === start.id ? start.offset : 0, 4 * MAX_SEGMENT).catch(
        () => null,
      )
      if (found === null || found.broken > 0)
        say(`traces: ${pathOf(id)} ends in what is no span: ${found?.segment.spans ?? 0} spans before that are kept`)
      if (found === null || found.segment.spans === 0) await rm(pathOf(id), { force: true })
      else segments.push(found.segment)
    }
    position = await open(positionPath(), 'a+', 0o600).then(async handle => {
      await handle.close()
      return open(positionPath(), 'r+')
    })
    const spans = total(segment => segment.spans)
    if (spans > 0) say(`traces: ${spans} spans are left from before, and are sent first`)
  }

  async function readPosition(): Promise<{ id: number; offset: number }> {
    const bytes = await readFile(positionPath()).catch(() => Buffer.alloc(0))
    if (bytes.length < 20 || crc32(bytes.subarray(0, 16)) !== bytes.readUInt32BE(16)) return { id: 0, offset: 0 }
    return { id: Number(bytes.readBigUInt64BE(0)), offset: Number(bytes.readBigUInt64BE(8)) }
  }

  async function writePosition({ id, offset }: Segment): Promise<void> {
    const bytes = Buffer.alloc(20)
    bytes.writeBigUInt64BE(BigInt(id), 0)
    bytes.writeBigUInt64BE(BigInt(offset), 8)
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 16)), 16)
    // Where it cannot be written, some spans are sent twice after a restart.
    await position?.write(bytes, 0, bytes.length, 0).catch(() => {})
  }

  let startTrouble: string | null = null
  if (folder !== null) {
    await recover().catch((error: Error) => {
      startTrouble = `nothing can be kept in ${folder}: ${error.message}`
      say(`traces: ${startTrouble}: spans are kept in memory only`)
      segments = []
    })
  } else startTrouble = 'there is no state folder'

  const writer = segmentWriter({
    segmentBytes,
    newSegment(onDisk) {
      const id = nextId++
      const segment = newSegment(id, onDisk ? pathOf(id) : null)
      segments.push(segment)
      return segment
    },
    mayWrite: folder !== null && startTrouble === null,
    isHead: segment => segments[0] === segment,
    isLeft: segment => segments.includes(segment),
    say,
    onWritten() {
      makeRoom()
      queue.onMore()
    },
  })

  /** The oldest go: those that come are of what goes on now. */
  function makeRoom(): void {
    while (segments.length > 1 && total(bytesOf) > maxBytes) drop(segments[0]!)
    const inMemory = () => segments.filter(({ path }) => path === null)
    while (inMemory().length > 1 && inMemory().reduce((sum, segment) => sum + bytesOf(segment), 0) > MEMORY_BYTES)
      drop(inMemory()[0]!)
  }

  function drop(segment: Segment): void {
    // A batch that is under way still has its chance.
    const underWay = lent?.segment === segment ? lent.spans : 0
    droppedFull += segment.spans - segment.takenSpans - underWay
    remove(segment)
  }

  function remove(segment: Segment): void {
    segments = segments.filter(each => each !== segment)
    writer.forget(segment)
    if (segment.path !== null) void rm(segment.path, { force: true }).catch(() => {})
  }

  async function headRecords(): Promise<{ head: Segment; records: readonly Piece[] } | null> {
    for (;;) {
      const head = segments[0]
      if (head === undefined) return null
      const records = await load(head).catch((error: Error) => {
        say(`traces: ${head.path} cannot be read, and what is in it is lost: ${error.message}`)
        return null
      })
      if (segments[0] !== head) continue
      if (records !== null && head.taken < records.length) return { head, records }
      if (writer.isOpen(head)) return null
      droppedCorrupt += head.spans - head.takenSpans
      remove(head)
    }
  }

  const queue: DiskQueue = {
    onMore: () => {},
    add: pieces => writer.write(pieces),
    async peek(maxBatchBytes, maxSpans) {
      const found = await headRecords()
      if (found === null) return null
      const { head, records } = found
      const pieces: Piece[] = []
      let bytes = 0
      let spans = 0
      for (let index = head.taken; index < records.length; index++) {
        const piece = records[index]!
        if (pieces.length > 0 && (bytes + piece.bytes.length > maxBatchBytes || spans + piece.spans > maxSpans)) break
        pieces.push(piece)
        bytes += piece.bytes.length
        spans += piece.spans
      }
      lent = { pieces, spans, bytes, segment: head }
      return lent
    },
    async take(batch) {
      if (lent === batch) lent = null
      const { segment } = batch
      if (!segments.includes(segment)) return
      segment.taken += batch.pieces.length
      segment.takenSpans += batch.spans
      for (const piece of batch.pieces) segment.offset += recordLength(piece)
      if (segment.taken === segment.records!.length && !writer.isOpen(segment)) remove(segment)
      if (segment.path !== null) await writePosition(segment)
    },
    state: () => ({
      spans: total(segment => segment.spans - segment.takenSpans),
      bytes: total(bytesOf),
      maxBytes,
      droppedFull,
      droppedCorrupt,
      trouble: startTrouble ?? writer.trouble(),
    }),
    async close() {
      await writer.close()
      await position?.close()
      const lost = total(segment => (segment.path === null ? segment.spans - segment.takenSpans : 0))
      if (lost > 0) say(`traces: ${lost} spans were in memory only, and are lost`)
    },
  }
  return queue
}
