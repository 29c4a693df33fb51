import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

export interface Dnsmasq extends AsyncDisposable {
  /** `127.0.0.1:port`, as name servers are configured. */
  readonly server: string
  child(): Child
  /** The same server, with other records. */
  restart(records: readonly string[]): Promise<void>
  stop(): Promise<void>
}

/**
 * A real name server that knows the domain `test` by heart and nobody else's. Records are lines of its configuration:
 * `host-record=a.test,10.0.0.1,fd00::1,60` (the last is the TTL), `srv-host=_http._tcp.test,a.test,80,0,10` (port,
 * priority, weight).
 */
export async function startDnsmasq(records: readonly string[]): Promise<Dnsmasq> {
  const binary = await obtain('dnsmasq')
  const port = await freePort()
  const file = join(temporaryFolder(), 'dnsmasq.conf')
  const settings = [
    'no-resolv',
    'no-hosts',
    'bind-interfaces',
    'listen-address=127.0.0.1',
    `port=${port}`,
    'local=/test/',
    'pid-file',
    `user=${user()}`,
  ]
  let child: Child | null = null

  async function start(lines: readonly string[]): Promise<void> {
    writeFileSync(file, [...settings, ...lines, ''].join('\n'))
    const started = startChild(binary, ['--keep-in-foreground', `--conf-file=${file}`, '--log-facility=-'])
    child = started
    await until('dnsmasq is there', () => started.err().includes('started') || !started.running())
    if (!started.running()) throw new Error(`dnsmasq did not start: ${started.err()}`)
  }

  await start(records)
  const stop = async () => {
    await child!.stop()
  }
  return {
    server: `127.0.0.1:${port}`,
    child: () => child!,
    async restart(lines) {
      await stop()
      await start(lines)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** As root it would become a user of its own, who may not be there. */
function user(): string {
  return process.getuid?.() === 0 ? 'root' : (process.env.USER ?? '')
}
