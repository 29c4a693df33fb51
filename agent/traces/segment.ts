import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Piece } from './pieces.ts'

/**
 * A file of the queue: records one after the other, each a piece with its length, its checksum and its number of spans.
 * It is written once from its beginning to its end, read from its beginning, and removed.
 */
export interface Segment {
  readonly id: number
  /** Null: it is in memory only, because nothing can be written. */
  readonly path: string | null
  /** Those that are in memory: of the segment that is written, and of the one that is read. Null: read the file. */
  records: Piece[] | null
  bytes: number
  spans: number
  /** Records and spans that were taken out, and where the rest begins in the file. */
  taken: number
  takenSpans: number
  offset: number
}

export const RECORD_HEAD = 12
/** A record that says it is longer was not written by this program. */
const MAX_RECORD = 4 * 1024 * 1024

export function newSegment(id: number, path: string | null): Segment {
  return { id, path, records: [], bytes: 0, spans: 0, taken: 0, takenSpans: 0, offset: 0 }
}

export function recordLength({ bytes }: Piece): number {
  return RECORD_HEAD + bytes.length
}

/** What is written for these pieces. */
export function recordsOf(pieces: readonly Piece[]): Buffer[] {
  return pieces.flatMap(({ bytes, spans }) => {
    const head = Buffer.allocUnsafe(RECORD_HEAD)
    head.writeUInt32BE(bytes.length, 0)
    head.writeUInt32BE(spans, 4)
    head.writeUInt32BE(crc32(bytes, crc32(head.subarray(0, 8))), 8)
    return [head, bytes]
  })
}

export interface Scanned {
  readonly pieces: Piece[]
  /** Bytes behind the last whole record: what a crash or a broken disk has left. */
  readonly broken: number
}

/** The records from `offset` on, until one is not as it was written. */
export function scan(file: Buffer, offset: number): Scanned {
  const pieces: Piece[] = []
  let at = offset
  while (at + RECORD_HEAD <= file.length) {
    const length = file.readUInt32BE(at)
    const end = at + RECORD_HEAD + length
    if (length > MAX_RECORD || end > file.length) break
    const bytes = file.subarray(at + RECORD_HEAD, end)
    if (crc32(bytes, crc32(file.subarray(at, at + 8))) !== file.readUInt32BE(at + 8)) break
    pieces.push({ bytes, spans: file.readUInt32BE(at + 4) })
    at = end
  }
  return { pieces, broken: Math.max(0, file.length - at) }
}

/** Reads a segment that a process before this one has left; null: it is none. */
export async function readSegment(
  id: number,
  path: string,
  offset: number,
  maxBytes: number,
): Promise<{ segment: Segment; broken: number } | null> {
  const { size } = await stat(path)
  if (size > maxBytes) return null
  const { pieces, broken } = scan(await readFile(path), offset)
  const spans = pieces.reduce((sum, piece) => sum + piece.spans, 0)
  const bytes = pieces.reduce((sum, piece) => sum + recordLength(piece), 0)
  return { segment: { ...newSegment(id, path), records: null, bytes: offset + bytes, spans, offset }, broken }
}

/** Its records that were not taken out yet, from memory or from its file. */
export async function load(segment: Segment): Promise<readonly Piece[]> {
  if (segment.records === null) {
    const { pieces } = scan(await readFile(segment.path!), segment.offset)
    segment.records = pieces
    segment.taken = 0
  }
  return segment.records
}

/** Only its owner may read what spans tell. */
export function create(path: string): Promise<FileHandle> {
  return open(path, 'wx', 0o600)
}
