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

/** The sources of an agent file, the least important first. `base`: what its paths are relative to. */
export function sourcesOf(
  { folder, prefix, zookeeper, order }: AgentDocument['policies'],
  base: string,
  consul: ConsulApi | null,
): PolicySource[] {
  const makers: Readonly<Record<SourceKind, () => PolicySource | null>> = {
    files: () => {
      const path = resolve(base, folder)
      return fileSource(path, folder, isFile(path) ? null : fileStore(path, folder))
    },
    'consul entries': () => (consul === null ? null : consulEntriesSource(consul)),
    'consul kv': () => (consul === null ? null : consulKvSource(consul, prefix, consulStore(consul, prefix))),
    zookeeper: () => (zookeeper === undefined ? null : zookeeperSource(zookeeperOptions(zookeeper))),
  }
  return order.flatMap(kind => makers[kind]() ?? [])
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
