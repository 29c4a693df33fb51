import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DevFile, type DevService, GATEWAY } from '../mesh-config/dev/load-dev-file.ts'
import type { Environment } from '../mesh-config/environment.ts'
import { environmentOf } from './environment.ts'
import { agentFile, gatewayFile, sidecarFile, writeWhole } from './files.ts'
import type { Groups } from './groups.ts'
import { type Printer, warningOf } from './output.ts'
import { instancesOf, type Plan, type PlannedInstance, planOf, portKeys } from './plan.ts'
import { freePorts, isFree } from './ports.ts'
import { isReady, listens, policiesAreInForce } from './ready.ts'
import { type Kept, keepRunning, type State } from './supervise.ts'

export interface MeshOptions {
  /** What starts `outrigger`, before its arguments. */
  readonly outrigger: readonly [string, ...string[]]
  /** The folder of the dev file. */
  readonly base: string
  /** Of its own: generated files, state, the agent's socket. */
  readonly folder: string
  readonly env: Environment
  readonly print: Printer
  readonly groups: Groups
  /** All that sidecars and the agent say, not only warnings. */
  readonly verbose: boolean
  readonly coloured: boolean
}

/** An application and its sidecar. */
interface Pair {
  readonly planned: PlannedInstance
  readonly app: Kept
  readonly sidecar: Kept
}

export interface Mesh {
  /** Rejects with a text for the user. */
  start(dev: DevFile): Promise<void>
  /** Another version of the file: what it does not touch goes on. Rejects with a text for the user. */
  change(dev: DevFile): Promise<void>
  plan(): Plan
  stateOf(instance: string): State
  colourOf(service: string): number
  /** All that is started now; resolves also when some of it is stopped meanwhile. */
  whenReady(): Promise<void>
  stop(): Promise<void>
}

const APP_GRACE_MS = 5_000
const SIDECAR_GRACE_MS = 3_000
const LAST_WORDS = 12
/** Without them it works too, as a sidecar does without an agent. */
const POLICIES_WITHIN_MS = 5_000
const ASK_EVERY_MS = 50
const OWN = -1

