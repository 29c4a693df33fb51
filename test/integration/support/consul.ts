import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { type Child, run, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

export interface ConsulAgent extends AsyncDisposable {
  readonly node: string
  readonly datacenter: string
  /** `http://127.0.0.1:port` of its HTTP API. */
  readonly address: string
  readonly ports: ConsulPorts
  readonly folder: string
  child(): Child
  /**
   * Calls the HTTP API; the body is read as JSON where it is. Throws on a status of 400 and more, unless asked not to.
   */
  api(method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown, token?: string): Promise<unknown>
  /** Resolves once there is a leader and the node is in the catalog. */
  ready(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** With the same ports; `keep` false: with an empty data folder. */
  restart(keep?: boolean): Promise<void>
  stop(): Promise<void>
}

export interface ConsulPorts {
  readonly http: number
  readonly https: number
  readonly server: number
  readonly serfLan: number
  readonly serfWan: number
  /** xDS, where it is asked for. */
  readonly grpc: number
}

export interface ConsulOptions {
  readonly node?: string
  readonly datacenter?: string
  /** Servers that found the cluster; 0: a client agent. */
  readonly servers?: number
  /** Serf LAN addresses to join, and WAN. */
  readonly join?: readonly string[]
  readonly joinWan?: readonly string[]
  /** More of the configuration of the agent. */
  readonly config?: Readonly<Record<string, unknown>>
  /** For `api` where no other is given. */
  readonly token?: string
  readonly https?: boolean
  /** The port of its name server; absent: it has none. */
  readonly dns?: number
  /** It also drives Envoy. */
  readonly grpc?: boolean
}

/** A real Consul agent on loopback ports: one server by default, which is a whole cluster. */
export async function startConsul(options: ConsulOptions = {}): Promise<ConsulAgent> {
  const ports: ConsulPorts = {
    http: await freePort(),
    https: await freePort(),
    server: await freePort(),
    serfLan: await freePort(),
    serfWan: await freePort(),
    grpc: await freePort(),
  }
  const binary = await obtain('consul')
  return await agent(binary, ports, options)
}

/** So many servers that are one cluster; resolves when there is a leader and each knows it. */
export async function startCluster(count: number, options: ConsulOptions = {}): Promise<ConsulAgent[]> {
  const first = await startConsul({ ...options, node: 'server-1', servers: count })
  const join = [`127.0.0.1:${first.ports.serfLan}`]
  const others = Array.from({ length: count - 1 }, (_, i) =>
    startConsul({ ...options, node: `server-${i + 2}`, servers: count, join }),
  )
  const all = [first, ...(await Promise.all(others))]
  await Promise.all(all.map(server => server.ready()))
  return all
}

/** Which of them leads now. */
export async function leaderOf(servers: readonly ConsulAgent[]): Promise<ConsulAgent> {
  return await until('a leader', async () => {
    for (const server of servers) {
      const leader = await server.api('GET', '/v1/status/leader').catch(() => '')
      const found = servers.find(({ ports }) => leader === `127.0.0.1:${ports.server}`)
      if (found !== undefined) return found
    }
    return null
  })
}

async function agent(binary: string, ports: ConsulPorts, options: ConsulOptions): Promise<ConsulAgent> {
  const { node = 'server-1', datacenter = 'dc1', servers = 1, token } = options
  const folder = temporaryFolder()
  let generation = 0
  let child = start()

  function start(): Child {
    const data = join(folder, `data-${generation}`)
    mkdirSync(data, { recursive: true })
    const file = join(folder, 'agent.json')
    writeFileSync(file, JSON.stringify(configuration(ports, data, { ...options, node, datacenter, servers })))
    return startChild(binary, ['agent', '-config-file', file])
  }

  const self: ConsulAgent = {
    node,
    datacenter,
    address: `http://127.0.0.1:${ports.http}`,
    ports,
    folder,
    child: () => child,
    async api(method, path, body, own = token) {
      const response = await fetch(`http://127.0.0.1:${ports.http}${path}`, {
        method,
        headers: own === undefined ? {} : { 'x-consul-token': own },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return text === '' ? null : JSON.parse(text)
    },
    async ready() {
      await until(`${node} has a leader and is in the catalog`, async () => {
        if (!child.running()) throw new Error(`Consul has ended: ${child.out().slice(-3000)}`)
        const known = await self.api('GET', `/v1/health/node/${node}`).catch(() => [])
        return (known as unknown[]).length > 0
      })
    },
    async kill() {
      child.signal('SIGKILL')
      await child.ended
    },
    async restart(keep = true) {
      await self.kill()
      if (!keep) generation++
      child = start()
    },
    async stop() {
      // It has nothing to lose, and leaving a cluster takes seconds.
      await self.kill()
    },
    async [Symbol.asyncDispose]() {
      await self.stop()
    },
  }
  return self
}

function configuration(
  ports: ConsulPorts,
  data: string,
  {
    node,
    datacenter,
    servers = 1,
    join: lan = [],
    joinWan = [],
    config = {},
    https = false,
    grpc = false,
    dns = -1,
  }: ConsulOptions,
): object {
  return {
    node_name: node,
    datacenter,
    data_dir: data,
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    server: servers > 0,
    ...(servers > 0 ? { bootstrap_expect: servers } : {}),
    retry_join: lan,
    ...(servers > 0 && joinWan.length > 0 ? { retry_join_wan: joinWan } : {}),
    retry_interval: '1s',
    retry_interval_wan: '1s',
    ports: {
      http: ports.http,
      https: https ? ports.https : -1,
      server: ports.server,
      serf_lan: ports.serfLan,
      serf_wan: servers > 0 ? ports.serfWan : -1,
      dns,
      grpc: grpc ? ports.grpc : -1,
      grpc_tls: -1,
    },
    // Quick elections, as a test should not wait for what only slow networks need.
    performance: { raft_multiplier: 1 },
    disable_update_check: true,
    skip_leave_on_interrupt: true,
    leave_on_terminate: false,
    log_level: 'warn',
    connect: { enabled: true },
    ...config,
  }
}

export interface TlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A certificate authority of its own, certificates of a server in `dc1` and of clients; `client` makes another one. */
export async function consulTls(): Promise<{ readonly server: TlsFiles; client(): Promise<TlsFiles> }> {
  const folder = temporaryFolder()
  const ca = join(folder, 'consul-agent-ca.pem')
  await consulCommand(['tls', 'ca', 'create'], folder)
  await consulCommand(['tls', 'cert', 'create', '-server', '-dc', 'dc1'], folder)
  let made = 0
  const files = (kind: string) => ({
    ca,
    cert: join(folder, `dc1-${kind}.pem`),
    key: join(folder, `dc1-${kind}-key.pem`),
  })
  return {
    server: files('server-consul-0'),
    async client() {
      await consulCommand(['tls', 'cert', 'create', '-client', '-dc', 'dc1'], folder)
      return files(`client-consul-${made++}`)
    },
  }
}

/** What `consul` prints, run in a folder. */
export async function consulCommand(args: readonly string[], folder: string): Promise<string> {
  const { code, out, err } = await run(await obtain('consul'), args, {}, folder)
  if (code !== 0) throw new Error(`consul ${args.join(' ')}: ${out}${err}`)
  return out
}
