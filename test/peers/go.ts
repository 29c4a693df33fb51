import { existsSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { installPackage } from './apt.ts'
import { isExecutable, onPath } from './find.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

// Where Go's own archive unpacks itself, which is seldom on PATH.
const GO_FOLDER = '/usr/local/go/bin/go'

/** Builds a Go program into the cache. */
export function goInstall(program: string, version: string): Way {
  const place = (folder: string) => join(folder, basename(program))
  return {
    describe: `go install ${program}@${version}, into the cache`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      mkdirSync(folder, { recursive: true })
      await must(await findGo(), ['install', `${program}@${version}`], { env: { GOBIN: folder, GOFLAGS: '-mod=mod' } })
      return place(folder)
    },
  }
}

async function findGo(): Promise<string> {
  const found = onPath(['go']) ?? (existsSync(GO_FOLDER) ? GO_FOLDER : null)
  if (found !== null) return found
  await installPackage('golang-go')
  const installed = onPath(['go'])
  if (installed === null) throw new Error('golang-go is installed, but there is no `go` on PATH')
  return installed
}
