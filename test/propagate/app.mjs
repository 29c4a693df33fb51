// An application that knows nothing of tracing, in plain JavaScript for any Node: for each request it asks `ECHO`, by
// the library and on the way that the query names, and answers with the head that arrived there.
import { once } from 'node:events'
import http, { createServer } from 'node:http'
import http2 from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { Pool, fetch as undiciFetch } from 'undici'

const { ECHO, ECHO_H2, ECHO_GRPC } = process.env
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 })
const pool = new Pool(ECHO, { connections: 2 })
const session = http2.connect(ECHO_H2)
const grpc = new Client(ECHO_GRPC, credentials.createInsecure())
const asJson = {
  serialize: value => Buffer.from(JSON.stringify(value)),
  deserialize: bytes => JSON.parse(bytes.toString()),
}

/** Each gives the head as the other side saw it. `own`: what the application sets itself. */
const libraries = {
  http: async own => answered(http.request(ECHO, { agent, headers: own }).end()),
  'http with setHeader': async own => {
    const request = http.request(ECHO, { agent })
    for (const [name, value] of Object.entries(own)) request.setHeader(name, value)
    return answered(request.end())
  },
  'http with a list': async own =>
    answered(http.get(ECHO, { agent, headers: Object.entries({ host: 'echo', ...own }).flat() })),
  'http with pairs': async own =>
    answered(http.get(ECHO, { agent, headers: Object.entries({ host: 'echo', ...own }) })),
  'http with expect': async own =>
    answered(http.request(ECHO, { agent, method: 'POST', headers: { ...own, expect: '100-continue' } }).end('x')),
  'http in callbacks': own =>
    new Promise((done, failed) => {
      // Closed before it is answered, on a connection that others have used: the call in the listener is for this request.
      http
        .get(`${ECHO}/reset`, { agent })
        .on('error', () =>
          http.get(ECHO, { agent, headers: own }, response => bodyOf(response, done)).on('error', failed),
        )
    }),
  fetch: async own => (await fetch(ECHO, { headers: own })).json(),
  'fetch of undici': async own => (await undiciFetch(ECHO, { headers: own })).json(),
  'a pool of undici': async own => (await pool.request({ path: '/', method: 'GET', headers: own })).body.json(),
  http2: async own => {
    const stream = session.request({ ':path': '/', ...own })
    return JSON.parse(await textOf(stream))
  },
  'http2 in callbacks': own =>
    new Promise((done, failed) => {
      const stream = session.request({ ':path': '/' })
      stream.on('error', failed).on('response', () => {
        stream.resume()
        stream.on('end', () =>
          textOf(session.request({ ':path': '/', ...own }))
            .then(JSON.parse)
            .then(done, failed),
        )
      })
    }),
  grpc: own =>
    new Promise((done, failed) => {
      grpcCall(grpc, own, (error, value) => (error ? failed(error) : done(value)))
    }),
  'grpc in callbacks': own =>
    new Promise((done, failed) => {
      grpcCall(grpc, own, () =>
        http.get(ECHO, { agent, headers: own }, response => bodyOf(response, done)).on('error', failed),
      )
    }),
  // Every call of this one waits for the same new connection.
  'grpc, a new client for each ten': own => {
    if (ten.calls++ % 10 === 0)
      ten.client = new Client(ECHO_GRPC, credentials.createInsecure(), {
        n: ten.calls,
        'grpc.use_local_subchannel_pool': 1,
      })
    return new Promise((done, failed) =>
      grpcCall(ten.client, own, (error, value) => (error ? failed(error) : done(value))),
    )
  },
}
const ten = { calls: 0, client: null }

function grpcCall(client, own, callback) {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(own)) metadata.set(name, value)
  client.makeUnaryRequest('/echo/Echo', asJson.serialize, asJson.deserialize, {}, metadata, {}, callback)
}

/** What the application does before it calls. */
const ways = {
  'at once': async () => {},
  'after a promise': () => Promise.resolve(),
  'after a timer': () => sleep(2 * Math.random()),
  'in a timer': () => new Promise(done => setTimeout(() => setImmediate(() => process.nextTick(done)), 1)),
  'at the end of the body': request => once(request.resume(), 'end'),
}

async function answer(request, query) {
  const { library = 'http', way = 'at once', own = '{}' } = query
  const call = () => libraries[library](JSON.parse(own))
  // In the listener itself, where no promise brings anything along.
  if (way === 'in a listener')
    return new Promise((done, failed) => request.on('end', () => call().then(done, failed)).resume())
  await ways[way](request)
  return call()
}

async function serve(request, response) {
  const query = Object.fromEntries(new URL(request.url, 'http://app').searchParams)
  if (query.throws !== undefined) throw new Error('the application’s own')
  try {
    response.end(JSON.stringify(await answer(request, query)))
  } catch (error) {
    response.statusCode = 500
    response.end(JSON.stringify({ error: error.stack }))
  }
}

const plain = createServer(serve).listen(0, '127.0.0.1')
const h2 = http2.createServer(serve).listen(0, '127.0.0.1')
const streams = http2.createServer()
streams.on('stream', (stream, headers) => {
  const query = Object.fromEntries(new URL(headers[':path'], 'http://app').searchParams)
  answer(stream, query).then(
    value => stream.end(JSON.stringify(value)),
    error => stream.end(JSON.stringify({ error: error.stack })),
  )
})
streams.listen(0, '127.0.0.1')
const server = new Server()
server.register(
  '/app/Ask',
  ({ request }, done) => {
    answer(null, request).then(value => done(null, value), done)
  },
  asJson.serialize,
  asJson.deserialize,
  'unary',
)
const grpcPort = await new Promise((done, failed) =>
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
    error ? failed(error) : done(port),
  ),
)
await Promise.all([plain, h2, streams].map(each => each.listening || once(each, 'listening')))
process.on('uncaughtException', error => process.send?.({ uncaught: error.message }))
process.send({ http: plain.address().port, http2: h2.address().port, streams: streams.address().port, grpc: grpcPort })

function answered(request) {
  return new Promise((done, failed) => request.on('error', failed).on('response', response => bodyOf(response, done)))
}

function bodyOf(response, done) {
  let text = ''
  response
    .setEncoding('utf8')
    .on('data', piece => (text += piece))
    .on('end', () => done(JSON.parse(text)))
}

async function textOf(stream) {
  let text = ''
  for await (const piece of stream.setEncoding('utf8')) text += piece
  return text
}
