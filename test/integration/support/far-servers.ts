import { createServer as createHttp } from 'node:http'
import { createServer as createTcp } from 'node:net'

/** Servers of another host, for tests of interception: `far-servers.ts ADDRESS ADDRESS6`. */
const [address = '127.0.0.1', address6 = '::1'] = process.argv.slice(2)

/** Two instances of `orders`, and a site that belongs to nobody's mesh; each says who it is. */
for (const port of [8081, 8082, 8090])
  for (const host of [address, address6])
    createHttp((request, response) => {
      const { method, url, headers } = request
      request.resume().on('end', () => {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ port, method, url, host: headers.host, from: request.socket.remoteAddress }))
      })
    }).listen(port, host)

/** Speaks first, as MySQL and SMTP do. */
for (const port of [3306, 3307])
  createTcp(socket => {
    socket.on('error', () => {})
    socket.write(`greeting of ${port}\r\n`)
    socket.on('data', bytes => socket.end(`you said ${bytes}`))
  }).listen(port, address)

process.stdout.write('ready\n')
