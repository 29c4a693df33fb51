import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AgentDocument } from '../../mesh-config/agent/agent-file.ts'
import type { SourceKind } from '../../mesh-config/agent/sources.ts'
import type { ConsulApi } from '../consul.ts'
import { consulEntriesSource } from './consul-entries/source.ts'
import { consulKvSource } from './consul-kv.ts'
import { consulStore } from './consul-store.ts'
import { fileStore } from './file-store.ts'
import { fileSource } from './files.ts'
import type { PolicySource } from './source.ts'
import { zookeeperOptions, zookeeperSource } from './zookeeper.ts'

type Settings = AgentDocument['policies']

/**
 * Makes the sources of an agent file, the least important first. One with the same settings as in the call before is
 * the same object. `base`: what its paths are relative to.
 */
export function sourcesOf(base: string, consul: ConsulApi | null): (settings: Settings) => PolicySource[] {
  let made = new Map<string, PolicySource>()
  return settings => {
    const before = made
    made = new Map()
    return settings.order.flatMap(kind => {
      const { folder, prefix, zookeeper } = settings
      const key = JSON.stringify([kind, kind === 'files' ? folder : kind === 'zookeeper' ? zookeeper : prefix])
      const source = before.get(key) ?? makers[kind](settings, base, consul)
      if (source === null) return []
      made.set(key, source)
      return source
    })
  }
}

type Maker = (settings: Settings, base: string, consul: ConsulApi | null) => PolicySource | null

const makers: Readonly<Record<SourceKind, Maker>> = {
  files({ folder }, base) {
    const path = resolve(base, folder)
    return fileSource(path, folder, isFile(path) ? null : fileStore(path, folder))
  },
  'consul entries': (_, __, consul) => (consul === null ? null : consulEntriesSource(consul)),
  'consul kv': ({ prefix }, _, consul) =>
    consul === null ? null : consulKvSource(consul, prefix, consulStore(consul, prefix)),
  zookeeper: ({ zookeeper }) => (zookeeper === undefined ? null : zookeeperSource(zookeeperOptions(zookeeper))),
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
