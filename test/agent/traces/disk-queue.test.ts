import { spawn } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type DiskQueue, diskQueue } from '../../../agent/traces/disk-queue.ts'
import type { Piece } from '../../../agent/traces/pieces.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const MiB = 1024 ** 2

function piece(text: string, spans = 1, length = text.length): Piece {
  return { bytes: Buffer.from(text.padEnd(length, '.')), spans }
}

interface Opened {
  readonly queue: DiskQueue
  readonly said: string[]
}

async function open(folder: string | null, maxBytes = 8 * MiB): Promise<Opened> {
  const said: string[] = []
  const queue = await diskQueue({ folder, maxBytes, say: line => said.push(line) })
  onTestFinished(() => queue.close())
  return { queue, said }
}

/** All that is in it, taken out. */
async function drain(queue: DiskQueue): Promise<string[]> {
  const texts: string[] = []
  for (;;) {
    const batch = await queue.peek(MiB, 1_000)
    if (batch === null) return texts
    for (const { bytes } of batch.pieces) texts.push(bytes.toString().replace(/\.+$/, ''))
    await queue.take(batch)
  }
}

const segments = (folder: string) => readdirSync(folder).filter(name => name.endsWith('.spans'))

describe('the queue', () => {
  test('gives back what it got, in order, and no more than is asked for', async () => {
    const { queue } = await open(temporaryFolder())
    expect(await queue.peek(MiB, 10)).toBeNull()
    for (let index = 0; index < 10; index++) expect(await queue.add([piece(`p${index}`, 2)])).toBe(true)
    const batch = await queue.peek(MiB, 5)
    expect(batch!.pieces.map(({ bytes }) => bytes.toString())).toEqual(['p0', 'p1'])
    expect(queue.state().spans).toBe(20)
    await queue.take(batch!)
    expect(queue.state().spans).toBe(16)
    expect(await drain(queue)).toEqual(['p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9'])
    expect(queue.state()).toMatchObject({ spans: 0, bytes: 0, droppedFull: 0 })
  })

  test('is private to its owner', async () => {
    const folder = join(temporaryFolder(), 'traces')
    const { queue } = await open(folder)
    await queue.add([piece('a')])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077, name).toBe(0)
  })

  test('removes files whose spans are gone, and reads those that left the memory', async () => {
    const folder = temporaryFolder()
    const { queue } = await open(folder, 64 * MiB)
    const texts = Array.from({ length: 60 }, (_, index) => `p${index}`)
    for (const text of texts) await queue.add([piece(text, 1, 400_000)])
    expect(segments(folder).length).toBeGreaterThan(4)
    expect(await drain(queue)).toEqual(texts)
    expect(segments(folder).length).toBeLessThanOrEqual(1)
  })

  test('loses the oldest when it is full, and counts them', async () => {
    const folder = temporaryFolder()
    const { queue } = await open(folder)
    for (let index = 0; index < 100; index++) await queue.add([piece(`p${index}`, 3, 200_000)])
    const { bytes, spans, droppedFull } = queue.state()
    expect(bytes).toBeLessThanOrEqual(8 * MiB)
    expect(droppedFull + spans).toBe(300)
    expect(droppedFull).toBeGreaterThan(100)
    const left = await drain(queue)
    expect(left.length).toBe(spans / 3)
    expect(left.at(-1)).toBe('p99')
    expect(left).toEqual(Array.from({ length: left.length }, (_, index) => `p${100 - left.length + index}`))
  })

  test('that is full while a batch is under way counts that batch once', async () => {
    const { queue } = await open(temporaryFolder())
    await queue.add([piece('first', 5)])
    const batch = await queue.peek(MiB, 1_000)
    for (let index = 0; index < 100; index++) await queue.add([piece(`p${index}`, 1, 200_000)])
    await queue.take(batch!)
    const { spans, droppedFull } = queue.state()
    expect(spans + droppedFull).toBe(100)
  })

  test('refuses what comes while as much waits for the disk as may', async () => {
    const { queue } = await open(temporaryFolder(), 64 * MiB)
    const answers = await Promise.all(Array.from({ length: 60 }, () => queue.add([piece('p', 1, 500_000)])))
    expect(answers.filter(taken => !taken).length).toBeGreaterThan(20)
    expect(queue.state().spans).toBe(answers.filter(taken => taken).length)
    expect(await queue.add([piece('later')])).toBe(true)
  })
})

