import { fileURLToPath } from 'node:url'
import type { OwnPolicies } from '../../mesh-config/own-policy.ts'
import type { Clock } from '../core/clock.ts'
import { cachedConfig } from './config-cache.ts'
import type { ChildLine, EffectiveConfig, LoadedConfig, RefusedConfig } from './loaded-config.ts'

/** Hundreds of services take a second or two on a busy machine. */
const LIMIT_MS = 60_000

/** The program of the child. */
const reader = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './load-config.ts' : './load-config.js', import.meta.url),
)

/**
 * For a start: as `loadConfig`, and without a child where the files and all they depend on are as they were the last
 * time.
 */
export async function firstConfig(files: readonly string[], clock: Clock): Promise<LoadedConfig | RefusedConfig> {
  const kept = cachedConfig(files, reader)
  if (kept === null) return loadConfig(files, clock)
  const { config, effective } = kept
  return {
    ...config,
    effective: Promise.resolve({
      json: () => packed(effective()).json(),
      text: () => packed(effective()).text(),
      own: () => packed(effective()).own(),
    }),
  }
}

/**
 * Reads and checks the files in a process of its own, which ends afterwards: the schema and YAML libraries would cost
 * this process 20 MB for good, and no file, however large or odd, can hold it up. Never rejects.
 */
export function loadConfig(files: readonly string[], clock: Clock): Promise<LoadedConfig | RefusedConfig> {
  return new Promise(resolve => {
    // In a group of its own: a signal to the group of the proxy (kill -HUP -<pid>, Ctrl-C) is not for its reader.
    const { spawn } = process.getBuiltinModule('node:child_process')
    const child = spawn(process.execPath, [reader, ...files], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let effective: (config: EffectiveConfig) => void
    const effectiveLater = new Promise<EffectiveConfig>(given => (effective = given))
    let lastWords = ''
    let rest = ''
    const timer = clock.timer(() => {
      child.kill('SIGKILL')
      fail(`reading it took longer than ${LIMIT_MS / 1000} s`)
    })
    timer.arm(LIMIT_MS)
    const fail = (why: string) => {
      resolve({ ok: false, errors: [`the config could not be read: ${why}`] })
      effective({ json: () => 'null', text: () => `not available: ${why}\n`, own: () => ({}) })
    }
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      rest += chunk
      for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
        const line = JSON.parse(rest.slice(0, end)) as ChildLine
        rest = rest.slice(end + 1)
        if ('json' in line) effective(packed(line))
        else resolve(line.ok ? { ...line, effective: effectiveLater } : line)
      }
    })
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (chunk: string) => (lastWords = (lastWords + chunk).slice(-2000)))
    child.on('error', error => fail(error.message))
    // Without effect where the lines have come.
    child.on('close', (code, signal) => {
      timer.cancel()
      fail(lastWords.trim() || `its reader ended with ${signal ?? `code ${code}`}`)
    })
  })
}

function packed({ json, text, own }: Extract<ChildLine, { readonly json: string }>): EffectiveConfig {
  const [jsonBytes, textBytes, ownBytes] = [json, text, own].map(each => Buffer.from(each, 'base64')) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const inflated = (bytes: Buffer) => process.getBuiltinModule('node:zlib').inflateRawSync(bytes).toString()
  return {
    json: () => inflated(jsonBytes),
    text: () => inflated(textBytes),
    own: () => JSON.parse(inflated(ownBytes)) as OwnPolicies,
  }
}
