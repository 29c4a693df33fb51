import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { get } from './proxy.ts'
import { until } from './until.ts'

export interface Nginx extends Child {
  readonly port: number
  readonly address: string
  /** What `root` serves, and where PUT stores. */
  readonly www: string
  /** A request each: [number of its connection, its number on that connection, method, path, status]. */
  log(): string[][]
  /** Resolves once the log has so many requests whose path begins so. */
  logged(prefix: string, count: number): Promise<string[][]>
  reload(): Promise<void>
}

export interface NginxOptions {
  /** Further lines of its `server` block; `www` is its root. */
  readonly server?: (www: string) => string
  readonly workers?: number
}

/** A real nginx on a loopback port. */
export async function startNginx({ server = () => '', workers = 1 }: NginxOptions = {}): Promise<Nginx> {
  const folder = temporaryFolder()
  const www = join(folder, 'www')
  mkdirSync(www)
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  // As root its workers would become another user, who may not write here.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ')
  writeFileSync(
    file,
    `${user} daemon off; master_process on; worker_processes ${workers}; pid ${folder}/pid; error_log ${folder}/error.log notice; worker_shutdown_timeout 10s;
events { worker_connections 4096; }
http {
  log_format short '$connection $connection_requests $request_method $uri $status';
  access_log ${folder}/access.log short;
  ${paths}
  client_max_body_size 0; large_client_header_buffers 8 64k;
  sendfile on; keepalive_timeout 300s; keepalive_requests 1000000; etag on;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${www};
    ${server(www)}
  }
}
`,
  )
  const child = startChild(await obtain('nginx'), ['-e', join(folder, 'error.log'), '-c', file])
  await until('nginx listens', () => !child.running() || get(port, '/').then(Boolean, () => false))
  if (!child.running()) throw new Error(`nginx did not start: ${child.err()}${textOf(join(folder, 'error.log'))}`)
  const log = () =>
    textOf(join(folder, 'access.log'))
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.split(' '))
  const pids = () => textOf(join(folder, 'error.log')).match(/start worker process \d+/g)?.length ?? 0
  return {
    ...child,
    port,
    address: `127.0.0.1:${port}`,
    www,
    log,
    logged: (prefix, count) =>
      until(`${count} requests for ${prefix} in the log of nginx`, () => {
        const lines = log().filter(line => line[3]!.startsWith(prefix))
        return lines.length >= count && lines
      }),
    async reload() {
      const before = pids()
      child.signal('SIGHUP')
      await until('new workers of nginx', () => pids() > before)
    },
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
