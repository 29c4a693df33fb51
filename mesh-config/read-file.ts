import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'

/**
 * Why a file is not read, besides the errors of the system: `code` is `EISDIR`, `NOT_A_FILE` or `TOO_LARGE`, the
 * message is for people.
 */
export class FileTrouble extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'FileTrouble'
    this.code = code
  }
}

/** A pipe without a writer would block its reader for ever. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
const CHUNK = 64 * 1024

/**
 * The text of a file of at most `maxBytes`. A pipe, a device or a folder is refused without waiting; a file that grows
 * meanwhile is cut off at the same bound.
 */
export async function readText(path: string, maxBytes: number): Promise<string> {
  // A data thread needs it only where it looks names up.
  const { open, stat } = process.getBuiltinModule('node:fs/promises')
  refuse(await stat(path), maxBytes)
  const file = await open(path, FLAGS)
  try {
    refuse(await file.stat(), maxBytes)
    const parts = partsOf(maxBytes)
    for (;;) {
      const { bytesRead } = await file.read(parts.buffer, 0, CHUNK)
      if (bytesRead === 0) return parts.text()
      parts.add(bytesRead)
    }
  } finally {
    await file.close()
  }
}

export function readTextSync(path: string, maxBytes: number): string {
  refuse(statSync(path), maxBytes)
  const file = openSync(path, FLAGS)
  try {
    refuse(fstatSync(file), maxBytes)
    const parts = partsOf(maxBytes)
    for (;;) {
      const bytesRead = readSync(file, parts.buffer, 0, CHUNK, null)
      if (bytesRead === 0) return parts.text()
      parts.add(bytesRead)
    }
  } finally {
    closeSync(file)
  }
}

function partsOf(maxBytes: number) {
  const buffer = Buffer.allocUnsafe(CHUNK)
  const parts: Buffer[] = []
  let bytes = 0
  return {
    buffer,
    add(length: number): void {
      bytes += length
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      parts.push(Buffer.from(buffer.subarray(0, length)))
    },
    text: () => Buffer.concat(parts).toString('utf8'),
  }
}

function refuse(found: Stats, maxBytes: number): void {
  if (found.isDirectory()) throw new FileTrouble('EISDIR', 'it is a folder')
  if (!found.isFile()) throw new FileTrouble('NOT_A_FILE', `it is ${kindOf(found)}, and only a regular file is read`)
  if (found.size > maxBytes) throw tooLarge(maxBytes)
}

function kindOf(found: Stats): string {
  if (found.isFIFO()) return 'a pipe (FIFO)'
  return found.isSocket() ? 'a socket' : 'a device'
}

function tooLarge(maxBytes: number): FileTrouble {
  const limit = maxBytes >= 1024 ** 2 ? `${maxBytes / 1024 ** 2} MiB` : `${maxBytes / 1024} KiB`
  return new FileTrouble('TOO_LARGE', `it is larger than ${limit}`)
}
