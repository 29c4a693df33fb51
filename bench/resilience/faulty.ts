import { join } from 'node:path'
import { node, run, startChild } from '../../test/integration/support/child.ts'
import { freePort } from '../../test/integration/support/ports.ts'
import { get } from '../../test/integration/support/proxy.ts'
import { tool } from '../../test/peers/find.ts'
import type { Fault } from './fault.ts'
import { WORK_MS } from './scenarios.ts'

/** An instance in a process of its own, and how its faults begin and end. */
export interface Faulty extends AsyncDisposable {
  readonly address: string
  begin(fault: Fault): Promise<void>
  end(fault: Fault): Promise<void>
}

export async function startFaulty(): Promise<Faulty> {
  const [port, control] = [await freePort(), await freePort()]
  const start = async () => {
    const env = { PORT: String(port), CONTROL: String(control), WORK_MS: String(WORK_MS) }
    const child = startChild(node, [join(import.meta.dirname, 'instance.ts')], env)
    await child.said('an instance that listens', out => out.includes('listens'))
    return child
  }
  let child = await start()
  const tell = async (what: Fault | 'none') => void (await get(control, `/fault/${what}`))
  return {
    address: `127.0.0.1:${port}`,
    async begin(fault) {
      if (fault === 'killed') child.signal('SIGKILL')
      else if (fault === 'stopped') child.signal('SIGSTOP')
      else if (fault === 'dropped') await drop('-A', port)
      else await tell(fault)
    },
    async end(fault) {
      if (fault === 'killed') child = await start()
      else if (fault === 'stopped') child.signal('SIGCONT')
      else if (fault === 'dropped') await drop('-D', port)
      else await tell('none')
    },
    async [Symbol.asyncDispose]() {
      child.signal('SIGCONT')
      await child.stop()
    },
  }
}

/** Only in a network namespace of one's own (main.ts): it loses packets of whoever uses the port. */
async function drop(how: '-A' | '-D', port: number): Promise<void> {
  for (const side of ['--dport', '--sport']) {
    const { code, err } = await run(tool('iptables'), [how, 'INPUT', '-p', 'tcp', side, String(port), '-j', 'DROP'])
    if (code !== 0) throw new Error(`iptables: ${err}`)
  }
}
