import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'
import { refusal } from './guard.ts'
import { errorAnswer, formatOf, textAnswer } from './page.ts'
import type { Page, PageAnswer, PageRequest } from './page-types.ts'
import { unknownPage } from './start-page.ts'

/** The longest body of a POST: a log level is all it may hold. */
const MAX_BODY = 1024

export interface AdminServer {
  /** The real port, where the system chose it. */
  readonly port: number
  close(): void
}

/** As `server.listen`. */
export type ListenOn = (server: Server, address: AddressSpec) => void

const plainly: ListenOn = (server, { address, port }) => void server.listen({ host: address, port })

/**
 * Which requests are answered: those by address, `localhost` or one of these names, as guard.ts says; or `open`: any,
 * for pages that show no secret and change nothing, as text only.
 */
export type Access = readonly string[] | 'open'

/** Rejects with the system's error (EADDRINUSE ...). */
export function adminServer(
  listen: AddressSpec,
  pages: readonly Page[],
  log: Log,
  access: Access = [],
  listenOn: ListenOn = plainly,
): Promise<AdminServer> {
  // An `import` of node:http evaluates all its exports, WebSocket among them, and so loads undici: 15 MB and 20 ms that
  // are not needed here.
  const { createServer } = process.getBuiltinModule('node:http')
  const server = createServer((request, response) => {
    // It listens no longer: another process answers the next request.
    if (!server.listening) response.shouldKeepAlive = false
    handle(request, response, { listenAddress: listen.address, access, pages }).catch((error: unknown) => {
      log.error(
        `the admin page ${request.url ?? ''} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      )
      if (response.headersSent) response.destroy()
      else void send(response, textAnswer('this page failed: the log of the proxy says why\n', 500))
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      server.on('error', error => log.error(`the admin port: ${error.message}`))
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : listen.port,
        close() {
          server.close()
          server.closeAllConnections()
        },
      })
    })
    listenOn(server, listen)
  })
}

const plainRequest: PageRequest = { method: 'GET', query: new URLSearchParams(), format: null, body: '', accept: '' }

interface Served {
  readonly listenAddress: string
  readonly access: Access
  readonly pages: readonly Page[]
}

async function handle(
  incoming: IncomingMessage,
  response: ServerResponse,
  { listenAddress, access, pages }: Served,
): Promise<void> {
  const { method = '', headers } = incoming
  const [path, ...search] = (incoming.url ?? '/').split('?')
  const query = new URLSearchParams(search.join('?'))
  const wanted = formatOf(query, headers.accept)
  const base = { ...plainRequest, query, format: access === 'open' && wanted === 'html' ? ('text' as const) : wanted }
  const origin = { method, host: headers.host, origin: headers.origin, fetchSite: one(headers['sec-fetch-site']) }
  const refused = access === 'open' ? null : refusal(origin, listenAddress, access)
  if (refused !== null) return send(response, await errorAnswer(base, 403, refused))
  const page = pages.find(each => each.path === path || each.path === `${path}/` || `${each.path}/` === path)
  if (page === undefined) return send(response, await unknownPage(base, path!, pages))
  const plainMethod = method === 'HEAD' ? 'GET' : method
  if (!isOneOf(page.methods, plainMethod)) {
    response.setHeader(
      'allow',
      page.methods.includes('GET') ? [...page.methods, 'HEAD'].join(', ') : page.methods.join(', '),
    )
    return send(
      response,
      await errorAnswer(base, 405, `${page.path} takes ${page.methods.join(' or ')}, not ${method}${hintFor(page)}`),
    )
  }
  const body = plainMethod === 'POST' ? await read(incoming) : ''
  if (body === null)
    return send(response, await errorAnswer(base, 413, `a body of more than ${MAX_BODY} bytes is not expected here`))
  await send(
    response,
    await page.answer({ ...base, method: plainMethod, body, accept: headers.accept ?? '' }),
    method === 'HEAD',
  )
}

function hintFor({ path, methods }: Page): string {
  return methods.includes('GET') ? '' : `: curl -X ${methods[0]} .../${path.slice(1)}`
}

function isOneOf(methods: Page['methods'], method: string): method is PageRequest['method'] {
  return (methods as readonly string[]).includes(method)
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/** Null: too long. */
async function read(incoming: IncomingMessage): Promise<string | null> {
  let body = ''
  incoming.setEncoding('utf8')
  for await (const chunk of incoming) {
    body += chunk
    if (body.length > MAX_BODY) return null
  }
  return body
}

async function send(
  response: ServerResponse,
  { status, type, body, policy }: PageAnswer,
  headOnly = false,
): Promise<void> {
  response.statusCode = status
  response.setHeader('content-type', type)
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  if (policy !== undefined) response.setHeader('content-security-policy', policy)
  if (headOnly) return void response.end()
  if (typeof body === 'string') return void response.end(body)
  for await (const chunk of body) {
    if (response.destroyed) return
    if (!response.write(chunk)) await new Promise<void>(resolve => waitFor(response, resolve))
  }
  response.end()
}

function waitFor(response: ServerResponse, resolve: () => void): void {
  const go = () => {
    response.off('drain', go)
    response.off('close', go)
    resolve()
  }
  response.on('drain', go)
  response.on('close', go)
}
