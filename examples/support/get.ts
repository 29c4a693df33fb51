import { Agent, type IncomingHttpHeaders, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface GetOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly agent?: Agent
}

/** Kept connections, as any program that calls often has them. */
export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, scheduling: 'lifo' })
}

/** One request to a loopback port, its answer read whole. Rejects when there is none in time, or not all of it. */
export function get(
  port: number,
  path: string,
  { method = 'GET', headers = {}, timeoutMs = 5_000, agent }: GetOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers, ...(agent !== undefined && { agent }) },
      response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => {
          clearTimeout(timer)
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
        response.on('error', fail)
      },
    )
    const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    sent.on('error', fail)
    sent.end()
    function fail(error: Error): void {
      clearTimeout(timer)
      reject(error)
    }
  })
}
