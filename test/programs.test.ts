import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FOR_LONG_TESTS, FOR_TESTS } from './peers/table.ts'

/** A program that is started by its bare name is there on the machine it was written on, and missing on a fresh one. */

const root = join(import.meta.dirname, '..')
const files = globSync('{bench,bin,cli,examples,proxy,run,scripts,test}/**/*.{ts,js}', { cwd: root }).filter(
  file => file !== 'test/programs.test.ts',
)
const texts = files.map(file => ({ file, text: readFileSync(join(root, file), 'utf8') }))

/**
 * A literal as the program of a call that starts one, or as the `command` of an object that says what to start. Methods
 * called `run` and `must` are those of a network namespace, which find the program themselves.
 */
const started =
  /(?:\b(?:spawn|spawnSync|execFile|execFileSync|exec|execSync|startChild|runToEnd)\)?\(|(?<![.\w])(?:run|must)\(|\bcommand: )\s*(['"`][\w.-]+['"`])/g

/** npm is there, as it started the script, and what it installs Node 26 with cannot be obtained by Node 26. */
const allowed = new Set(["scripts/run.js: 'npm'"])

test('no program is started by its bare name', () => {
  const bare = texts.flatMap(({ file, text }) =>
    [...text.matchAll(started)].map(([, literal]) => `${file}: ${literal}`),
  )
  expect(bare.filter(found => !allowed.has(found))).toEqual([])
})

test('a literal that is a bare name is found', () => {
  for (const call of [
    "spawn('promtool', [])",
    "execFileSync('awk', [])",
    "promisify(execFile)('npm', [])",
    "{ command: 'taskset', args }",
  ])
    expect(call.match(started), call).not.toBeNull()
})

test('each peer that a test obtains is obtained before the tests begin', () => {
  const named = (long: boolean) =>
    texts
      .filter(
        ({ file }) =>
          file.startsWith('test/') && !file.startsWith('test/peers/') && file.startsWith('test/long/') === long,
      )
      .flatMap(({ text }) => [...text.matchAll(/\bobtain\('([\w-]+)'\)/g)].map(([, name]) => name!))
  expect(named(false).filter(name => !(FOR_TESTS as readonly string[]).includes(name))).toEqual([])
  expect(named(true).filter(name => ![...FOR_TESTS, ...FOR_LONG_TESTS].some(known => known === name))).toEqual([])
})
