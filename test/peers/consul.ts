import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable } from './find.ts'
import { countPackages, type Go, oneBuild, SMALL } from './go.ts'
import { unpackFromDebian11 } from './old-debian.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

const PACKAGE = 'github.com/hashicorp/consul'
/** v1.22.7 was tagged with an api/ newer than the v1.33.7 that its go.mod names. */
const API = 'v1.34.1'

/**
 * Builds Consul from the Go module proxy. Consul's go.mod has `replace` lines, so `go install pkg@version` is refused;
 * a module that merely requires it ignores them and takes the published versions.
 */
export function consulBuild(version: string): Way {
  const place = (folder: string) => join(`${folder}-${version}`, 'consul')
  return {
    describe: `go build ${PACKAGE}@v${version}`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder, tell) {
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await oneBuild(tell, go => build(go, version, work, tell))
        rmSync(`${folder}-${version}`, { recursive: true, force: true })
        renameSync(join(work, 'built'), `${folder}-${version}`)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

async function build({ path, env }: Go, version: string, work: string, tell: (state: string) => void): Promise<void> {
  // Go keeps what it compiles for the link in a folder of its own, which a build that is killed leaves behind.
  const options = { cwd: work, env: { ...env, GOTMPDIR: work }, timeoutMs: 1_800_000 }
  await must(path, ['mod', 'init', 'peers/consul'], options)
  await must(path, ['get', `${PACKAGE}@v${version}`, `${PACKAGE}/api@${API}`], {
    ...options,
    onLine: countPackages(tell),
  })
  const packages = (await must(path, ['list', '-deps', PACKAGE], options)).trim().split('\n').length
  mkdirSync(join(work, 'built'))
  await must(path, ['build', '-v', ...SMALL, '-o', join(work, 'built/consul'), PACKAGE], {
    ...options,
    onLine: countPackages(tell, packages),
  })
}

/**
 * Consul 1.8.7, from a Debian that still had it: seconds, but without what came later, such as the mark of filtered
 * answers.
 */
export function consulFromOldDebian(): Way {
  const place = (folder: string) => join(`${folder}-debian`, 'consul')
  return {
    describe: 'apt-get download consul, of Debian 11',
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await unpackFromDebian11(['consul'], work, join(work, 'unpacked'))
        mkdirSync(`${folder}-debian`, { recursive: true })
        copyFileSync(join(work, 'unpacked/usr/bin/consul'), place(folder))
        chmodSync(place(folder), 0o755)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}