describe('after a restart', () => {
  test('goes on where it was', async () => {
    const folder = temporaryFolder()
    const before = await open(folder)
    for (let index = 0; index < 5; index++) await before.queue.add([piece(`p${index}`)])
    await before.queue.take((await before.queue.peek(4, 10))!)
    await before.queue.close()
    const { queue, said } = await open(folder)
    expect(said).toEqual(['traces: 3 spans are left from before, and are sent first'])
    await queue.add([piece('new')])
    expect(await drain(queue)).toEqual(['p2', 'p3', 'p4', 'new'])
  })

  test('with nothing left leaves nothing', async () => {
    const folder = temporaryFolder()
    const before = await open(folder)
    await before.queue.add([piece('a')])
    await drain(before.queue)
    await before.queue.close()
    const { said } = await open(folder)
    expect(said).toEqual([])
    expect(segments(folder)).toEqual([])
  })

  test.each([1, 5, 13, 20])('keeps all whole records when the last %i bytes are missing', async missing => {
    const folder = temporaryFolder()
    const before = await open(folder)
    for (let index = 0; index < 3; index++) await before.queue.add([piece(`p${index}`, 1, 30)])
    await before.queue.close()
    const [file] = segments(folder) as [string]
    truncateSync(join(folder, file), statSync(join(folder, file)).size - missing)
    const { queue, said } = await open(folder)
    expect(said[0]).toMatch(/ends in what is no span: 2 spans before that are kept/)
    expect(await drain(queue)).toEqual(['p0', 'p1'])
  })

  test('stops at a record that is not as it was written, and goes on with the next file', async () => {
    const folder = temporaryFolder()
    const before = await open(folder)
    for (let index = 0; index < 12; index++) await before.queue.add([piece(`p${index}`, 1, 200_000)])
    await before.queue.close()
    const [first, second] = segments(folder) as [string, string]
    expect(second).toBeDefined()
    const bytes = readFileSync(join(folder, first))
    bytes[300_000] = 0
    writeFileSync(join(folder, first), bytes)
    const { queue } = await open(folder)
    const left = await drain(queue)
    expect(left[0]).toBe('p0')
    expect(left[1]).toMatch(/^p[5-9]$/)
    expect(left.at(-1)).toBe('p11')
  })

  test('passes over files that are none of its own, and over one that no queue has written', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    writeFileSync(join(folder, '000000000007.spans'), Buffer.alloc(100, 0xff))
    const { queue } = await open(folder)
    await queue.add([piece('a')])
    expect(await drain(queue)).toEqual(['a'])
    expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine')
  })

  test('a file that is damaged while it waits costs what is in it, and no more', async () => {
    const folder = temporaryFolder()
    const { queue, said } = await open(folder, 64 * MiB)
    for (let index = 0; index < 40; index++) await queue.add([piece(`p${index}`, 1, 400_000)])
    rmSync(join(folder, segments(folder)[1]!))
    const left = await drain(queue)
    expect(left.at(-1)).toBe('p39')
    expect(queue.state().droppedCorrupt).toBe(40 - left.length)
    expect(queue.state().droppedCorrupt).toBeGreaterThan(5)
    expect(said[0]).toMatch(/cannot be read/)
  })
})

describe('a process killed -9', () => {
  test('loses nothing that it had acknowledged', async () => {
    const folder = temporaryFolder()
    const program = `
      import { diskQueue } from ${JSON.stringify(join(import.meta.dirname, '../../../agent/traces/disk-queue.ts'))}
      const queue = await diskQueue({ folder: ${JSON.stringify(folder)}, maxBytes: ${64 * MiB}, say() {} })
      for (let index = 0; ; index++) {
        await queue.add([{ bytes: Buffer.from('p' + index), spans: 1 }])
        process.stdout.write('p' + index + '\\n')
        if (index === 500) process.kill(process.pid, 'SIGKILL')
      }`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (text: Buffer) => {
      out += text
    })
    await new Promise(done => child.once('close', done))
    const acknowledged = out.split('\n').filter(line => /^p\d+$/.test(line))
    expect(acknowledged.length).toBeGreaterThan(400)
    const { queue } = await open(folder)
    expect(await drain(queue)).toEqual(expect.arrayContaining(acknowledged))
  })
})

