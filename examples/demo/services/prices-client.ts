import { resolve } from 'node:path'
import { Client, credentials, loadPackageDefinition, Metadata, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

interface Package {
  readonly shop: { readonly Prices: ServiceClientConstructor }
}

export const { Prices } = (
  loadPackageDefinition(loadSync(resolve(import.meta.dirname, 'prices.proto'))) as unknown as Package
).shop

/**
 * Makes calls of one service on one connection, as gRPC clients do. `authority`: the name that the sidecar reads; the
 * port is the sidecar's.
 */
export function pricesAt(
  port: number,
  authority: string,
): (method: 'Get' | 'Slow', message: object) => Promise<Record<string, unknown>> {
  // Only the client knows that asking for a price may be done twice: a call lost with a killed instance is made again.
  const retry = {
    maxAttempts: 3,
    initialBackoff: '0.01s',
    maxBackoff: '0.1s',
    backoffMultiplier: 2,
    retryableStatusCodes: ['UNAVAILABLE'],
  }
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.default_authority': authority,
    'grpc.service_config': JSON.stringify({
      methodConfig: [{ name: [{ service: 'shop.Prices', method: 'Get' }], retryPolicy: retry }],
    }),
  })
  return (method, message) => {
    const { path, requestSerialize, responseDeserialize } = Prices.service[method]!
    return new Promise((done, failed) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        new Metadata(),
        { deadline: Date.now() + 10_000 },
        (error, answer) => (error === null ? done(answer as Record<string, unknown>) : failed(error)),
      )
    })
  }
}
