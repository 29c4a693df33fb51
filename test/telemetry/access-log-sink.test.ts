import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../proxy/system/clock.ts'
import { accessLogSink, type SinkFiles } from '../../proxy/telemetry/access-log-sink.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/**
 * A disk that does as told: `answers` are the results of the writes to come, a count of bytes or an error; then
 * everything is written.
 */
function toldDisk(answers: (number | string)[] = [], openError: string | null = null) {
  const written: string[] = []
  const opened: string[] = []
  const error = (code: string) => Object.assign(new Error(code), { code })
  const files: SinkFiles = {
    open(path, _flags, _mode, callback) {
      opened.push(path)
      if (openError === null) callback(null, 100 + opened.length)
      else callback(error(openError), -1)
    },
    write(fd, bytes, offset, length, _position, callback) {
      const answer = answers.shift() ?? length
      if (typeof answer === 'string') return callback(error(answer), 0)
      written.push(`${fd} ${bytes.subarray(offset, offset + answer)}`)
      callback(null, answer)
    },
    close: (_fd, callback) => callback(null),
    stdoutIsPipe: () => false,
  }
  return { files, written, opened, answers }
}

function sinkOn(disk: ReturnType<typeof toldDisk>) {
  const loop = new EventLoop()
  const log = logTape()
  const done: string[] = []
  const sink = accessLogSink(manualClock(loop), log, disk.files)
  return { loop, log, done, sink, write: (lines: string) => sink.write(lines, () => done.push(lines.trim())) }
}

test('writes to standard output, in order, and gives credit when it is done', () => {
  const disk = toldDisk([2, 1])
  const { write, done } = sinkOn(disk)
  write('abc\n')
  write('def\n')
  expect(disk.written).toEqual(['1 ab', '1 c', '1 \n', '1 def\n'])
  expect(done).toEqual(['abc', 'def'])
})

describe('when it cannot write', () => {
  test('a full pipe is tried again until somebody reads, without a word', () => {
    const disk = toldDisk(['EAGAIN', 'EAGAIN', 'EAGAIN'])
    const { loop, log, write, done, sink } = sinkOn(disk)
    write('abc\n')
    expect(done).toEqual([])
    loop.advance(200)
    expect(done).toEqual(['abc'])
    expect(sink.droppedLines()).toBe(0)
    expect(log.lines()).toEqual([])
  })

  test('a full disk: after five seconds lines are dropped and counted, credit goes on, one warning is given; then it comes right', () => {
    const disk = toldDisk(Array.from({ length: 2_000 }, () => 'ENOSPC'))
    const { loop, log, write, done, sink } = sinkOn(disk)
    write('a\nb\n')
    loop.advance(4_000)
    expect(done).toEqual([])
    loop.advance(1_500)
    expect(done).toEqual(['a\nb'])
    expect(sink.droppedLines()).toBe(2)
    // Now it is known to be stuck: nothing piles up.
    write('c\n')
    loop.advance(50)
    expect(sink.droppedLines()).toBe(3)
    expect(log.lines()).toEqual([expect.stringContaining('ENOSPC (the disk is full); requests go on')])
    disk.answers.length = 0
    write('d\n')
    loop.advance(50)
    expect(disk.written).toEqual(['1 d\n'])
  })

  test('a closed pipe: everything is dropped at once', () => {
    const { loop, log, write, done, sink } = sinkOn(toldDisk(['EPIPE', 'EPIPE']))
    write('a\n')
    write('b\n')
    loop.advance(100)
    expect(done).toEqual(['a', 'b'])
    expect(sink.droppedLines()).toBe(2)
    expect(log.lines()).toHaveLength(1)
  })

  test('a file that cannot be opened is said at once, and tried again with what comes later', () => {
    const disk = toldDisk([], 'EACCES')
    const { loop, log, write, sink } = sinkOn(disk)
    sink.moveTo('/var/log/access.log')
    expect(log.lines()).toEqual([expect.stringContaining('/var/log/access.log cannot be opened: EACCES')])
    write('a\n')
    loop.advance(6_000)
    expect(sink.droppedLines()).toBe(1)
    expect(disk.opened.length).toBeGreaterThan(1)
  })

  test('lines that the data threads dropped are counted too', () => {
    const { sink } = sinkOn(toldDisk())
    sink.lost(7)
    sink.lost(0)
    expect(sink.droppedLines()).toBe(7)
  })
})

test('a move or a rotation never cuts a batch in two', () => {
  const disk = toldDisk([1, 'EAGAIN'])
  const { loop, write, sink } = sinkOn(disk)
  write('abc\n')
  sink.moveTo('/b.log')
  write('def\n')
  loop.advance(100)
  expect(disk.written).toEqual(['1 a', '1 bc\n', '101 def\n'])
})

describe('for real', () => {
  test('after a rotation new lines are in the new file', async () => {
    const path = join(temporaryFolder(), 'access.log')
    const sink = accessLogSink(systemClock, logTape())
    const write = (lines: string) => new Promise<void>(resolve => sink.write(lines, resolve))
    sink.moveTo(path)
    await write('before\n')
    renameSync(path, `${path}.1`)
    sink.reopen()
    await write('after\n')
    expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['before\n', 'after\n'])
  })

  test('a pipe that nobody reads does not keep the process from ending', async () => {
    const program = fileURLToPath(new URL('../support/stuck-log-writer.ts', import.meta.url))
    const shell = spawn(
      '/bin/bash',
      [
        '-c',
        `( "${process.execPath}" "${program}"; echo "ended with $?" >&2 ) | "${process.execPath}" -e "setTimeout(() => {}, 600_000)"`,
      ],
      {
        detached: true,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    onTestFinished(() => void process.kill(-shell.pid!))
    const [said] = (await once(shell.stderr!, 'data')) as [Buffer]
    expect(String(said)).toBe('ended with 3\n')
  })
})
