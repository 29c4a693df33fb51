import type { createServer } from 'node:http'
import { join } from 'node:path'
import { type Child, node, root, startChild } from './child.ts'
import { freePort } from './ports.ts'
import { type RunningProxy, startProxy } from './proxy.ts'

export interface Tier {
  readonly name: string
  /** Where the sidecar takes requests for it. */
  readonly inbound: number
  readonly outbound: number
  readonly app: number
  /** Null: the test is the application. */
  readonly child: Child | null
  readonly proxy: RunningProxy
}

/**
 * Four services that call each other in a row, a real sidecar beside each, all with one agent. Before the endpoint of
 * `beta` stands one where nobody listens. `gamma` is what the test makes of it: `serve` gets its ports.
 */
export async function startTiers(
  socket: string,
  serveGamma: (ports: { readonly app: number; readonly outbound: number }) => ReturnType<typeof createServer>,
): Promise<readonly Tier[]> {
  const names = ['alpha', 'beta', 'gamma', 'delta']
  const ports = await Promise.all(
    names.map(async () => ({ app: await freePort(), inbound: await freePort(), outbound: await freePort() })),
  )
  const dead = await freePort()
  return await Promise.all(
    names.map(async (name, index): Promise<Tier> => {
      const own = ports[index]!
      const next = names[index + 1] ?? ''
      const local = (port: number) => `127.0.0.1:${port}`
      const endpoints = next === '' ? [] : [local(ports[index + 1]!.inbound)]
      const proxy = await startProxy({
        service: name,
        agent: `unix:${socket}`,
        traces: { sample: 100 },
        inbound: [{ listen: local(own.inbound), forward: local(own.app) }],
        outbound: [{ listen: local(own.outbound) }],
        ...(next !== '' && {
          discovery: { endpoints: { [next]: next === 'beta' ? [local(dead), ...endpoints] : endpoints } },
          services: {
            [next]: {
              balancer: { type: 'round_robin' },
              retries: { attempts: 3, on: ['connect-failure'] },
              outliers: { consecutiveGatewayFailures: 0 },
            },
          },
        }),
      })
      if (name === 'gamma') {
        const server = serveGamma(own)
        await new Promise<void>(done => server.listen(own.app, '127.0.0.1', done))
        return { name, ...own, child: null, proxy }
      }
      const env = { PORT: String(own.app), SIDECAR: String(own.outbound), NEXT: next }
      const program = join(import.meta.dirname, 'tier-process.ts')
      const child = startChild(node, ['--import', join(root, 'propagate/main.ts'), program], env)
      await child.said('that it listens', out => out.includes('listens'))
      return { name, ...own, child, proxy }
    }),
  )
}
