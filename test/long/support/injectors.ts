import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, root, startChild, temporaryFolder } from '../../integration/support/child.ts'
import { freePort } from '../../integration/support/ports.ts'
import { until } from '../../integration/support/until.ts'
import type { Cluster } from './cluster.ts'

/** `outrigger injector` as a process of this machine. */
export interface Replica extends Child {
  readonly port: number
  readonly probes: number
}

/**
 * So many replicas behind a real API server, with the rights that deploy/ gives them. The API server calls the first
 * one. `more`: options of the command.
 */
export async function startInjectors(
  cluster: Cluster,
  count: number,
  more: readonly string[] = [],
): Promise<readonly Replica[]> {
  const port = await freePort()
  // As it stands, but that this API server calls by a URL: there is no network of pods.
  const deployed = readFileSync(join(root, 'deploy/kubernetes/injector.yaml'), 'utf8')
  const url = deployed.replaceAll(
    /service: \{ name: outrigger-injector, .*\}/g,
    `url: "https://127.0.0.1:${port}/mutate"`,
  )
  if (url === deployed) throw new Error('deploy/kubernetes/injector.yaml names the Service in another form')
  const file = join(temporaryFolder(), 'injector.yaml')
  writeFileSync(file, url)
  const applied = await cluster.kubectl('apply', '-f', file)
  if (applied.code !== 0 || /error/i.test(applied.err)) throw new Error(applied.err)
  const account = await cluster.serviceAccount('outrigger-system', 'outrigger-injector')
  const replicas: Replica[] = []
  for (let index = 0; index < count; index++)
    replicas.push(await startReplica(cluster, account, index === 0 ? port : await freePort(), more))
  for (const replica of replicas) await until('that it is ready', () => isReady(replica))
  return replicas
}

async function startReplica(
  { server }: Cluster,
  account: string,
  port: number,
  more: readonly string[],
): Promise<Replica> {
  const probes = await freePort()
  const child = startChild(node, [
    join(root, 'bin/outrigger.js'),
    'injector',
    `--listen=127.0.0.1:${port}`,
    `--probes=127.0.0.1:${probes}`,
    `--api-server=${server}`,
    `--service-account=${account}`,
    '--hosts=127.0.0.1',
    '--round=1',
    '--drain=0',
    ...more,
  ])
  return Object.assign(child, { port, probes })
}

async function isReady(replica: Replica): Promise<boolean> {
  if (!replica.running()) throw new Error(`it ended: ${replica.err()}`)
  const answer = await fetch(`http://127.0.0.1:${replica.probes}/readyz`).catch(() => null)
  return answer?.status === 200
}
