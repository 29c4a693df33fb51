import { request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { hostname } from 'node:os'

/** What is true of every span of this host. */
export interface HostFacts {
  /** Resource attributes; another map when there is more of them. */
  attributes(): ReadonlyMap<string, string>
  stop(): void
}

export interface HostFactsOptions {
  /** Of the agent file and the environment: they count over what is found out. */
  readonly given: ReadonlyMap<string, string>
  /** The HTTP API of the Consul agent of this host; null: there is none. */
  readonly consul: ConsulAddress | null
}

export interface ConsulAddress {
  readonly address: string
  readonly token: string | null
}

const ASK_AGAIN_MS = 30_000
const TIMEOUT_MS = 3_000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export function hostFacts({ given, consul }: HostFactsOptions): HostFacts {
  const own = new Map([['host.name', hostname()], ...given])
  let attributes: ReadonlyMap<string, string> = own
  let timer: NodeJS.Timeout | null = null

  async function ask({ address, token }: ConsulAddress): Promise<void> {
    const found = await selfOf(address, token).catch(() => null)
    if (found !== null) attributes = new Map([...own, ...found, ...given])
    // A node keeps its name; Consul may only come up later than the agent.
    else timer = setTimeout(() => void ask({ address, token }), ASK_AGAIN_MS).unref()
  }

  if (consul !== null) void ask(consul)
  return {
    attributes: () => attributes,
    stop() {
      if (timer !== null) clearTimeout(timer)
    },
  }
}

interface Self {
  readonly Config?: { readonly NodeName?: unknown; readonly Datacenter?: unknown }
  readonly Meta?: Readonly<Record<string, unknown>> | null
}

async function selfOf(address: string, token: string | null): Promise<Map<string, string>> {
  const { Config, Meta } = JSON.parse(await get(new URL('/v1/agent/self', address), token)) as Self
  const facts = new Map<string, string>()
  const add = (name: string, value: unknown) => typeof value === 'string' && value !== '' && facts.set(name, value)
  add('consul.node', Config?.NodeName)
  add('consul.datacenter', Config?.Datacenter)
  add('cloud.availability_zone', Meta?.zone)
  return facts
}

function get(url: URL, token: string | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = token === null ? {} : { 'x-consul-token': token }
    const sent = (url.protocol === 'https:' ? secureRequest : request)(
      url,
      { headers, timeout: TIMEOUT_MS },
      response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          body += part
          if (body.length > MAX_ANSWER_BYTES) sent.destroy(new Error('the answer is too long'))
        })
        response.on('end', () =>
          response.statusCode === 200 ? resolve(body) : reject(new Error(`Consul answers ${response.statusCode}`)),
        )
        response.on('error', reject)
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('Consul does not answer')))
    sent.on('error', reject)
    sent.end()
  })
}