export function createMesh(options: MeshOptions): Mesh {
  const { outrigger, base, folder, env, print, groups, verbose, coloured } = options
  const ports = new Map<string, number>()
  const pairs = new Map<string, Pair>()
  const own: Kept[] = []
  const colourOfService = new Map<string, number>()
  let dev: DevFile
  let plan: Plan
  let stopping = false

  async function planned(file: DevFile): Promise<Plan> {
    const missing = portKeys(file).filter(key => !ports.has(key))
    const found = await freePorts(missing.length)
    for (const [index, key] of missing.entries()) ports.set(key, found[index]!)
    return planOf(file, key => ports.get(key)!)
  }

  /** Ports that the file names: another program may have them. `known`: those that this mesh has already. */
  async function checkPorts(file: DevFile, known: ReadonlySet<number>): Promise<void> {
    for (const { name, port, instances, publish } of file.services) {
      const wanted = [
        ...(port === undefined ? [] : Array.from({ length: instances }, (_, index) => ['port', port + index] as const)),
        ...(publish === undefined ? [] : [['publish', publish] as const]),
      ]
      for (const [key, each] of wanted)
        if (!known.has(each) && !(await isFree(each)))
          throw new Error(
            `${key} of ${name}: another program listens on 127.0.0.1:${each} (see "ss -ltnp"): end it, or write another port`,
          )
    }
  }

  function writeFiles(): void {
    writeWhole(join(folder, 'agent.yaml'), agentFile(dev, plan, folder, base))
    writeWhole(join(folder, `${GATEWAY}.yaml`), gatewayFile(dev, plan, folder))
    for (const instance of plan.instances)
      writeWhole(join(folder, `${instance.name}.yaml`), sidecarFile(dev, plan, folder, instance))
    for (const [index, { name }] of dev.services.entries())
      if (!colourOfService.has(name)) colourOfService.set(name, index)
  }

  const colourOf = (service: string) => colourOfService.get(service) ?? OWN

  /** A sidecar or the agent. `owner`: whose lines its lines stand among; `file`: without its ending. */
  function keepOwn(owner: string, word: string, command: string, file: string, port: number): Kept {
    const say = (text: string, kind?: 'bad') => print.note(owner, OWN, `${word}${text}`, kind)
    const words: string[] = []
    return keepRunning(
      {
        name: file,
        program: {
          command: outrigger[0],
          args: [...outrigger.slice(1), command, '-c', join(folder, `${file}.yaml`)],
          cwd: base,
          env: { ...env },
          onLine(line) {
            words.push(line)
            if (words.length > LAST_WORDS) words.shift()
            const warning = warningOf(line)
            if (verbose) print.line(owner, OWN, `${word}${line}`)
            else if (warning !== null && !isEarly(warning)) say(warning)
          },
        },
        isReady: () => isReady(port),
        hint: `is not ready after 15 s: see http://127.0.0.1:${port}/ready`,
        onState(state, detail) {
          if (state === 'crashed') {
            if (!verbose) for (const line of words.splice(0)) print.line(owner, OWN, `${word}${line}`)
            say(`ended: ${detail}`, 'bad')
          } else if (detail !== '') say(detail)
        },
      },
      groups,
    )
  }

  /** All are started at once, and a sidecar may look for the agent before it listens. */
  function isEarly(warning: string): boolean {
    return own[0]?.state() !== 'ready' && warning.startsWith('warn: agent: ')
  }

  function keepApp(instance: PlannedInstance): Kept {
    const { name, service, ports } = instance
    const colour = colourOf(service.name)
    let began = 0
    return keepRunning(
      {
        name,
        program: {
          command: '/bin/sh',
          args: ['-c', service.command],
          cwd: resolve(base, service.folder),
          env: environmentOf(dev, instance, env, coloured),
          onLine: line => print.line(name, colour, line),
        },
        isReady: () => listens(ports.app),
        hint: `runs, but nothing listens on 127.0.0.1:${ports.app} after 15 s: it gets this port as $PORT`,
        onState(state, detail) {
          if (state === 'starting' && detail === '') began = performance.now()
          else if (state === 'ready')
            print.note(
              name,
              colour,
              `ready on 127.0.0.1:${ports.app} after ${seconds(performance.now() - began)}`,
              'good',
            )
          else if (state === 'crashed') print.note(name, colour, `ended: ${detail}`, 'bad')
          else if (detail !== '') print.note(name, colour, detail, 'bad')
        },
      },
      groups,
    )
  }

  function startPair(planned: PlannedInstance): void {
    const sidecar = keepOwn(planned.name, 'sidecar: ', 'proxy', planned.name, planned.ports.admin)
    const app = keepApp(planned)
    pairs.set(planned.name, { planned, app, sidecar })
    sidecar.start()
    void startWhenItMay(app, [sidecar], planned.service)
  }

  /** What an application calls as it starts is there: its own sidecar, and the services that it depends on. */
  async function startWhenItMay(app: Kept, first: readonly Kept[], { depends }: DevService): Promise<void> {
    const before = depends.flatMap(service => instancesOf(plan, service)).map(({ name }) => pairs.get(name)?.app)
    const all = [...first, ...before].filter(each => each !== undefined)
    const ready = await Promise.all(all.map(each => each.whenReady))
    if (ready.every(Boolean)) app.start()
  }

  return {
    plan: () => plan,
    stateOf: name => pairs.get(name)?.app.state() ?? 'stopped',
    colourOf,
    async start(file) {
      await checkPorts(file, new Set())
      dev = file
      plan = await planned(file)
      writeFiles()
      own.push(
        keepOwn('agent', '', 'agent', 'agent', plan.agentAdmin),
        keepOwn(GATEWAY, '', 'proxy', GATEWAY, plan.gateway.admin),
      )
      for (const each of own) each.start()
      // In the order in which they depend on each other, so that each finds those before it.
      for (const instance of inOrder(plan)) startPair(instance)
    },
    async change(file) {
      await checkPorts(file, portsOf(plan))
      const before = new Map(plan.instances.map(instance => [instance.name, fingerprint(dev, instance)]))
      const next = await planned(file)
      dev = file
      plan = next
      const now = new Map(plan.instances.map(instance => [instance.name, instance]))
      const gone = [...pairs.values()].filter(({ planned }) => !now.has(planned.name))
      const changed = plan.instances.filter(
        instance => pairs.has(instance.name) && before.get(instance.name) !== fingerprint(dev, instance),
      )
      writeFiles()
      for (const { planned } of gone) pairs.delete(planned.name)
      await Promise.all([
        ...gone.map(async ({ app, sidecar }) => {
          await app.stop(APP_GRACE_MS)
          await sidecar.stop(SIDECAR_GRACE_MS)
        }),
        ...changed.map(async instance => {
          const { app, sidecar } = pairs.get(instance.name)!
          await app.stop(APP_GRACE_MS)
          const next = keepApp(instance)
          pairs.set(instance.name, { planned: instance, app: next, sidecar })
          void startWhenItMay(next, [sidecar], instance.service)
        }),
      ])
      for (const instance of inOrder(plan)) if (!pairs.has(instance.name)) startPair(instance)
    },
    async whenReady() {
      await Promise.all([...own, ...[...pairs.values()].map(({ app }) => app)].map(each => each.whenReady))
      // The first request has a trace, and finds the policies.
      for (let waited = 0; waited < POLICIES_WITHIN_MS && !stopping; waited += ASK_EVERY_MS) {
        if (await policiesAreInForce(plan.agentAdmin, pairs.size + 1)) return
        await sleep(ASK_EVERY_MS)
      }
    },
    async stop() {
      stopping = true
      const all = [...pairs.values()]
      await Promise.all(all.map(({ app }) => app.stop(APP_GRACE_MS)))
      await Promise.all([...all.map(({ sidecar }) => sidecar), ...own].map(each => each.stop(SIDECAR_GRACE_MS)))
    },
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** What makes an application start again when it changes; what is only its sidecar's does not. */
function fingerprint({ propagate }: DevFile, { service, ports }: PlannedInstance): string {
  const { command, folder, env, depends: _, ...rest } = service
  return JSON.stringify([command, folder, env, propagate, rest.protocol, ports.app])
}

function portsOf({ instances, gateway }: Plan): Set<number> {
  return new Set([...instances.map(({ ports }) => ports.app), ...Object.values(gateway.to)])
}

/** Services after those that they depend on. */
function inOrder(plan: Plan): PlannedInstance[] {
  const placed = new Set<PlannedInstance>()
  const place = (instance: PlannedInstance) => {
    if (placed.has(instance)) return
    for (const service of instance.service.depends) for (const before of instancesOf(plan, service)) place(before)
    placed.add(instance)
  }
  for (const instance of plan.instances) place(instance)
  return [...placed]
}
