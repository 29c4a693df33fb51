import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type Json, mapOf, mapsOf } from '../../../inject/shape.ts'
import { type Child, node, root, run, startChild, temporaryFolder } from '../../integration/support/child.ts'
import { freePort } from '../../integration/support/ports.ts'
import { until } from '../../integration/support/until.ts'
import { obtain } from '../../peers/obtain.ts'
import type { Cluster } from './cluster.ts'
import { ownAddress, sliceObject } from './cluster-objects.ts'

export const chart = join(root, 'deploy/helm/outrigger')
export const NAMESPACE = 'outrigger-system'

/** A real Helm, as the administrator of this cluster. */
export async function helmOf(cluster: Cluster | null): Promise<(...args: string[]) => ReturnType<typeof run>> {
  const binary = await obtain('helm')
  const folder = temporaryFolder()
  return (...args) => run(binary, args, { KUBECONFIG: cluster?.kubeconfig ?? '/dev/null', HOME: folder })
}

/** What it printed; throws where it failed. */
export function good({ code, out, err }: { code: number | null; out: string; err: string }): string {
  if (code !== 0) throw new Error(`it ended with ${code}: ${out}${err}`)
  return out
}

export function objectsIn(text: string): Json[] {
  return parseAllDocuments(text)
    .map(document => mapOf(document.toJS()))
    .filter(({ kind }) => kind !== undefined)
}

/**
 * The injector of the release, as its Deployment has it but for where things are: outside of the cluster, with the
 * rights of its service account. Its Service leads to it.
 */
export async function startInjector(cluster: Cluster, deployment: Json): Promise<Child & { readonly port: number }> {
  const name = String(mapOf(deployment.metadata).name)
  const pod = mapOf(mapOf(mapOf(deployment.spec).template).spec)
  const [container] = mapsOf(pod.containers)
  const [port, probes] = [await freePort(), await freePort()]
  // What the kubelet would make of the ConfigMap.
  const { body } = await cluster.admin.ask('GET', `/api/v1/namespaces/${NAMESPACE}/configmaps/${name}`)
  const base = join(temporaryFolder(), 'base.yaml')
  writeFileSync(base, String(mapOf(body.data)['base.yaml']))
  const args = (container!.args as string[]).filter(arg => !/^--(base|listen|probes)=/.test(arg))
  const child = startChild(node, [
    join(root, 'bin/outrigger.js'),
    ...args,
    `--base=${base}`,
    `--listen=0.0.0.0:${port}`,
    `--probes=127.0.0.1:${probes}`,
    `--api-server=${cluster.server}`,
    `--service-account=${await cluster.serviceAccount(NAMESPACE, String(pod.serviceAccountName))}`,
    '--round=1',
    '--drain=0',
  ])
  await pointTo(cluster, name, port)
  await until('that the injector is ready', async () => {
    if (!child.running()) throw new Error(`it ended: ${child.err()}`)
    return (await fetch(`http://127.0.0.1:${probes}/readyz`).catch(() => null))?.status === 200
  })
  return Object.assign(child, { port })
}

/** What a controller would write for the pods of a Service. */
async function pointTo(cluster: Cluster, service: string, port: number): Promise<void> {
  const ports = [{ name: 'https-webhook', port }]
  const endpoints = [{ address: ownAddress(), conditions: { ready: true } }]
  await cluster.apply(sliceObject(NAMESPACE, service, `${service}-test`, ports, endpoints))
}
