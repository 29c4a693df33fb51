import { execSync } from 'node:child_process'
import { test } from 'vitest'
import { startBackend } from './support/backend.ts'
import { freePort } from './support/ports.ts'
import { startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
test('x', async () => {
  const backend = await startBackend()
  const port = await freePort()
  const proxy = await startProxy({ workers: 2, flights: { recent: 1e6 }, outbound: [{ listen: `127.0.0.1:${port}` }], discovery: { endpoints: { orders: [backend.address] } } }, { NODE_OPTIONS: '--max-old-space-size=40' })
  const clients = await Promise.all(Array.from({ length: 40 }, () => rawClient(port)))
  const ask = async (c: (typeof clients)[0]) => {
    const b = c.received().length
    c.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    const t = Date.now()
    let how = ''
    void c.closed.then(x => { how = x })
    while (c.received().length === b && how === '' && Date.now() - t < 1500) await new Promise(r => setTimeout(r, 10))
    return how || (c.received().length > b ? 'ok' : `stuck ended=${c.socket.readableEnded} ${c.socket.localPort}`)
  }
  for (const c of clients) await ask(c)
  const a = await rawClient(port)
  a.socket.removeAllListeners('data').resume()
  const request = `GET /${'long'.repeat(3000)} HTTP/1.1\r\nHost: nobody\r\n\r\n`.repeat(8)
  const write = () => { while (a.socket.writable && a.socket.write(request)); }
  a.socket.on('drain', write)
  write()
  await Promise.race([a.closed, a.ended])
  console.log('crashed', proxy.err())
  for (const c of clients) { const r = await ask(c); console.log(r); if (r.startsWith('stuck')) { console.log(execSync(`ss -tnp | grep ${c.socket.localPort}; ss -tlnp | grep ${port}`).toString(), (await proxy.admin('/ready?verbose')).body, (await proxy.flights()).slice(-1)); break } }
  console.log(proxy.err())
}, 60000)
