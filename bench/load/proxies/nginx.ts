import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain, versionOf } from '../../../test/peers/obtain.ts'
import { temporaryPaths } from '../traffic/nginx-backends.ts'
import type { Layout, ProxyProgram } from './proxy.ts'

export const nginx: ProxyProgram = {
  name: 'nginx',
  title: 'nginx',
  carries: ['http1'],
  metricsPath: null,
  prepare: async () => await versionOf('nginx', await obtain('nginx')),
  async command(layout) {
    const file = join(layout.folder, 'nginx.conf')
    writeFileSync(file, config(layout))
    return { command: await obtain('nginx'), args: ['-e', join(layout.folder, 'error.log'), '-c', file] }
  },
}

// One process (no master), which is the worker: its figures are the whole of nginx.
function config({ folder, listen, upstreams }: Layout): string {
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log error;
events { worker_connections 8192; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  # by default 16 KiB bodies pass through a file, and every request waits 40 ms for a delayed acknowledgement: nobody runs it so
  client_body_buffer_size 64k; client_max_body_size 64m;
  ${temporaryPaths(folder)}
  upstream web {
    least_conn;
    ${upstreams.map(port => `server 127.0.0.1:${port};`).join(' ')}
    keepalive 128; keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${listen} backlog=4096;
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 3;
      proxy_connect_timeout 1s;
    }
  }
}
`
}
