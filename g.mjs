import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
const raw = b => b
const method = (path, s = false) => ({ path, requestStream: s, responseStream: s, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw })
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
const message = Buffer.alloc(2**20, 'x')
const srv = new Server(options)
srv.addService({ Echo: method('/test.Calls/Echo'), Pour: method('/test.Calls/Pour', true), Sink: method('/test.Calls/Sink', true) }, {
  Echo: (call, answer) => answer(null, call.request),
  Pour(call) { const more = () => { while (!call.cancelled && call.write(message)); }; call.on('drain', more); call.on('error', () => {}); more() },
  Sink(call) { call.on('error', () => {}) },
})
await new Promise(d => srv.bindAsync('127.0.0.1:21012', ServerCredentials.createInsecure(), d))
const client = new Client('127.0.0.1:21021', credentials.createInsecure(), options)
const held = async () => { for (const p of [21010, 21020]) { const t = await (await fetch(`http://127.0.0.1:${p}/metrics`)).text(); console.log(p, t.split('\n').filter(l => /buffered_bytes|requests_active/.test(l) && !l.startsWith('#')).join(' | ')) } }
const t0 = Date.now(); const log = (...a) => console.log(Date.now() - t0, ...a)
const echo = c => new Promise(d => c.makeUnaryRequest('/test.Calls/Echo', raw, raw, message, { deadline: Date.now() + 60000 }, (e, a) => d(e ? e.message : a.length)))
log('echo', await echo(client))
if (process.argv[2] === 'up') {
  const metadata = new Metadata(); metadata.set('grpc-timeout', '1S')
  let n = 0
  for (let i = 0; i < 8; i++) { const call = client.makeBidiStreamRequest('/test.Calls/Sink', raw, raw, metadata); call.on('error', e => { n++; log(e.code, e.details) }); call.on('data', () => {}); for (let j = 0; j < 4; j++) call.write(message) }
  while (n < 8) await new Promise(r => setTimeout(r, 100))
  for (let i = 0; i < 3; i++) log('echo', await echo(client))
} else {
  const calls = Array.from({ length: 24 }, (_, i) => { const call = client.makeBidiStreamRequest(`/test.Calls/${i % 2 ? 'Sink' : 'Pour'}`, raw, raw, new Metadata()); call.on('error', () => {}); for (let j = 0; j < 4 && i % 2; j++) call.write(message); return call })
  await new Promise(r => setTimeout(r, 2500)); await held()
  for (let i = 0; i < 3; i++) log('echo', await echo(client))
  for (const c of calls) c.cancel()
  client.close()
}
await new Promise(r => setTimeout(r, 2500)); await held()
process.exit()
