// The usual library, used as its README says, with keep-alive upstream. Usage: node http-proxy-3-proxy.ts LISTEN
// UPSTREAM...
import { Agent, createServer, ServerResponse } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

const [listen, ...ports] = process.argv.slice(2).map(Number)
const proxy = createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 128 }) })
proxy.on('error', (_error, _request, response) => {
  if (response instanceof ServerResponse && !response.headersSent)
    response.writeHead(503, { 'content-length': 12 }).end('unavailable\n')
  else response.destroy()
})

let turn = 0
createServer((request, response) => {
  turn = (turn + 1) % ports.length
  proxy.web(request, response, { target: `http://127.0.0.1:${ports[turn]}` })
}).listen(listen, '127.0.0.1', 4096)
