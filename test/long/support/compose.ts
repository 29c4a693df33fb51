import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type Session, talk } from '../../console/session.ts'
import { node, root, run, temporaryFolder } from '../../integration/support/child.ts'
import { tool } from '../../peers/find.ts'
import { obtain, type PeerName } from '../../peers/obtain.ts'
import { BASE, loadBaseImage } from './base-image.ts'
import { type Docker, startDocker } from './docker.ts'
import { builtImage, IMAGE } from './image.ts'

/** The example of examples/compose, started by the real Docker Compose, in a Docker with a network of its own. */
export interface Compose extends AsyncDisposable {
  readonly docker: Docker['docker']
  /** `docker compose <args>`; rejects where it fails. */
  compose(...args: readonly string[]): Promise<string>
  /** What a user of that machine gets: the body of an answer with 200, else null. */
  get(url: string): Promise<string | null>
  /** A shell of that machine, in a folder with the files of a clone that the page needs. */
  session(): Session
  /** How many calls were answered by whom: examples/support/call.js. */
  calls(url: string, times: number, pauseMs: number): Promise<Readonly<Record<string, number>>>
}

export const FILE = join(root, 'examples/compose/compose.yaml')

export async function startComposed(): Promise<Compose> {
  const binary = await obtain('docker-compose')
  const image = await buildImage()
  const machine = await startDocker('own')
  await loadBaseImage(machine)
  await machine.docker(['load', '-i', image])
  await machine.docker(['tag', IMAGE, 'outrigger'])
  await makeImages(machine)
  const entered = [`--net=/proc/${machine.pid}/ns/net`]
  const inside = async (args: readonly string[]) => {
    const { code, out, err } = await run(tool('nsenter'), [...entered, ...args])
    if (code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`)
    return out
  }
  const compose = async (...args: readonly string[]) => {
    const { code, out, err } = await run(binary, ['-f', FILE, ...args], {
      DOCKER_HOST: machine.address,
      DOCKER_CONFIG: temporaryFolder(),
    })
    if (code !== 0) throw new Error(`docker compose ${args.join(' ')}: ${out}${err}`)
    return out + err
  }
  return {
    docker: machine.docker,
    compose,
    async get(url) {
      const script = 'fetch(process.argv[1]).then(async a => { if (a.ok) console.log(await a.text()) }, () => {})'
      return (await inside([node, '-e', script, url])).trim() || null
    },
    session() {
      const folder = temporaryFolder()
      for (const name of ['examples/compose', 'examples/support', 'deploy'])
        cpSync(join(root, name), join(folder, name), { recursive: true })
      const plugins = join(folder, '.docker/cli-plugins')
      mkdirSync(plugins, { recursive: true })
      symlinkSync(binary, join(plugins, 'docker-compose'))
      const PATH = '/usr/bin:/bin'
      const env = { PATH, HOME: folder, DOCKER_HOST: machine.address, LC_ALL: 'C.UTF-8', NO_COLOR: '1' }
      return talk(tool('nsenter'), [...entered, '/bin/bash', '--noprofile', '--norc'], { cwd: folder, env })
    },
    calls: async (url, times, pauseMs) =>
      JSON.parse(await inside([node, join(root, 'examples/support/call.js'), url, `${times}`, `${pauseMs}`])),
    async [Symbol.asyncDispose]() {
      await machine[Symbol.asyncDispose]()
    },
  }
}

async function buildImage(): Promise<string> {
  await using docker = await startDocker()
  return await builtImage(docker)
}

/** The images that the file names, made of programs of package registries, since no registry of images may be reached. */
async function makeImages({ docker }: Docker): Promise<void> {
  const { services } = parse(readFileSync(FILE, 'utf8'), { merge: true }) as {
    services: Readonly<Record<string, { readonly image: string }>>
  }
  const make = async (name: string, folder: string, lines: readonly string[]) => {
    writeFileSync(join(folder, 'Dockerfile'), [`FROM ${BASE}`, ...lines, ''].join('\n'))
    await docker(['build', '-q', '-t', services[name]!.image, folder])
  }
  const programs: readonly PeerName[] = ['consul', 'jaeger', 'prometheus']
  for (const name of programs) {
    const folder = temporaryFolder()
    copyFileSync(await obtain(name), join(folder, name))
    await make(name, folder, [`COPY ${name} /usr/local/bin/${name}`, `ENTRYPOINT ["/usr/local/bin/${name}"]`])
  }
  // No registry has Grafana: what nothing else needs is there and does nothing.
  await make('grafana', temporaryFolder(), ['ENTRYPOINT ["sleep", "infinity"]'])
}
