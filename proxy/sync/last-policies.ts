import { join } from 'node:path'
import { parseJson } from '../../mesh-config/bounded-json.ts'
import { FileTrouble, readTextSync } from '../../mesh-config/read-file.ts'
import type { Policies } from '../core/agent-policy.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { isReasons, policyOf } from './policy.ts'
import { isRecord } from './shape.ts'

/** A policy as it was kept. */
export interface KeptPolicies {
  readonly policies: Policies
  /** Of each: the hash of what the sidecar's own file said when the agent made it. */
  readonly own: ReadonlyMap<string, number>
  /** Wall time at which the agent confirmed them last; null: there are none. */
  readonly savedAt: number | null
}

/**
 * The last policies of the agent, kept on disk for a start without it. Trouble with the disk is logged once and stops
 * nothing.
 */
export interface LastPolicies {
  /** What an earlier process left, read when first asked for. Never throws. */
  read(): KeptPolicies
  /** Is asked for when it is written, some time later. */
  save(content: () => KeptPolicies): void
  /** Why they cannot be saved; empty: they can, or nothing had to be yet. */
  trouble(): string
  /** Resolves when the last content is on the disk, cannot be written, or takes too long. */
  flush(): Promise<void>
  /** The file with this content, for a process that takes over. */
  text(content: KeptPolicies): string
  /** The folder is another process's from now on: nothing more is written. */
  close(): void
}

export interface LastPoliciesOptions {
  /** Null: nothing is kept. */
  readonly folder: string | null
  /** Writes all or nothing, for its owner only. */
  readonly replaceFile: (folder: string, name: string, text: string) => Promise<void>
  /** Takes the folder for this process: as in `lastKnown`. */
  readonly claim: () => Promise<string>
  /** The file as a process before this one has it, and may not have written it yet. */
  readonly handed?: string | undefined
  readonly clock: Clock
  readonly log: Log
}

const FILE = 'last-policies.json'
/** Of the file and of the specs in it; another one is not read. */
const FORMAT = 1
const SETTLE_MS = 500
const FLUSH_MS = 1_000
const MAX_BYTES = 32 * 1024 * 1024

const NONE: KeptPolicies = { policies: new Map(), own: new Map(), savedAt: null }

export function lastPolicies(options: LastPoliciesOptions): LastPolicies {
  const { folder, replaceFile, claim, handed, clock, log } = options
  let isClosed = false
  let wanted: (() => KeptPolicies) | null = null
  let saving: Promise<void> | null = null
  let trouble = ''
  const timer = clock.timer(() => void write())

  async function write(): Promise<void> {
    if (folder === null || isClosed || wanted === null || saving !== null) return
    const text = textOf(wanted(), log)
    wanted = null
    saving = put(folder, text).then(
      () => {
        if (trouble !== '') log.info(`${join(folder, FILE)} can be written again`)
        trouble = ''
      },
      (error: Error) => {
        if (trouble === '')
          log.warn(
            `the policies of the agent cannot be saved, so a restart without it will not know them: ${error.message}`,
          )
        trouble = error.message
      },
    )
    await saving
    saving = null
    if (wanted !== null) timer.arm(SETTLE_MS)
  }

  async function put(path: string, text: string): Promise<void> {
    const owner = await claim()
    if (owner !== '') throw new Error(`${path} is used by another sidecar (${owner}): give each a folder of its own`)
    await replaceFile(path, FILE, text)
  }

  return {
    read() {
      const given = handed === undefined ? '' : parsed(handed)
      if (typeof given !== 'string') return given
      return folder === null ? NONE : load(join(folder, FILE), log)
    },
    save(content) {
      if (folder === null || isClosed) return
      if (wanted === null && saving === null) timer.arm(SETTLE_MS)
      wanted = content
    },
    trouble: () => trouble,
    text: content => textOf(content, log),
    close() {
      isClosed = true
      timer.cancel()
    },
    async flush() {
      const late = Promise.withResolvers<void>()
      const limit = clock.timer(late.resolve)
      limit.arm(FLUSH_MS)
      await Promise.race([late.promise, Promise.resolve(saving).then(write)])
      timer.cancel()
      limit.cancel()
    },
  }
}

/** Without the policies that would make it longer than may be: the later ones are left out. */
function textOf({ policies, own, savedAt }: KeptPolicies, log: Log): string {
  let room = MAX_BYTES - 1024
  const parts: string[] = []
  for (const [service, policy] of policies) {
    const part = `${JSON.stringify(service)}:${JSON.stringify({ ...policy, own: own.get(service) ?? 0 })}`
    room -= Buffer.byteLength(part) + 2
    if (room < 0) continue
    parts.push(part)
  }
  if (room < 0)
    log.warn(`${FILE} has no room for ${policies.size - parts.length} policies: a restart without the agent loses them`)
  return `{"format":${FORMAT},"savedAt":${savedAt ?? 0},"services":{\n${parts.join(',\n')}\n}}\n`
}

function load(path: string, log: Log): KeptPolicies {
  try {
    const kept = parsed(readTextSync(path, MAX_BYTES))
    if (typeof kept !== 'string') return kept
    log.warn(`${path} is not used: ${kept}; the agent's policies count when the agent is there`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof FileTrouble || code !== 'ENOENT')
      log.warn(`${path} is not used: ${message}; the agent's policies count when the agent is there`)
  }
  return NONE
}

/** Or why it is not used. One policy that makes no sense makes all of it suspect. */
function parsed(text: string): KeptPolicies | string {
  let file: unknown
  try {
    file = parseJson(text)
  } catch (error) {
    return (error as Error).message
  }
  if (!isRecord(file) || !isRecord(file.services) || typeof file.savedAt !== 'number') return 'it has no policies'
  if (file.format !== FORMAT)
    return `it has format ${JSON.stringify(file.format)}, and this version reads ${FORMAT} (it is of another version)`
  const policies = new Map()
  const own = new Map<string, number>()
  for (const [service, kept] of Object.entries(file.services)) {
    if (!isRecord(kept)) return `${service} is no policy`
    const { version, spec, provenance, discovery } = kept
    const policy = policyOf(service, { version, spec, provenance, discovery: asParts(discovery) })
    if (isReasons(policy)) return `${service}: ${policy[0]}`
    policies.set(service, policy)
    if (typeof kept.own === 'number') own.set(service, kept.own)
  }
  return { policies, own, savedAt: file.savedAt }
}

/** As an Update has it. */
function asParts(discovery: unknown): unknown {
  if (!isRecord(discovery)) return discovery
  const { consul, dns } = discovery
  return { ...(consul === null ? {} : { consul: { services: consul } }), ...(dns === null ? {} : { dns }) }
}
