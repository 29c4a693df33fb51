import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../test/peers/obtain.ts'

/**
 * Writes deploy/kubernetes/injector.yaml, for those who do without Helm: the chart's injector, in a namespace. It needs
 * Helm, so `npm run docs` leaves it out; a long test compares.
 */

const root = join(import.meta.dirname, '..')
export const injectorFile = join(root, 'deploy/kubernetes/injector.yaml')

const HEAD = `# The webhook that adds the sidecar to pods: docs/kubernetes.md.
#
#   kubectl apply -f injector.yaml
#   kubectl label namespace shop outrigger.io/inject=enabled
#
# scripts/injector-manifest.ts writes this: it is the chart in deploy/helm/outrigger with nothing but the injector.
apiVersion: v1
kind: Namespace
metadata:
  name: outrigger-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
`

export function injectorManifest(helm: string): string {
  const only = ['--set=agent.enabled=false', '--set=discovery.clusterRole=false']
  const args = ['template', 'outrigger', join(root, 'deploy/helm/outrigger'), '--namespace=outrigger-system', ...only]
  const lines = execFileSync(helm, args, { encoding: 'utf8' }).split('\n')
  // What is of Helm, and the empty lines between objects.
  const kept = lines.filter(line => !/^# Source: |^ +(helm\.sh\/chart|app\.kubernetes\.io\/managed-by): |^$/.test(line))
  return `${HEAD}${kept.join('\n')}\n`
}

if (import.meta.main) writeFileSync(injectorFile, injectorManifest(await obtain('helm')))
