// An application for `outrigger run`: what it does is in its environment. It says each step on standard output.
//   PORT            listens there; absent: it listens nowhere
//   LISTEN_AFTER    milliseconds before it listens
//   CALL_FIRST      a URL that it calls before anything else
//   CALL_LAST       a URL that it calls when SIGTERM comes; then it ends with 0
//   ON_TERM         `ignore`, or an exit code; absent: as a program that does not care
//   GRPC            what listens is a gRPC server, which answers /test.Echo/Say
//   SAY_SIGNALS     other signals are said, and do nothing else
// /healthz answers 503 after /sick, and 200 after /well.
import { createServer, get } from 'node:http'

const { GRPC, PORT, LISTEN_AFTER = '0', CALL_FIRST, CALL_LAST, ON_TERM, SAY_SIGNALS } = process.env

function call(url: string, said: string, then: () => void): void {
  const end = (how: string) => {
    console.log(`${said}: ${how}`)
    then()
  }
  get(url, answer => {
    answer.resume()
    answer.on('end', () => end(String(answer.statusCode)))
  }).on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
}

if (CALL_FIRST !== undefined) call(CALL_FIRST, 'first call', () => {})
if (CALL_LAST !== undefined)
  process.on('SIGTERM', () => {
    console.log('SIGTERM')
    call(CALL_LAST, 'last call', () => process.exit(0))
  })
if (ON_TERM !== undefined)
  process.on('SIGTERM', () => {
    console.log('SIGTERM')
    if (ON_TERM !== 'ignore') process.exit(Number(ON_TERM))
  })
if (SAY_SIGNALS !== undefined)
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGWINCH'] as const)
    process.on(signal, () => console.log(signal))

let isWell = true
const server = createServer((request, response) => {
  if (request.url === '/sick') isWell = false
  if (request.url === '/well') isWell = true
  if (request.url === '/healthz' && !isWell) response.statusCode = 503
  response.end(`${process.pid}\n`)
})
server.keepAliveTimeout = 600_000
if (GRPC !== undefined) await listenGrpc(Number(PORT))
else if (PORT === undefined) setInterval(() => {}, 1 << 30)
else
  setTimeout(() => server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('listens')), Number(LISTEN_AFTER))
console.log(`application ${process.pid}`)

async function listenGrpc(port: number): Promise<void> {
  const { Server, ServerCredentials } = await import('@grpc/grpc-js')
  const same = (bytes: Buffer) => bytes
  const forms = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
  const grpc = new Server()
  grpc.addService({ say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...forms } }, {
    say: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => done(null, call.request),
  } as never)
  grpc.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), () => console.log('listens'))
}
