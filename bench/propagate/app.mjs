// Answers each request with what one call to `ECHO` gives. Plain JavaScript, for any Node.
import http from 'node:http'

const { ECHO, LIBRARY } = process.env
const agent = new http.Agent({ keepAlive: true })
const calls = {
  none: done => done(),
  http: done => http.get(ECHO, { agent }, response => response.resume().on('end', done)),
  fetch: async done => {
    await (await fetch(ECHO)).text()
    done()
  },
}
const call = calls[LIBRARY]
const server = http
  .createServer((_request, response) => call(() => response.end('ok')))
  .listen(0, '127.0.0.1', () => {
    process.send(server.address().port)
  })
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send(user + system)
})
