import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { addConfigCommand } from '../../cli/config.ts'
import type { ConfigSurroundings } from '../../cli/config-surroundings.ts'
import { unifiedDiff } from '../../cli/unified-diff.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const base = temporaryFolder()

async function run(folder: string, ...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const surroundings: ConfigSurroundings = {
    stdout: { isTTY: false, write: text => out.push(text) },
    stderr: { isTTY: false, write: text => err.push(text) },
    env: {},
  }
  const program = new Command('outrigger').exitOverride()
  addConfigCommand(program, surroundings)
  await program.parseAsync(['config', 'lint', ...args], { from: 'user' })
  const written = (pieces: string[]) => pieces.join('').replaceAll(`${folder}/`, '')
  return { out: written(out), err: written(err), exitCode: surroundings.exitCode ?? 0 }
}

const text = `# The sidecar of web.
outbound:
  - { listen: 127.0.0.1:9101, service: orders }   # for the old client
discovery: { endpoints: { orders: [127.0.0.1:9001, 127.0.0.1:9002] } }
services:
  orders:
    # Slow on Mondays.
    timeouts: { connect: 20s, request: 10s, perTry: 6s } # generous
`

function folderWith(content = text): { folder: string; file: string } {
  const folder = mkdtempSync(join(base, 'lint-'))
  const file = join(folder, 'sidecar.yaml')
  writeFileSync(file, content)
  return { folder, file }
}

describe('outrigger config lint', () => {
  test('prints each warning with its place and its fix as a patch, and changes nothing', async () => {
    const { folder, file } = folderWith()
    expect(await run(folder, file)).toEqual({
      exitCode: 1,
      err: '',
      out: `warning sidecar.yaml:8:26: connect 20s is not shorter than request 10s, so a lost endpoint uses up the whole request: write connect: 1s
--- sidecar.yaml
+++ sidecar.yaml
@@ -5,4 +5,4 @@
 services:
   orders:
     # Slow on Mondays.
-    timeouts: { connect: 20s, request: 10s, perTry: 6s } # generous
+    timeouts: { connect: 1s, request: 10s, perTry: 6s } # generous
warning sidecar.yaml:8:53: 2 tries of 6s take 12s, longer than request 10s, so the last is cut short: write perTry: 5s or request: 12s
  one way, which --fix leaves to you:
--- sidecar.yaml
+++ sidecar.yaml
@@ -5,4 +5,4 @@
 services:
   orders:
     # Slow on Mondays.
-    timeouts: { connect: 20s, request: 10s, perTry: 6s } # generous
+    timeouts: { connect: 20s, request: 10s, perTry: 5s } # generous
2 warnings; --fix applies the patches of 1
`,
    })
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('--fix applies what has no alternative: all other bytes stay, and the rights of the file', async () => {
    const { folder, file } = folderWith()
    chmodSync(file, 0o640)
    const { out, exitCode } = await run(folder, '--fix', file)
    expect(exitCode).toBe(1)
    expect(out).toMatch(/^fixed sidecar.yaml:8:26: connect 20s/)
    expect(out).toMatch(/\n1 fixed, 1 warning left\n$/)
    expect(readFileSync(file, 'utf8')).toBe(text.replace('connect: 20s', 'connect: 1s'))
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(readdirSync(folder)).toEqual(['sidecar.yaml'])
    // There is nothing more that it would do.
    expect((await run(folder, '--fix', file)).out).toMatch(/^warning .*\n0 fixed, 1 warning left\n$/s)
  })

  test('of several files the one that has the value is written, through a link', async () => {
    const { folder, file } = folderWith(text.slice(0, text.indexOf('services:')))
    const real = join(folder, 'real.yaml')
    const policy = join(folder, 'policy.yaml')
    writeFileSync(real, text.slice(text.indexOf('services:')))
    symlinkSync('real.yaml', policy)
    const { out } = await run(folder, '--fix', '-c', file, '-c', policy)
    expect(out).toMatch(/^fixed policy.yaml:4:26: /)
    expect(readFileSync(file, 'utf8')).toBe(text.slice(0, text.indexOf('services:')))
    expect(lstatSync(policy).isSymbolicLink()).toBe(true)
    expect(readFileSync(real, 'utf8')).toContain('connect: 1s')
  })

  test('says so where there is nothing to say, and where the files are not good', async () => {
    const { folder, file } = folderWith(text.slice(0, text.indexOf('services:')))
    expect(await run(folder, file)).toEqual({ exitCode: 0, err: '', out: 'nothing to say\n' })
    const bad = folderWith('outbond: 1\n')
    const { exitCode, err, out } = await run(bad.folder, '--fix', bad.file)
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).toContain('sidecar.yaml:1:1: ')
  })

  test('what cannot be edited is said with the reason', async () => {
    const shared = `${text.slice(0, text.indexOf('services:'))}services:
  orders: { timeouts: &t { connect: 20s, request: 10s } }
  stock: { timeouts: *t }
`
    const { folder, file } = folderWith(shared)
    const { out } = await run(folder, '--fix', file)
    expect(out).toContain('  no patch: &t is used in other places too, which would change with it: write it out\n')
    expect(out).toContain('0 fixed')
    expect(readFileSync(file, 'utf8')).toBe(shared)
  })
})

test.each([
  ['a\nb\nc\n', 'a\nB\nc\n'],
  ['a\nb\nc', 'a\nb\nc\nd'],
  ['a\n', ''],
  ['', 'a\n'],
  [
    Array.from({ length: 30 }, (_, i) => `${i}\n`).join(''),
    Array.from({ length: 30 }, (_, i) => (i === 15 ? '' : `${i}\n`)).join(''),
  ],
])('the patch makes the one of the other: %j', (before, after) => {
  const [, , range = '', ...body] = unifiedDiff('f', before, after)
  const [, from, removed, , added] = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(range)!.map(Number)
  // A line that is followed by the note has no line break.
  const linesOf = (signs: string) =>
    body.flatMap((line, at) => {
      if (!signs.includes(line[0]!)) return []
      return [`${line.slice(1)}${body[at + 1]?.startsWith('\\') === true ? '' : '\n'}`]
    })
  const whole = before.match(/[^\n]*\n|[^\n]+$/g) ?? []
  const start = removed === 0 ? from! : from! - 1
  expect(whole.slice(start, start + removed!)).toEqual(linesOf(' -'))
  expect(linesOf(' +').length).toBe(added)
  expect([...whole.slice(0, start), ...linesOf(' +'), ...whole.slice(start + removed!)].join('')).toBe(after)
})
