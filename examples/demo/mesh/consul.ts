import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { get } from '../../support/get.ts'
import { type Running, startNode } from '../../support/processes.ts'

const RUN_BINARY = resolve(import.meta.dirname, '../../support/run-binary.ts')
const READY_WITHIN_MS = 20_000

/** A Consul of the demo's own: one server, in memory, on loopback. Resolves when it has a leader. */
export async function startConsul(
  binary: string,
  folder: string,
  port: number,
  onEnd: (text: string) => void,
): Promise<Running> {
  // What it does not need is off (-1), so that it can stand beside a Consul that is there already.
  const ports = [
    '-http-port',
    port,
    '-serf-lan-port',
    port + 1,
    '-serf-wan-port',
    port + 2,
    '-server-port',
    port + 3,
    '-dns-port',
    -1,
    '-grpc-port',
    -1,
  ]
  const args = ['agent', '-dev', '-bind=127.0.0.1', '-log-level=warn', '-grpc-tls-port=-1', ...pairs(ports)]
  const consul = startNode('consul', [RUN_BINARY, binary, ...args], {}, join(folder, 'consul.log'), how =>
    onEnd(`consul ended: ${how}`),
  )
  const giveUpAt = performance.now() + READY_WITHIN_MS
  for (;;) {
    const how = consul.ended()
    if (how !== null) throw new Error(`Consul ended instead of starting (${how}). It printed:\n${consul.lastWords(8)}`)
    // A leader is an address in quotes.
    const leader = await get(port, '/v1/status/leader', { timeoutMs: 1_000 }).then(
      ({ body }) => body.trim(),
      () => '',
    )
    if (leader.length > 2) return consul
    if (performance.now() > giveUpAt)
      throw new Error(`Consul had no leader within ${READY_WITHIN_MS / 1000} s. It printed:\n${consul.lastWords(8)}`)
    await sleep(50)
  }
}

function pairs(flags: readonly (string | number)[]): string[] {
  return flags.flatMap((flag, index) => (index % 2 === 0 ? [`${flag}=${flags[index + 1]}`] : []))
}
