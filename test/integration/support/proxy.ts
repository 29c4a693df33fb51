import { renameSync, writeFileSync } from 'node:fs'
import { type Agent, request } from 'node:http'
import { join } from 'node:path'
import type { EndpointsAnswer, FlightsAnswer } from '../../../proxy/core/channel.ts'
import { type Child, node, root, startChild, temporaryFolder } from './child.ts'
import { type Metrics, parseMetrics } from './metrics.ts'
import { freePort } from './ports.ts'

/** A sidecar file, as one would write it. JSON is YAML. */
export type Config = Readonly<Record<string, unknown>>

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

export interface RunningProxy extends Child {
  readonly file: string
  readonly adminPort: number
  /** Writes the file as an editor does: whole, then renamed. It is watched, so this is a reload. */
  write(config: Config | string): void
  admin(
    path: string,
    options?: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answer>
  metrics(): Promise<Metrics>
  endpoints(service: string): Promise<EndpointsAnswer['services'][number]['endpoints']>
  flights(): Promise<FlightsAnswer['flights']>
  /** Resident memory of the process, in MiB. */
  rss(): Promise<number>
}

export const outrigger = join(root, 'bin/outrigger.js')

/** The program that users run, with its file in a folder of its own. Resolves once it is ready. */
export async function startProxy(config: Config, env: NodeJS.ProcessEnv = {}): Promise<RunningProxy> {
  const adminPort = await freePort()
  const file = join(temporaryFolder(), 'sidecar.yaml')
  const write = (next: Config | string) => {
    const whole =
      typeof next === 'string'
        ? next
        : JSON.stringify({ admin: `127.0.0.1:${adminPort}`, drain: { delay: '0s', timeout: '2s' }, ...next }, null, 2)
    writeFileSync(`${file}.new`, whole)
    renameSync(`${file}.new`, file)
  }
  write(config)
  const child = startChild(node, [outrigger, 'proxy', '-c', file], { XDG_STATE_HOME: temporaryFolder(), ...env })
  const proxy: RunningProxy = {
    ...child,
    file,
    adminPort,
    write,
    admin: (path, options = {}) => get(adminPort, path, options),
    async metrics() {
      return parseMetrics((await get(adminPort, '/metrics')).body)
    },
    async endpoints(service) {
      const { body } = await get(adminPort, `/endpoints?service=${service}`)
      return (JSON.parse(body) as EndpointsAnswer).services.flatMap(({ endpoints }) => endpoints)
    },
    async flights() {
      return (JSON.parse((await get(adminPort, '/flights')).body) as FlightsAnswer).flights
    },
    async rss() {
      return (await proxy.metrics()).value('process_resident_memory_bytes') / 2 ** 20
    },
  }
  await proxy.said('the lines of a ready proxy', (out, err) => /^admin /m.test(out + err))
  return proxy
}

export interface GetOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly agent?: Agent
}

/** One request, on a connection of its own where there is no agent; its answer read whole. */
export function get(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body, agent }: GetOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: agent ?? false }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.setTimeout(120_000, () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
    sent.end(body)
  })
}
