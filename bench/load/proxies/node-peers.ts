import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ProxyProgram } from './proxy.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

export const undici = nodePeer('undici', 'node:http + undici', 'undici')
export const httpProxy3 = nodePeer('http-proxy', 'http-proxy-3', 'http-proxy-3')

function nodePeer(name: string, title: string, packageName: string): ProxyProgram {
  return {
    name,
    title,
    carries: ['http1'],
    metricsPath: null,
    async prepare() {
      try {
        return (
          JSON.parse(readFileSync(join(ROOT, 'node_modules', packageName, 'package.json'), 'utf8')) as {
            version: string
          }
        ).version
      } catch {
        throw new Error(`the package ${packageName} is not installed: \`npm ci\` brings it`)
      }
    },
    async command({ listen, upstreams }) {
      const file = join(import.meta.dirname, '../peers', `${packageName}-proxy.ts`)
      return {
        command: process.execPath,
        args: [file, String(listen), ...upstreams.map(String)],
        env: { NODE_ENV: 'production' },
      }
    },
  }
}
