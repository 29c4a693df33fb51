// What the containers of the node's tests run: its text is the argument of `node -e`, because the image has nothing else.
// Each line that it prints begins with the time. In its environment:
//   PORT        listens there (8080)
//   GRPC_PORT   the gRPC health service, always serving
//   CALL        a URL, CALL_HOST its Host: called first of all, and again and again after SIGTERM
//   AT_TERM     `close`: SIGTERM closes the port at once; connections that are there go on
// After SIGTERM it ends when nobody has asked for a second, and not before three. /healthz does not count.
const { createServer, get } = require('node:http')
const { createServer: createHttp2 } = require('node:http2')
const net = require('node:net')

const { PORT = '8080', GRPC_PORT, CALL, CALL_HOST, AT_TERM } = process.env
const say = text => console.log(`${new Date().toISOString()} ${text}`)
let askedAt = 0

const call = (url, host) =>
  new Promise(resolve => {
    const asked = get(url, { agent: false, ...(host === undefined ? {} : { headers: { host } }) }, answer => {
      let text = ''
      answer.on('data', chunk => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
    })
    asked.on('error', error => resolve({ status: 0, text: error.code }))
  })

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://own')
  if (pathname !== '/healthz') askedAt = Date.now()
  if (pathname === '/call') return response.end(JSON.stringify(await call(searchParams.get('url'))))
  response.end(JSON.stringify({ pid: process.pid, id: request.headers['x-request-id'] ?? null }))
  if (pathname === '/hang')
    setTimeout(() => {
      for (;;);
    }, 50)
})
server.keepAliveTimeout = 600_000
// Its port alone: `close` of an HTTP server ends idle connections too, in which a request may be on its way.
const port = net.createServer(socket => server.emit('connection', socket))

process.on('SIGTERM', async () => {
  say('SIGTERM')
  const at = Date.now()
  if (AT_TERM === 'close') port.close()
  const counts = {}
  while (Date.now() < Math.max(at + 3000, askedAt + 1000)) {
    if (CALL !== undefined) {
      const { status, text } = await call(CALL, CALL_HOST)
      counts[status || text] = (counts[status || text] ?? 0) + 1
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  say(`last calls ${JSON.stringify(counts)}`)
  process.exit(0)
})

say(`application ${process.pid}`)
if (CALL !== undefined) void call(CALL, CALL_HOST).then(({ status, text }) => say(`first call ${status || text}`))
port.listen(Number(PORT), () => say('listens'))
if (GRPC_PORT !== undefined)
  createHttp2()
    .on('stream', stream => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      // A message of two bytes: status, serving.
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]))
    })
    .listen(Number(GRPC_PORT))
