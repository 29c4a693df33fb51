import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** In a clone the files stand beside this one; in a package they are in dist/protos/. */
const beside = fileURLToPath(new URL('./', import.meta.url))
const folder = existsSync(`${beside}sync.proto`) ? beside : fileURLToPath(new URL('./protos/', import.meta.url))

export type ServiceName = 'Sync' | 'Policies' | 'Mesh'

/** A service of `agent/sync/*.proto`: its `service` is what a server adds, and itself is what a client makes. */
export function grpcService(name: ServiceName): ServiceClientConstructor {
  loaded ??= load()
  return loaded[name] as ServiceClientConstructor
}

let loaded: GrpcObject | null = null

function load(): GrpcObject {
  const files = ['sync.proto', 'control.proto']
  const definition = loadSync(files, { includeDirs: [folder], longs: Number, defaults: true, oneofs: true })
  const all = loadPackageDefinition(definition)
  return ((all.outrigger as GrpcObject).agent as GrpcObject).v1 as GrpcObject
}
