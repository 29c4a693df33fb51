import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain, versionOf } from '../../../test/peers/obtain.ts'
import type { Layout, ProxyProgram } from './proxy.ts'

export const haproxy: ProxyProgram = {
  name: 'haproxy',
  title: 'HAProxy',
  carries: ['http1', 'h2', 'grpc', 'tcp'],
  metricsPath: null,
  prepare: async () => await versionOf('haproxy', await obtain('haproxy')),
  async command(layout) {
    const file = join(layout.folder, 'haproxy.cfg')
    writeFileSync(file, config(layout))
    return { command: await obtain('haproxy'), args: ['-db', '-f', file] }
  },
}

// Layer-7 retries like the others' (an answer that never began), so its share of the work is the same.
function config({ listen, upstreams, traffic }: Layout): string {
  return `global
  nbthread 1
  maxconn 8000
defaults
  mode ${traffic === 'tcp' ? 'tcp' : 'http'}
  timeout connect 1s
  timeout client 5m
  timeout server 15s
${traffic === 'tcp' ? '' : '  timeout http-keep-alive 5m\n'}  option redispatch
  retries 2
${traffic === 'tcp' ? '' : '  retry-on conn-failure empty-response\n  http-reuse safe\n'}frontend in
  bind 127.0.0.1:${listen} backlog 4096
  default_backend web
backend web
  balance leastconn
${upstreams.map((port, index) => `  server s${index + 1} 127.0.0.1:${port}${traffic === 'http1' || traffic === 'tcp' ? '' : ' proto h2'}`).join('\n')}
`
}
