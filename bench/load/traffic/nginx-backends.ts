import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../../test/peers/obtain.ts'
import { start, temporaryFolder } from '../children.ts'
import { freePort } from '../ports.ts'
import { ask, waitUntil } from '../ready.ts'
import type { Backends } from './traffic.ts'

/** Three upstreams in one nginx process, on the load's core. */
export async function startNginx(): Promise<Backends> {
  const folder = join(temporaryFolder(), 'backends')
  mkdirSync(join(folder, 'www'), { recursive: true })
  writeFileSync(join(folder, 'www/16k'), Buffer.alloc(16 * 1024, 'x'))
  writeFileSync(join(folder, 'www/1m'), Buffer.alloc(1024 * 1024, 'x'))
  const ports = [await freePort(), await freePort(), await freePort()]
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, nginxConfig(folder, ports))
  const child = start(
    'backends',
    { command: await obtain('nginx'), args: ['-e', join(folder, 'error.log'), '-c', file] },
    null,
  )
  for (const port of ports) await waitUntil(child, () => ask(port, '/', { timeoutMs: 1000 }), 10_000)
  return { ports, children: [child] }
}

function nginxConfig(folder: string, ports: readonly number[]): string {
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log error;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  client_body_buffer_size 64k; client_max_body_size 64m;
  ${temporaryPaths(folder)}
  server {
    ${ports.map(port => `listen 127.0.0.1:${port} backlog=4096;`).join(' ')}
    root ${folder}/www;
    location = / { return 200 "ok\\n"; }
    # \`return\` would answer before the body is there. The mirror makes nginx read all of it first, at the price of an internal
    # subrequest; then the static file refuses the POST, and the refusal becomes the answer.
    location = /post { mirror /read; mirror_request_body on; error_page 405 =200 @ok; try_files /16k =404; }
    # The collector of traces.
    location = /v1/traces { mirror /read; mirror_request_body on; error_page 405 =200 @taken; try_files /16k =404; }
    location @taken { default_type application/x-protobuf; return 200 ""; }
    location = /read { internal; return 204; }
    location @ok { return 200 "ok\\n"; }
  }
}
`
}

/** nginx wants a folder for each of these, used or not; the built-in ones need root. */
export function temporaryPaths(folder: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ')
}