describe('where nothing can be written', () => {
  test('spans are kept in memory, within a bound, and it says so', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    const { queue, said } = await open(join(file, 'traces'), 64 * MiB)
    expect(said[0]).toMatch(/nothing can be kept in .*: spans are kept in memory only/)
    for (let index = 0; index < 100; index++) await queue.add([piece(`p${index}`, 1, 400_000)])
    const { spans, bytes, droppedFull, trouble } = queue.state()
    expect(trouble).toMatch(/ENOTDIR/)
    expect(bytes).toBeLessThan(24 * MiB)
    expect(droppedFull + spans).toBe(100)
    expect((await drain(queue)).at(-1)).toBe('p99')
  })

  test('a disk that is full is a trouble, and no loss; later spans are on disk again', async () => {
    const folder = temporaryFolder()
    const module = join(import.meta.dirname, '../../../agent/traces/disk-queue.ts')
    // A limit of the system on the size of files stands in for a full disk: the write fails in the same place.
    const program = `
      import { diskQueue } from ${JSON.stringify(module)}
      const queue = await diskQueue({ folder: ${JSON.stringify(folder)}, maxBytes: ${64 * MiB}, say: console.error })
      const bytes = Buffer.alloc(400_000)
      for (let index = 0; index < 8; index++) await queue.add([{ bytes, spans: 1 }])
      const full = queue.state()
      const taken = []
      for (let batch; (batch = await queue.peek(${MiB}, 1_000)) !== null; await queue.take(batch)) taken.push(batch.spans)
      console.log(JSON.stringify({ full, spans: taken.reduce((sum, spans) => sum + spans, 0), after: queue.state() }))
      await queue.close()`
    const limited = `ulimit -f 2048; exec "$0" --input-type=module -e "$1"`
    const child = spawn('/bin/sh', ['-c', limited, process.execPath, program], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (text: Buffer) => {
      out += text
    })
    child.stderr.on('data', (text: Buffer) => {
      err += text
    })
    await new Promise(done => child.once('close', done))
    const { full, spans, after } = JSON.parse(out)
    expect(err).toMatch(/EFBIG.*: spans are kept in memory until that is over/)
    expect(full).toMatchObject({ spans: 8, droppedFull: 0, trouble: expect.stringContaining('EFBIG') })
    expect(spans).toBe(8)
    expect(after).toMatchObject({ spans: 0, droppedFull: 0, droppedCorrupt: 0 })
  })

  test('a folder that another process uses is left to it', async () => {
    const folder = temporaryFolder()
    const other = spawn('/bin/sh', ['-c', 'read line'], { stdio: ['pipe', 'ignore', 'ignore'] })
    onTestFinished(() => void other.kill('SIGKILL'))
    const began = readFileSync(`/proc/${other.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]
    writeFileSync(join(folder, 'owner'), `${other.pid} ${began}`)
    expect((await open(folder)).said[0]).toMatch(/the agent with the process id \d+ uses it/)
    // The same id, of another process.
    writeFileSync(join(folder, 'owner'), `${other.pid} 1`)
    expect((await open(folder)).said).toEqual([])
  })

  test('a folder that vanishes is a trouble, and no loss', async () => {
    const folder = join(temporaryFolder(), 'traces')
    mkdirSync(folder)
    const { queue, said } = await open(folder)
    for (let index = 0; index < 4; index++) await queue.add([piece(`p${index}`, 1, 400_000)])
    rmSync(folder, { recursive: true })
    appendFileSync(folder, 'now a file')
    for (let index = 4; index < 8; index++) await queue.add([piece(`p${index}`, 1, 400_000)])
    expect(said[0]).toMatch(/spans are kept in memory until that is over/)
    expect(queue.state().trouble).not.toBeNull()
    expect((await drain(queue)).slice(-2)).toEqual(['p6', 'p7'])
  })
})
