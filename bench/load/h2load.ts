import { writeFileSync } from 'node:fs'
import { connect, type OutgoingHttpHeaders } from 'node:http2'
import { join } from 'node:path'
import { obtain } from '../../test/peers/obtain.ts'
import { runToEnd, temporaryFolder } from './children.ts'
import type { Answer } from './ready.ts'
import type { Asked, Load, LoadResult } from './traffic/traffic.ts'

/** A closed loop of one thread, HTTP/2 with prior knowledge. */
export async function h2load(load: Load, headers: Readonly<Record<string, string>>): Promise<LoadResult> {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const body = load.body.length === 0 ? [] : ['-d', bodyFile(load.body)]
  const size = ['-c', `${load.connections}`, '-m', `${load.streams}`, '-t', '1', '-D', `${load.seconds}`]
  // Windows as large as nothing has to wait for: the proxy is what is measured.
  const args = [...size, '-w', '20', '-W', '24', ...fields, ...body, `http://127.0.0.1:${load.port}${load.path}`]
  const output = await runToEnd({ command: await obtain('h2load'), args }, (load.seconds + 15) * 1000)
  const [, done, succeeded] = /(\d+) done, (\d+) succeeded/.exec(output) ?? []
  const [, perSecond] = /finished in [\d.]+m?s, ([\d.]+) req\/s/.exec(output) ?? []
  if (done === undefined || succeeded === undefined || perSecond === undefined)
    throw new Error(`h2load said nothing of its requests: ${output.trim()}`)
  return { requests: Number(succeeded), perSecond: Number(perSecond), failures: Number(done) - Number(succeeded) }
}

const files = new Map<Buffer, string>()

function bodyFile(body: Buffer): string {
  const known = files.get(body)
  if (known !== undefined) return known
  const file = join(temporaryFolder(), `body-${files.size}`)
  writeFileSync(file, body)
  files.set(body, file)
  return file
}

/** One request on a connection of its own; `grpc-status` other than 0 is an error. */
export function askHttp2(
  port: number,
  { path, body }: Asked,
  headers: OutgoingHttpHeaders,
  timeoutMs = 5000,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`)
    const fail = (error: Error) => {
      session.destroy()
      reject(error)
    }
    session.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)))
    session.on('error', fail)
    const stream = session.request({ ':method': body.length > 0 ? 'POST' : 'GET', ':path': path, ...headers })
    let status = 0
    let grpcStatus: unknown
    let bodyBytes = 0
    stream.on('error', fail)
    stream.on('response', head => {
      status = Number(head[':status'])
      grpcStatus = head['grpc-status']
    })
    stream.on('trailers', trailers => {
      grpcStatus = trailers['grpc-status']
    })
    stream.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length
    })
    stream.on('end', () => {
      if (grpcStatus !== undefined && grpcStatus !== '0') return fail(new Error(`grpc-status ${grpcStatus}`))
      session.close()
      resolve({ status, bodyBytes })
    })
    if (body.length > 0) stream.end(body)
  })
}
