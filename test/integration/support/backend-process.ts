// An application for tests: what it does is in the path.
//   /            200, its port                        /bytes/16384         so many bytes
//   /slow/300    200 after so many milliseconds       /status/503          that status
//   /echo        the body that came, as it comes      /count               200, how many bytes of body came
//   /whole       200, its port, when the request is whole
//   /hang        never answers                        /drip/20/50          so many pieces, so many milliseconds apart
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

const port = Number(process.env.PORT)
const bytes = Buffer.alloc(1024 * 1024, 'outrigger ')

const pages: Record<
  string,
  (request: IncomingMessage, response: ServerResponse, first: number, second: number) => void
> = {
  '': (_request, response) => response.end(`${port}\n`),
  whole: (request, response) => void request.resume().on('end', () => response.end(`${port}\n`)),
  bytes(_request, response, size) {
    response.setHeader('content-length', size)
    send(response, size)
  },
  slow: (_request, response, delayMs) => void setTimeout(() => response.end('slow\n'), delayMs),
  status(_request, response, status) {
    response.statusCode = status
    response.end(`${status}\n`)
  },
  echo: (request, response) => void request.pipe(response),
  count(request, response) {
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    request.on('end', () => response.end(`${length}\n`))
  },
  hang: () => {},
  drip(_request, response, pieces, everyMs) {
    let left = pieces
    const timer = setInterval(() => {
      if (left-- > 0) return void response.write('drop\n')
      clearInterval(timer)
      response.end()
    }, everyMs)
    response.on('close', () => clearInterval(timer))
  },
}

function send(response: ServerResponse, left: number): void {
  while (left > 0) {
    const piece = bytes.subarray(0, Math.min(left, bytes.length))
    left -= piece.length
    if (!response.write(piece) && left > 0) return void response.once('drain', () => send(response, left))
  }
  response.end()
}

const server = createServer((request, response) => {
  const [, name = '', first = '0', second = '0'] = (request.url ?? '/').split('?')[0]!.split('/')
  const page = pages[name]
  if (page !== undefined) return page(request, response, Number(first), Number(second))
  response.statusCode = 404
  response.end()
})
// Longer than any test: the proxy closes first.
server.keepAliveTimeout = 600_000
server.requestTimeout = 0
server.listen(port, '127.0.0.1', 4096, () => console.log(`listens on ${port}`))
