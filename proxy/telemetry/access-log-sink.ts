import { close, constants, fstatSync, open, write } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

/** How long a failed write is retried before its lines are dropped, and how often trouble is logged. */
const RETRY_MS = 20
const GIVE_UP_MS = 5_000
const TELL_MS = 30_000

/** Writes the lines of all data threads to standard output or a file. Trouble there never affects traffic. */
export interface AccessLogSink {
  /** `done` is called once the lines are written or dropped: credit for their sender. */
  write(lines: string, done: () => void): void
  /** Lines that data threads dropped because the sink was behind. */
  lost(lines: number): void
  /** Null: standard output. The same path again changes nothing. */
  moveTo(path: string | null): void
  /** Opens the file anew after a log rotation renamed it. */
  reopen(): void
  droppedLines(): number
  /** Resolves when all is written, at most after `withinMs`. */
  flushed(withinMs: number): Promise<void>
}

interface Batch {
  readonly bytes: Buffer
  readonly done: () => void
}

/** Tests hand in `files`. */
export interface SinkFiles {
  open(
    path: string,
    flags: number,
    mode: number,
    callback: (error: NodeJS.ErrnoException | null, fd: number) => void,
  ): void
  write(
    fd: number,
    bytes: Buffer,
    offset: number,
    length: number,
    position: null,
    callback: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void
  close(fd: number, callback: (error: NodeJS.ErrnoException | null) => void): void
  stdoutIsPipe(): boolean
}

const STDOUT = 1
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT
/**
 * A pipe is opened once more, so that it is non-blocking for this process alone: a write into a full pipe without a
 * reader would block a thread of libuv, and `process.exit` waits for those.
 */
const STDOUT_AGAIN = '/proc/self/fd/1'
const NON_BLOCKING = constants.O_WRONLY | constants.O_NONBLOCK

const system: SinkFiles = {
  open,
  write,
  close,
  stdoutIsPipe: () => fstatSync(STDOUT, { throwIfNoEntry: false })?.isFIFO() ?? false,
}

/** One write at a time, through libuv's threads: a slow disk blocks a helper thread and not the control thread. */
export function accessLogSink(clock: Clock, log: Log, files: SinkFiles = system): AccessLogSink {
  const queue: Batch[] = []
  let path: string | null = null
  let fd: number | null = null
  let offset = 0
  let busy = false
  let mustOpen = true
  let dropped = 0
  let stuckSince = 0
  let toldAt = Number.NEGATIVE_INFINITY
  const onEmpty: (() => void)[] = []
  const retry = clock.timer(() => {
    busy = false
    next()
  })

  function next(): void {
    if (busy) return
    // Never between two halves of a batch.
    if (mustOpen && offset === 0) return openFile()
    const batch = queue[0]
    if (batch === undefined) {
      for (const call of onEmpty.splice(0)) call()
      return
    }
    if (fd === null) return stuck('it could not be opened')
    busy = true
    files.write(fd, batch.bytes, offset, batch.bytes.length - offset, null, (error, written) => {
      busy = false
      if (error !== null) return stuck(error.code ?? error.message, error.code === 'EAGAIN')
      stuckSince = 0
      offset += written
      if (offset >= batch.bytes.length) finish()
      next()
    })
  }

  function finish(): void {
    offset = 0
    queue.shift()!.done()
  }

  /** A pipe without a reader or a full disk may recover: the batch waits a little, then it is dropped and counted. */
  function stuck(reason: string, usual = false): void {
    if (!usual) tell(`the access log cannot be written: ${reason}${remedies[reason] ?? ''}`)
    if (stuckSince === 0) stuckSince = clock.now()
    const hopeless = reason === 'EPIPE' || reason === 'EBADF' || clock.now() - stuckSince >= GIVE_UP_MS
    if (hopeless) {
      dropped += countLines(queue[0]!.bytes, offset)
      finish()
      mustOpen = path !== null && fd === null
    }
    busy = true
    retry.arm(hopeless ? 0 : RETRY_MS)
  }

  function openFile(): void {
    mustOpen = false
    if (fd !== null && fd !== STDOUT) files.close(fd, () => {})
    fd = null
    if (path === null && !files.stdoutIsPipe()) {
      fd = STDOUT
      return next()
    }
    const opening = path ?? STDOUT_AGAIN
    busy = true
    files.open(opening, path === null ? NON_BLOCKING : APPEND, 0o640, (error, opened) => {
      busy = false
      if (error === null) fd = opened
      else if (path === null) fd = STDOUT
      else
        tell(
          `the access log ${opening} cannot be opened: ${error.code ?? error.message}${remedies[error.code ?? ''] ?? ''}`,
        )
      next()
    })
  }

  function tell(message: string): void {
    if (clock.now() - toldAt < TELL_MS) return
    toldAt = clock.now()
    log.warn(`${message}; requests go on, lines are dropped (outrigger_access_log_dropped_lines_total)`)
  }

  return {
    write(lines, done) {
      if (lines === '') return done()
      queue.push({ bytes: Buffer.from(lines), done })
      next()
    },
    lost(lines) {
      if (lines === 0) return
      dropped += lines
      tell('the access log is written too slowly')
    },
    moveTo(wanted) {
      if (wanted === path) return
      path = wanted
      mustOpen = true
      next()
    },
    reopen() {
      if (path === null) return
      mustOpen = true
      next()
    },
    droppedLines: () => dropped,
    flushed(withinMs) {
      if (queue.length === 0 && !busy) return Promise.resolve()
      return new Promise(resolve => {
        const limit = clock.timer(resolve)
        onEmpty.push(() => {
          limit.cancel()
          resolve()
        })
        limit.arm(withinMs)
      })
    },
  }
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: ' (the disk is full)',
  EPIPE: ' (standard output has no reader any more)',
  EACCES: ' (no permission: the proxy runs as another user than the folder allows)',
  ENOENT: ' (the folder does not exist)',
}

function countLines(bytes: Buffer, from: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at !== -1; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}
