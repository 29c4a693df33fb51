import type { Agent, AgentOptions, ClientRequest, IncomingMessage } from 'node:http'
import { parseJson } from '../../../mesh-config/bounded-json.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { connectionTrouble } from '../connection-trouble.ts'
import { rotatingTls } from '../rotating-tls.ts'
import { tokenOf } from '../token.ts'
import { firstLine, messageOf } from '../words.ts'
import { linesOf } from './lines.ts'
import { KubernetesTrouble } from './trouble.ts'
import type { Way } from './way.ts'

/** A page of 500 slices with 100 endpoints each has about half of this. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
/** etcd takes no object that is larger than 1.5 MiB, and JSON has it larger. */
const MAX_LINE_BYTES = 8 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024
/** For an answer, and for the head of a stream. */
const ANSWER_MS = 20_000
/** The API server sends a bookmark about once a minute: a stream without any line for so long may be dead. */
const SILENT_MS = 150_000
/** TCP keep-alive, for connections that a firewall dropped. */
const KEEP_ALIVE_MS = 15_000
const IDLE_CONNECTIONS = 4
const MAX_RETRY_AFTER_MS = 60_000

/** The part of the API of Kubernetes that is used. Calls reject with a KubernetesTrouble. */
export interface KubernetesApi {
  /** One answer. `rights`: what the token needs for it, in words. */
  get(path: string, rights: string, signal: AbortSignal): Promise<unknown>
  /**
   * A stream of lines; resolves when it ends as it should. `opened` is called when the API server agrees, `onLines` with
   * what has arrived. What they throw ends it.
   */
  stream(path: string, rights: string, stream: Stream, signal: AbortSignal): Promise<void>
  close(): void
}

export interface Stream {
  readonly opened: () => void
  readonly onLines: (lines: readonly string[]) => void
}

export interface ApiDeps {
  readonly clock: Clock
  readonly log: Log
  /** Resolves the host of the address, where it is a name. */
  readonly lookup?: AgentOptions['lookup']
}

interface Body {
  readonly isStream: boolean
  /** What it throws ends the request. */
  readonly onChunk: (chunk: Buffer) => void
}

type Https = typeof import('node:https')

