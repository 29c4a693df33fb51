import { execFile } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { progress } from '../progress.ts'
import { type Features, type Layout, type ProxyProgram, RULES } from './proxy.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
/** As installed: without the sources beside it, so the launcher takes dist/. */
const INSTALLED = join(ROOT, '.cache/bench-install')
const PROGRAM = join(INSTALLED, 'bin/outrigger.js')
const SOURCES = ['mesh-config', 'proxy', 'agent', 'cli']

export const outrigger: ProxyProgram = {
  name: 'outrigger',
  title: 'Outrigger',
  carries: ['http1', 'h2', 'grpc', 'tcp'],
  metricsPath: '/metrics',
  traces: true,
  async prepare() {
    if (isStale()) {
      progress('npm run build (dist/ is older than the sources)')
      await promisify(execFile)(process.execPath, ['scripts/build.js'], { cwd: ROOT, timeout: 180_000 }).catch(
        (error: Error & { stdout?: string }) => {
          throw new Error(
            `npm run build failed: ${(error.stdout || error.message).trim().split('\n').slice(-5).join('\n')}`,
          )
        },
      )
    }
    install()
    return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
  },
  async command(layout) {
    const file = join(layout.folder, 'sidecar.yaml')
    writeFileSync(file, stringify(sidecar(layout)))
    return { command: process.execPath, args: [PROGRAM, 'proxy', '-c', file], env: { NODE_ENV: 'production' } }
  },
}

function install(): void {
  rmSync(INSTALLED, { recursive: true, force: true })
  mkdirSync(join(INSTALLED, 'bin'), { recursive: true })
  copyFileSync(join(ROOT, 'bin/outrigger.js'), PROGRAM)
  copyFileSync(join(ROOT, 'package.json'), join(INSTALLED, 'package.json'))
  symlinkSync(join(ROOT, 'dist'), join(INSTALLED, 'dist'))
}

const PROTOCOL = { http1: {}, h2: { protocol: 'http2' }, grpc: { protocol: 'grpc' }, tcp: { protocol: 'tcp' } } as const

function sidecar({ folder, listen, admin, upstreams, traffic, features }: Layout): object {
  const retries = { on: ['connect-failure', 'refused-stream', 'reset-before-response'], attempts: 2 }
  return {
    service: 'bench',
    admin: `127.0.0.1:${admin}`,
    outbound: [{ listen: `127.0.0.1:${listen}`, service: 'web' }],
    discovery: { endpoints: { web: upstreams.map(port => `127.0.0.1:${port}`) } },
    ...(features.startsWith('traces') ? { traces: tracesOf(features, upstreams[0]!) } : {}),
    accessLog: features === 'full' ? { format: 'json', path: join(folder, 'access.log') } : 'off',
    services: {
      web: {
        ...PROTOCOL[traffic],
        balancer: { type: 'least_request' },
        ...(features === 'bare' ? {} : { retries }),
        ...rulesOf(features),
      },
    },
  }
}

function rulesOf(features: Features): object {
  return features in RULES ? RULES[features as keyof typeof RULES] : {}
}

function tracesOf(features: Features, collector: number): object {
  return { sample: features === 'traces-1' ? 1 : 100, export: `http://127.0.0.1:${collector}` }
}

/** What is measured is what is shipped: dist/, never the sources run through type stripping. */
function isStale(): boolean {
  const built = newest(join(ROOT, 'dist'))
  return built === 0 || SOURCES.some(folder => newest(join(ROOT, folder)) > built)
}

function newest(folder: string): number {
  if (!existsSync(folder)) return 0
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return Math.max(0, ...files.map(entry => statSync(join(entry.parentPath, entry.name)).mtimeMs))
}
