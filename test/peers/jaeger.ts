import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable, tool } from './find.ts'
import { countPackages, type Go, oneBuild } from './go.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

const MODULE = 'github.com/jaegertracing/jaeger'

/**
 * Builds Jaeger 2 from the Go module proxy. Its go.mod has a `replace` line, so `go install package@version` is refused:
 * it is built in a copy of the module's folder, with the checksums that the module brings. Without its UI, whose files
 * are in no module: `/` is a page that says so, and the query API is whole. With a `--config` of its own it is an
 * OpenTelemetry Collector. `tag`: 2.x is tagged without a /v2 module path, so the module proxy has the twin tag 1.x of
 * the same commit only, until 2.13 = 1.76.
 */
export function jaegerBuild(version: string, tag: string): Way {
  const place = (folder: string) => join(`${folder}-${version}`, 'jaeger')
  return {
    describe: `go build ${MODULE}/cmd/jaeger of ${tag}`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder, tell) {
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await oneBuild(tell, go => build(go, version, tag, work, tell))
        rmSync(`${folder}-${version}`, { recursive: true, force: true })
        renameSync(join(work, 'built'), `${folder}-${version}`)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

async function build(
  { path, env }: Go,
  version: string,
  tag: string,
  work: string,
  tell: (state: string) => void,
): Promise<void> {
  // Its own go.sum is complete, and nothing is to be added to it.
  const goFlags = (env.GOFLAGS ?? '').replace('-mod=mod', '-mod=readonly')
  const options = { cwd: work, env: { ...env, GOFLAGS: goFlags, GOTMPDIR: work }, timeoutMs: 1_800_000 }
  const told = await must(path, ['mod', 'download', '-json', `${MODULE}@${tag}`], options)
  const { Dir } = JSON.parse(told.slice(told.indexOf('{'), told.lastIndexOf('}') + 1)) as { Dir: string }
  const source = join(work, 'source')
  // Go keeps its modules read-only.
  cpSync(Dir, source, { recursive: true })
  await must(tool('chmod'), ['-R', 'u+w', source])
  const inSource = { ...options, cwd: source }
  await must(path, ['mod', 'download'], { ...inSource, onLine: countPackages(tell) })
  const program = './cmd/jaeger'
  const packages = (await must(path, ['list', '-deps', program], inSource)).trim().split('\n').length
  mkdirSync(join(work, 'built'))
  const flags = `-s -w -X ${MODULE}/internal/version.latestVersion=v${version}`
  await must(path, ['build', '-v', '-trimpath', '-ldflags', flags, '-o', join(work, 'built/jaeger'), program], {
    ...inSource,
    onLine: countPackages(tell, packages),
  })
}
