import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
 * Builds etcd from the Go module proxy. Its own go.mod replaces its siblings, so `go install` is refused: it is built
 * by a throw-away module that requires it.
 */
export function etcdBuild(version: string): Way {
  const module = 'go.etcd.io/etcd/server/v3'
  return throwAwayModule('etcd', version, {
    program: module,
    describe: `go build ${module}@${version}`,
    async prepare({ path, env }, work) {
      await must(path, ['mod', 'init', 'outrigger.test/etcd'], { cwd: work, env })
      await must(path, ['get', `${module}@${version}`], { cwd: work, env, timeoutMs: BUILD_MS })
      return SMALL[2]!
    },
  })
}

/**
 * Builds a program of Kubernetes from the Go module proxy. k8s.io/kubernetes replaces its staging modules by folders of
 * its repository; the same code is published as k8s.io/<name> v0.MINOR.PATCH, so a throw-away module replaces each one
 * with that version.
 */
export function kubernetesBuild(name: 'kube-apiserver' | 'kubelet' | 'kubectl', version: string): Way {
  return throwAwayModule(name, version, {
    program: `k8s.io/kubernetes/cmd/${name}`,
    describe: `go build k8s.io/kubernetes/cmd/${name} of ${version}`,
    async prepare({ path, env }, work) {
      const told = await must(path, ['mod', 'download', '-json', `k8s.io/kubernetes@${version}`], { cwd: work, env })
      const { Dir } = JSON.parse(told.slice(told.indexOf('{'), told.lastIndexOf('}') + 1)) as { Dir: string }
      const lines = readFileSync(join(Dir, 'go.mod'), 'utf8').split('\n')
      const staging = `v0.${version.replace('v1.', '')}`
      writeFileSync(
        join(work, 'go.mod'),
        [
          'module outrigger.test/kubernetes',
          ...lines.filter(line => /^(go|godebug) /.test(line)),
          `require k8s.io/kubernetes ${version}`,
          ...lines.flatMap(line => {
            const replaced = /^\s*(k8s\.io\/[a-z0-9-]+) => \.\/staging/.exec(line)?.[1]
            return replaced === undefined ? [] : [`replace ${replaced} => ${replaced} ${staging}`]
          }),
          '',
        ].join('\n'),
      )
      // Its checksums; those of the staging modules are added by Go.
      copyFileSync(join(Dir, 'go.sum'), join(work, 'go.sum'))
      const versionPackage = 'k8s.io/component-base/version'
      const minor = version.split('.')[1]
      return `-s -w -X ${versionPackage}.gitVersion=${version} -X ${versionPackage}.gitMajor=1 -X ${versionPackage}.gitMinor=${minor}`
    },
  })
}

function throwAwayModule(name: string, version: string, { program, describe, prepare }: Build): Way {
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
