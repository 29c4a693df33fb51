import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { ConsulApi } from '../consul.ts'
import { watchConsul } from '../consul-watch.ts'
import type { AgentLog } from '../log.ts'
import { formatRecord, parseRecord, type RolloutRecord } from './record.ts'

/** Where the decisions about roll-outs are, the same for all agents of a mesh. */
export interface RolloutStore {
  get(service: string): RolloutRecord | null
  all(): readonly RolloutRecord[]
  /** False: another agent was faster, and what it wrote comes by `onChange`. */
  put(record: RolloutRecord): Promise<boolean>
  /** A record is another one. */
  onChange(listener: (record: RolloutRecord) => void): void
  start(): Promise<void>
  stop(): Promise<void>
}

/** Of one agent alone: in a file, so that a restart goes on where it stood. Null: nowhere. */
export function fileRollouts(file: string | null, log: AgentLog): RolloutStore {
  const records = new Map<string, RolloutRecord>()
  let listen: (record: RolloutRecord) => void = () => {}
  return {
    get: service => records.get(service) ?? null,
    all: () => [...records.values()],
    async put(record) {
      records.set(record.service, record)
      if (file !== null)
        try {
          writeFileSync(`${file}.new`, JSON.stringify([...records.values()]), { mode: 0o600 })
          renameSync(`${file}.new`, file)
        } catch (error) {
          log.warn('the state of roll-outs cannot be saved', { reason: (error as Error).message })
        }
      listen(record)
      return true
    },
    onChange(listener) {
      listen = listener
    },
    async start() {
      if (file === null) return
      try {
        for (const each of JSON.parse(readFileSync(file, 'utf8')) as unknown[]) {
          const record = parseRecord(JSON.stringify(each))
          if (record !== null) records.set(record.service, record)
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          log.warn('the state of roll-outs cannot be read', { reason: (error as Error).message })
      }
    },
    async stop() {},
  }
}

interface Entry {
  readonly Key: string
  readonly Value: string | null
  readonly ModifyIndex: number
}

/** In Consul's KV, one key a service, written with its index as the condition. */
export function consulRollouts(consul: ConsulApi, prefix: string, log: AgentLog): RolloutStore {
  const records = new Map<string, { readonly record: RolloutRecord; readonly index: number }>()
  const end = new AbortController()
  let listen: (record: RolloutRecord) => void = () => {}
  let running: Promise<void> = Promise.resolve()
  const folder = `kv/${prefix}/rollouts/`
  // `*` is no good in a path; no service can have this name.
  const keyOf = (service: string) => `${folder}${service === '*' ? '_defaults' : encodeURIComponent(service)}`

  function take(entries: readonly Entry[]): void {
    const present = new Set<string>()
    for (const { Value, ModifyIndex } of entries) {
      const record = parseRecord(Buffer.from(Value ?? '', 'base64').toString())
      if (record === null) continue
      present.add(record.service)
      if (records.get(record.service)?.index === ModifyIndex) continue
      records.set(record.service, { record, index: ModifyIndex })
      listen(record)
    }
    for (const service of records.keys()) if (!present.has(service)) records.delete(service)
  }

  return {
    get: service => records.get(service)?.record ?? null,
    all: () => [...records.values()].map(({ record }) => record),
    async put(record) {
      const cas = String(records.get(record.service)?.index ?? 0)
      const body = Buffer.from(formatRecord(record))
      const answer = await consul.call('PUT', keyOf(record.service), { query: { cas }, body })
      return answer.json() === true
    },
    onChange(listener) {
      listen = listener
    },
    async start() {
      const first = Promise.withResolvers<void>()
      running = watchConsul(
        consul,
        {
          path: folder,
          query: { recurse: '' },
          onAnswer(answer) {
            take(answer.status === 404 ? [] : (answer.json() as Entry[]))
            first.resolve()
          },
          onTrouble(reason) {
            log.warn('roll-outs stand still: their state in Consul cannot be read', { reason })
            first.resolve()
          },
        },
        end.signal,
      )
      await first.promise
    },
    async stop() {
      end.abort()
      await running
    },
  }
}
