import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isExecutable } from './find.ts'
import { countPackages, type Go, oneBuild, SMALL } from './go.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

/** Five minutes on two idle cores; a test run that shares them takes far longer. */
const BUILD_MS = 7_200_000

/** What of the build differs from one program to another. */
interface Build {
  /** The package that is built. */
  readonly program: string
  readonly describe: string
  /** Makes the throw-away module in `work`; resolves to the flags of the linker. */
  prepare(go: Go, work: string): Promise<string>
}

/**
 * Builds a program from the Go module proxy whose go.mod has `replace` or `exclude` lines, so that `go install` is refused:
 * a throw-away module that requires it ignores them.
 */
export function requiredBuild(name: string, module: string, program: string, version: string): Way {
  return throwAwayModule(name, version, {
    program,
    describe: `go build ${program}@${version}`,
    async prepare({ path, env }, work) {
      await must(path, ['mod', 'init', `outrigger.test/${name}`], { cwd: work, env })
      await must(path, ['get', `${module}@${version}`], { cwd: work, env, timeoutMs: BUILD_MS })
      return SMALL[2]!
    },
  })
}

export function throwAwayModule(name: string, version: string, { program, describe, prepare }: Build): Way {
  const place = (folder: string) => join(`${folder}-${version}`, name)
  return {
    describe,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder, tell) {
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await oneBuild(tell, async go => {
          const linker = await prepare(go, work)
          const built = join(work, 'built')
          mkdirSync(built)
          await must(go.path, ['build', '-v', '-trimpath', '-ldflags', linker, '-o', join(built, name), program], {
            cwd: work,
            env: { ...go.env, GOTMPDIR: work },
            timeoutMs: BUILD_MS,
            onLine: countPackages(tell),
          })
        })
        rmSync(`${folder}-${version}`, { recursive: true, force: true })
        renameSync(join(work, 'built'), `${folder}-${version}`)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}
