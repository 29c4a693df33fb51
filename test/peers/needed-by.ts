import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export interface TestFiles {
  /** They start no peer. */
  readonly alone: string[]
  readonly withPeers: string[]
  /** Of `npm run test:long`. */
  readonly long: string[]
}

/** Test files by what they need: those that import `obtain.ts`, directly or through others, need peers. */
export function testFiles(root: string): TestFiles {
  const obtain = join(root, 'test/peers/obtain.ts')
  const known = new Map<string, boolean>([[obtain, true]])
  const needsPeers = (file: string): boolean => {
    const answer = known.get(file)
    if (answer !== undefined) return answer
    known.set(file, false) // while it is being looked at: imports may go in a circle
    const needs = importsOf(file).some(needsPeers)
    known.set(file, needs)
    return needs
  }
  const files = globSync('test/**/*.test.ts', { cwd: root }).map(file => join(root, file))
  const named = (those: readonly string[]) => those.map(file => relative(root, file)).sort()
  const long = files.filter(file => file.startsWith(join(root, 'test/long/')))
  const usual = files.filter(file => !long.includes(file))
  return {
    alone: named(usual.filter(file => !needsPeers(file))),
    withPeers: named(usual.filter(needsPeers)),
    long: named(long),
  }
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.ts)'/g)].map(([, name]) =>
    join(dirname(file), name!),
  )
}
