import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { type Json, mapOf, textOf } from '../shape.ts'

/** A small client of the Kubernetes API: objects as JSON, with the token of a service account. */

export interface Reply {
  readonly status: number
  readonly body: Json
}

export interface Kubernetes {
  /** The namespace of the service account. */
  readonly namespace: string
  /** Rejects where there is no answer: with a reason for people. */
  ask(method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, body?: unknown): Promise<Reply>
  close(): void
}

const TIMEOUT_MS = 5_000
const MAX_BODY_BYTES = 4 * 1024 ** 2

/** `folder`: of the service account, with `token`, `ca.crt` and `namespace`. Throws where they cannot be read. */
export function kubernetesClient(server: string, folder: string): Kubernetes {
  const ca = readFileSync(join(folder, 'ca.crt'))
  const namespace = readFileSync(join(folder, 'namespace'), 'utf8').trim()
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca })
  return {
    namespace,
    close: () => agent.destroy(),
    ask(method, path, body) {
      return new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body)
        const url = new URL(path, server)
        const headers = {
          accept: 'application/json',
          // The kubelet replaces it every hour.
          authorization: `Bearer ${readFileSync(join(folder, 'token'), 'utf8').trim()}`,
          ...(text === undefined
            ? {}
            : {
                'content-type': method === 'PATCH' ? 'application/json-patch+json' : 'application/json',
                'content-length': Buffer.byteLength(text),
              }),
        }
        const signal = AbortSignal.timeout(TIMEOUT_MS)
        const fail = (why: string) => reject(new Error(`the Kubernetes API at ${url.host}: ${method} ${path}: ${why}`))
        const asked = request(url, { method, headers, agent, signal }, response => {
          const chunks: Buffer[] = []
          let size = 0
          response.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > MAX_BODY_BYTES) asked.destroy(new Error('the answer is too large'))
            else chunks.push(chunk)
          })
          response.on('error', error => fail(error.message))
          response.on('end', () => {
            try {
              resolve({
                status: response.statusCode ?? 0,
                body: mapOf(JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}')),
              })
            } catch {
              fail(`the answer with status ${response.statusCode} is no JSON`)
            }
          })
        })
        asked.on('error', error => fail(signal.aborted ? `no answer for ${TIMEOUT_MS / 1000} s` : error.message))
        asked.end(text)
      })
    },
  }
}

/** The API server of the cluster this runs in; null: it runs in none. */
export function clusterServer(env: Readonly<Record<string, string | undefined>>): string | null {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env
  if (!host) return null
  return `https://${host.includes(':') ? `[${host}]` : host}:${port || '443'}`
}

/** What an answer that is no success says. */
export function whyNot({ status, body }: Reply): string {
  return `${status}: ${textOf(body.message) ?? 'no message'}`
}
