import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must } from './shell.ts'
import { throwAwayModule } from './throw-away-module.ts'
import type { Way } from './way.ts'

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
