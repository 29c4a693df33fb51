import { statSync } from 'node:fs'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { checkFile } from '../check-file.ts'
import { readBase } from '../options.ts'
import type { SidecarMode, UsualAgent } from '../settings.ts'
import type { Json } from '../shape.ts'
import { newCounts } from './counts.ts'
import { type Keeping, keepCertificate, trustIn } from './keeper.ts'
import { kubernetesClient } from './kubernetes.ts'
import type { ReviewOptions } from './review.ts'
import { expiryOf, type Held } from './rotation.ts'
import { contextOf, listen, probeServer, webhookServer } from './server.ts'

/** Joins the parts of `outrigger injector`. */

export interface InjectorOptions {
  readonly version: string
  readonly image: string
  readonly mode: SidecarMode
  readonly agent: UsualAgent
  /** A part of a sidecar file that all sidecars get; it is read again when it changes. Null: none. */
  readonly base: string | null
  readonly listen: AddressSpec
  readonly probes: AddressSpec
  readonly server: string
  readonly serviceAccount: string
  readonly keeping: Omit<Keeping, 'names'> & { readonly service: string }
  /** More names in the certificate, for an API server that calls by a URL. */
  readonly hosts: readonly string[]
  readonly excluded: readonly string[]
  /** How often the certificate, its trust and the base file are looked at. */
  readonly roundMs: number
  /** After SIGTERM, how long to serve as before while `/readyz` says no. */
  readonly drainMs: number
  say(level: 'info' | 'warn' | 'error', message: string): void
}

const STOP_MS = 5_000

/** Runs until SIGTERM or SIGINT. Rejects, with an error for people, where it cannot start. */
export async function runInjector(options: InjectorOptions): Promise<void> {
  const { say } = options
  const kubernetes = kubernetesClient(options.server, options.serviceAccount)
  const { service } = options.keeping
  const name = `${service}.${kubernetes.namespace}.svc`
  const keeping: Keeping = { ...options.keeping, names: [name, `${name}.cluster.local`, ...options.hosts] }
  const counts = newCounts()
  const base = followed(options.base)
  await base.read()
  const checked = newChecks()
  const review = (): ReviewOptions => ({
    version: options.version,
    by: 'injector',
    image: options.image,
    mode: options.mode,
    agent: options.agent,
    base: base.now(),
    excluded: new Set([...options.excluded, kubernetes.namespace]),
    checkFile: checked,
  })

  let held: Held | null = null
  let isTrusted = false
  let isStopping = false
  const state = {
    counts,
    options: review,
    failed: (message: string) => say('error', message),
  }
  const server = { now: null as ReturnType<typeof webhookServer> | null }

  async function round(): Promise<void> {
    const next = await keepCertificate(kubernetes, keeping, Date.now())
    const isNew = held?.certificate !== next.certificate
    held = next
    if (server.now === null) {
      server.now = webhookServer(next, state)
      const port = await listen(server.now, options.listen)
      say('info', `listens on ${options.listen.address}:${port} as ${name}`)
    } else if (isNew) {
      server.now.setSecureContext({ ...contextOf(next), minVersion: 'TLSv1.2' })
      say('info', `has a new certificate, until ${new Date(expiryOf(next)).toISOString()}`)
    }
    if (await trustIn(kubernetes, keeping, next)) say('info', `the caBundle of ${keeping.webhooks} is current`)
    isTrusted = true
  }

  const probes = probeServer({
    ready: () => [
      ...(held === null ? ['there is no certificate yet'] : []),
      ...(held !== null && expiryOf(held) < Date.now() ? ['the certificate has expired'] : []),
      ...(held !== null && !isTrusted ? ['the API server has not been told the certificate'] : []),
      ...(isStopping ? ['it is ending'] : []),
    ],
    metrics: () => counts.text(held === null ? 0 : Math.round((expiryOf(held) - Date.now()) / 1000)),
  })
  const probesPort = await listen(probes, options.probes)
  say('info', `probes and metrics on ${options.probes.address}:${probesPort}`)

  const stopped = Promise.withResolvers<void>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (isStopping) process.exit(signal === 'SIGINT' ? 130 : 143)
      isStopping = true
      stopped.resolve()
    })

  while (!isStopping) {
    try {
      await round()
    } catch (error) {
      // Without a certificate nothing is served; with one, the old one is.
      counts.keepingFailed()
      say('error', `${(error as Error).message}; tried again in ${options.roundMs / 1000} s`)
    }
    try {
      if (await base.read()) say('info', 'the base file is read anew')
    } catch (error) {
      say('error', `${(error as Error).message}; the last good one stays in force`)
    }
    await Promise.race([stopped.promise, pause(options.roundMs)])
  }
  say('info', `is ending: serves ${options.drainMs / 1000} s more, until the API server has noticed`)
  await pause(options.drainMs)
  const end = setTimeout(() => process.exit(0), STOP_MS)
  await Promise.all(
    [server.now, probes].map(async each => {
      if (each === null) return
      const closed = new Promise<void>(resolve => each.close(() => resolve()))
      each.closeIdleConnections()
      await closed
    }),
  )
  clearTimeout(end)
  kubernetes.close()
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms)
  })
}

/** A file that is read again when what stat says of it has changed. */
function followed(file: string | null): { now(): Json; read(): Promise<boolean> } {
  let base: Json = {}
  let seen = ''
  return {
    now: () => base,
    async read() {
      if (file === null) return false
      const stat = statSync(file, { throwIfNoEntry: false })
      const signature = `${stat?.ino} ${stat?.size} ${stat?.mtimeMs}`
      if (signature === seen) return false
      const isFirst = seen === ''
      const read = await readBase(file)
      seen = signature
      base = read
      return !isFirst
    },
  }
}

const MAX_CHECKS = 500

/** Pods of one workload have the same file: it is checked once. */
function newChecks(): (file: string) => Promise<readonly string[]> {
  const known = new Map<string, readonly string[]>()
  return async file => {
    const before = known.get(file)
    if (before !== undefined) return before
    const wrong = await checkFile(file)
    if (known.size >= MAX_CHECKS) known.delete(known.keys().next().value!)
    known.set(file, wrong)
    return wrong
  }
}