export function kubernetesApi(way: Way, { clock, log, lookup }: ApiDeps): KubernetesApi {
  const { hostname, port, protocol } = new URL(way.address)
  const isSecure = protocol === 'https:'
  const http = process.getBuiltinModule(isSecure ? 'node:https' : 'node:http') as Https
  const token = tokenOf(way, 'Kubernetes', { clock, log })
  const agents: Agent[] = []
  const end = new AbortController()

  function connect(options: AgentOptions): Agent {
    const agent = new http.Agent({
      ...options,
      ...(lookup === undefined ? {} : { lookup }),
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxFreeSockets: IDLE_CONNECTIONS,
    })
    agents.push(agent)
    return agent
  }
  const plain = isSecure ? null : connect({})
  const agent =
    plain === null ? rotatingTls({ ...way, server: 'Kubernetes' }, connect, retire, { clock, log }) : () => plain

  /**
   * Resolves when the body has ended. `onHead` says where its pieces go; a stream has no limit but that of its silence,
   * which ends it.
   */
  function ask(path: string, onHead: (response: IncomingMessage) => Body, signal: AbortSignal) {
    return new Promise<void>((resolve, reject) => {
      let request: ClientRequest | null = null
      const late = clock.timer(() =>
        fail(new KubernetesTrouble(`${where} has not answered within ${ANSWER_MS / 1000} s`, 0)),
      )
      const silent = clock.timer(() => finish(resolve))
      const where = `the API server at ${way.address}`

      function finish(settle: () => void): void {
        late.cancel()
        silent.cancel()
        signal.removeEventListener('abort', onAbort)
        end.signal.removeEventListener('abort', onAbort)
        settle()
        request?.destroy()
      }

      function fail(error: unknown): void {
        finish(() => reject(error))
      }

      function onAbort(): void {
        fail(new KubernetesTrouble('no longer wanted', 0))
      }

      function onResponse(response: IncomingMessage): void {
        const { isStream, onChunk } = onHead(response)
        if (isStream) {
          late.cancel()
          silent.arm(SILENT_MS)
        }
        response.on('data', (chunk: Buffer) => {
          if (isStream) silent.arm(SILENT_MS)
          try {
            onChunk(chunk)
          } catch (error) {
            fail(error)
          }
        })
        // Without a listener the error would be thrown; `close` follows.
        response.on('error', () => {})
        response.once('close', () => {
          if (response.complete) finish(resolve)
          else fail(new KubernetesTrouble(`${where} closed the connection inside an answer`, 0))
        })
      }

      if (signal.aborted || end.signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort)
      end.signal.addEventListener('abort', onAbort)
      late.arm(ANSWER_MS)
      try {
        const secret = token()
        request = http.request({
          hostname: hostname.replace(/^\[|\]$/g, ''),
          port: port || (isSecure ? 443 : 80),
          path,
          agent: agent(),
          headers: {
            accept: 'application/json',
            'user-agent': 'outrigger',
            ...(secret === '' ? {} : { authorization: `Bearer ${secret}` }),
          },
        })
      } catch (error) {
        return fail(new KubernetesTrouble(messageOf(error), 0))
      }
      request.on('error', error => fail(new KubernetesTrouble(`${where} ${connectionTrouble(error, 'one')}`, 0)))
      request.once('response', onResponse)
      request.end()
    })
  }

  /** The whole body, within a bound. */
  async function whole(path: string, rights: string, stream: Stream | null, signal: AbortSignal): Promise<Buffer> {
    const chunks: Buffer[] = []
    let bytes = 0
    let head: IncomingMessage | null = null
    await ask(
      path,
      response => {
        head = response
        const isGood = response.statusCode === 200
        if (isGood && stream !== null) {
          const lines = linesOf(MAX_LINE_BYTES)
          stream.opened()
          return { isStream: true, onChunk: chunk => stream.onLines(lines.push(chunk)) }
        }
        const most = isGood ? MAX_ANSWER_BYTES : MAX_ERROR_BYTES
        const onChunk = (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > most)
            throw new KubernetesTrouble(`an answer of the API server is larger than ${most >> 10} KiB`, 0)
          chunks.push(chunk)
        }
        return { isStream: false, onChunk }
      },
      signal,
    )
    const { statusCode = 0, headers } = head!
    const body = Buffer.concat(chunks)
    if (statusCode !== 200) throw refusal(way, statusCode, headers['retry-after'], body, rights)
    return body
  }

  return {
    async get(path, rights, signal) {
      const body = await whole(path, rights, null, signal)
      try {
        return parseJson(body.toString('utf8'))
      } catch (error) {
        throw new KubernetesTrouble(
          `an answer of the API server makes no sense: ${messageOf(error)}; it begins with ${JSON.stringify(firstLine(body.toString('utf8', 0, 400), 60))}`,
          0,
        )
      }
    },
    async stream(path, rights, stream, signal) {
      await whole(path, rights, stream, signal)
    },
    close() {
      end.abort()
      for (const each of agents) each.destroy()
    },
  }
}

/** Idle connections close now; a stream on another one goes on to its end. */
function retire(agent: Agent): void {
  ;(agent as Agent & { keepAlive: boolean }).keepAlive = false
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}

/** An answer that is none, with the remedy. */
function refusal(
  way: Way,
  status: number,
  retryAfter: string | undefined,
  body: Buffer,
  rights: string,
): KubernetesTrouble {
  const said = saidIn(body)
  const shown = way.tokenFile !== null ? `the token in ${way.tokenFile}` : way.token !== null ? 'the token' : 'no token'
  const text =
    status === 401
      ? `the API server at ${way.address} does not accept ${shown} (401: ${said})`
      : status === 403
        ? `the API server at ${way.address} denies it (403: ${said}): the service account needs ${rights} (deploy/kubernetes/discovery.yaml)`
        : `the API server at ${way.address} answers ${status}: ${said}`
  const seconds = /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : 0
  return new KubernetesTrouble(text, status, Math.min(seconds * 1_000, MAX_RETRY_AFTER_MS))
}

/** The message of a `Status` object, else how the text begins. */
function saidIn(body: Buffer): string {
  const text = body.toString('utf8')
  try {
    const { message } = parseJson(text) as { message?: unknown }
    if (typeof message === 'string') return firstLine(message)
  } catch {
    // A proxy between, perhaps.
  }
  return firstLine(text) || 'no reason'
}
