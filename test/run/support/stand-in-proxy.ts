// What a supervisor sees of a proxy. With a second argument it has a successor at once, and ends itself.
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'

const FD = 3
const link = new Socket({ fd: FD, readable: true, writable: true })
const say = (line: object) => link.write(`${JSON.stringify(line)}\n`)
say({ say: 'ready', pid: process.pid })
if (process.argv[2] === 'succeeded') {
  link.pause()
  const { pid } = spawn(process.execPath, [process.argv[1]!], {
    stdio: ['ignore', 'inherit', 'inherit', FD],
    detached: true,
  })
  say({ say: 'successor', pid })
  setTimeout(() => process.exit(0), 300)
} else {
  link.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('"leave"')) say({ say: 'inbound-drained' })
    if (text.includes('"end"')) process.exit(0)
  })
  link.on('close', () => process.exit(0))
}
