// A service of the tests: says who it is, keeps its pids in PIDS, and behaves badly when asked to.
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { PORT, PIDS, OUTRIGGER_INSTANCE, NEXT_URL, COLOUR, STUBBORN, CRASH } = process.env
const note = pid => appendFileSync(PIDS, `${OUTRIGGER_INSTANCE} ${pid}\n`)
note(process.pid)
if (CRASH !== undefined) {
  console.error('it cannot start like this')
  process.exit(3)
}
if (STUBBORN !== undefined) {
  process.on('SIGTERM', () => console.log('no'))
  // A process of its own, which nobody tells anything.
  const code = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')"
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.once('data', () => console.log('its child is up'))
  note(child.pid)
}

createServer(async (request, response) => {
  if (request.url === '/crash') process.exit(1)
  if (request.url === '/slow') await new Promise(done => setTimeout(done, 400))
  const next = request.url === '/next' ? await (await fetch(NEXT_URL)).json() : null
  const { traceparent } = request.headers
  response.end(JSON.stringify({ from: OUTRIGGER_INSTANCE, pid: process.pid, colour: COLOUR, traceparent, next }))
}).listen(Number(PORT), '127.0.0.1', () => console.log('\u001b[32mup\u001b[39m'))
