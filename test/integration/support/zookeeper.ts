import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connectZooKeeper, type ZooKeeperConnection } from '../../../agent/policy/zookeeper-client.ts'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

export interface ZooKeeperServer extends AsyncDisposable {
  readonly port: number
  child(): Child
  kill(): Promise<void>
  /** With the same data. */
  start(): Promise<void>
  /** A connection of the test's own; closed with the server. */
  client(auth?: string): Promise<ZooKeeperConnection>
}

const JARS = ['zookeeper', 'zookeeper-jute', 'slf4j-api', 'metrics-core', 'snappy-java', 'netty-all']

/** A real ZooKeeper server, alone, on a loopback port; it takes messages of 6 MiB. */
export async function startZooKeeper(): Promise<ZooKeeperServer> {
  const [java, script] = await Promise.all([obtain('java'), obtain('zookeeper')])
  const share = join(script, '../../../java')
  const folder = temporaryFolder()
  const port = await freePort()
  const file = join(folder, 'zoo.cfg')
  writeFileSync(
    file,
    `tickTime=200\nminSessionTimeout=400\ndataDir=${folder}/data\nclientPortAddress=127.0.0.1\nclientPort=${port}\n` +
      'admin.enableServer=false\n4lw.commands.whitelist=*\n',
  )
  const classes = JARS.map(name => join(share, `${name}.jar`)).join(':')
  const args = ['-cp', classes, '-Xmx128m', '-Djute.maxbuffer=6291456', '-XX:TieredStopAtLevel=1']
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const clients: ZooKeeperConnection[] = []
  let child: Child
  const self: ZooKeeperServer = {
    port,
    child: () => child,
    async kill() {
      child.signal('SIGKILL')
      await child.ended
    },
    async start() {
      child = startChild(java, [...args, main, file])
      await until('ZooKeeper answers', async () => {
        if (!child.running()) throw new Error(`ZooKeeper has ended: ${child.err().slice(-2000)}`)
        if ((await fourLetters(port)) !== 'imok') return false
        // It says so before it takes sessions.
        const client = await self.client().catch(() => null)
        client?.close()
        return client !== null
      })
    },
    async client(auth) {
      const options = { host: '127.0.0.1', port, sessionMs: 10_000, auth: auth ?? null }
      const made = await connectZooKeeper({ ...options, changed: () => {}, lost: () => {} })
      clients.push(made)
      return made
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close()
      await self.kill()
    },
  }
  await self.start()
  return self
}

function fourLetters(port: number): Promise<string> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write('ruok'))
    socket.on('data', chunk => {
      answer += chunk.toString()
    })
    // A server that begins just now may take the connection and never answer on it.
    socket.setTimeout(1_000, () => socket.destroy())
    socket.on('close', () => resolve(answer))
    socket.on('error', () => {})
  })
}
