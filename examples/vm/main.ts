// Three machines and a registry, none of whose applications knows of a mesh: what their sidecars do for them, also when
// something dies. README.md says what is what.
import { once } from 'node:events'
import { styleText } from 'node:util'
import { table } from '../../cli/table.ts'
import { obtain } from '../../test/peers/obtain.ts'
import { type Machine, OUTSIDE, type Program, REGISTRY, startMachine, startNetwork, WEB } from './machines.ts'
import {
  type Answers,
  ask,
  calls,
  callsDuring,
  flightsOf,
  instancesOf,
  isAll,
  kill,
  processesOf,
  until,
} from './watch.ts'

const WIDTH = 110

interface Machines {
  readonly network: Machine
  readonly web: Machine
  readonly orders: readonly [Machine, Machine]
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error(
      'This example makes network namespaces, so it needs root, or to be root of a user namespace:\n  sudo npx node examples/vm/main.ts\n  unshare --map-root-user --map-auto npx node examples/vm/main.ts',
    )
  for (const peer of ['ip', 'nft'] as const) await obtain(peer)
  const consul = await obtain('consul')

  const network = await startNetwork()
  const registry = network.start([
    ...[consul, 'agent', '-dev', `-bind=${REGISTRY}`, `-client=${REGISTRY}`, '-log-level=warn'],
    ...['-dns-port=-1', '-grpc-port=-1', '-grpc-tls-port=-1'],
  ])
  network.start(['node', 'examples/support/service.js'], { PORT: '80' })
  const [web, ...orders] = await Promise.all([
    startMachine('web-1', WEB, network),
    startMachine('orders-1', '10.78.0.21', network),
    startMachine('orders-2', '10.78.0.22', network),
  ])
  const machines: Machines = { network, web, orders }
  await until('that Consul has a leader', async () => (await ask(network, '/v1/status/leader')) !== '', registry)

  const [first, , second] = await Promise.all([
    startService(web, 'web', { NEXT: 'http://orders.mesh:8080/' }),
    ...orders.map(machine => startService(machine, 'orders')),
  ])
  await until('that web is ready', async () => (await instancesOf(network, 'web')).length === 1, first)
  await until(
    'that both instances of orders are ready',
    async () => (await instancesOf(network, 'orders')).length === 2,
  )
  show('Each machine has a network of its own. On web-1, as on the others:', [
    ['$ outrigger intercept up -c /etc/outrigger/web.yaml'],
    ['$ outrigger run -c /etc/outrigger/web.yaml --user shop -- node service.js'],
  ])
  show('', [
    ['MACHINE', 'ADDRESS', 'RUNS'],
    ['network', REGISTRY, `the switch, Consul; and api.example.com (${OUTSIDE}), which is not in the mesh`],
    ['web-1', web.address, 'web and its sidecar; web calls http://orders.mesh:8080/'],
    ...orders.map(({ name, address }) => [name, address, 'orders and its sidecar']),
  ])

  await showBalance(machines)
  await killSidecar(machines)
  await killApplication(machines, second!)
  await showOutside(machines)
  if (!process.argv.includes('--once')) await goOn(machines)
}

/** What the script of a machine would do at its start. */
async function startService(machine: Machine, service: string, env: Record<string, string> = {}): Promise<Program> {
  const file = `/etc/outrigger/${service}.yaml`
  await machine.run(['outrigger', 'intercept', 'up', '-c', file])
  return machine.start(
    ['outrigger', 'run', '-c', file, '--user', 'shop', '--', 'node', 'examples/support/service.js'],
    env,
  )
}

async function showBalance({ network, web }: Machines): Promise<void> {
  const answers = await calls(network, 40)
  showAnswers('40 calls to web-1, from a machine without a sidecar', answers)
  expect(isAll(answers, /^200 web-1 orders-[12]$/) && Object.keys(answers).length === 2, 'both instances answer')
  const name = (await web.run(['getent', 'ahostsv4', 'orders.mesh'])).split(/\s/)[0]!
  const flights = await flightsOf(web)
  show('What the sidecar of web-1 did with the last one (/flights)', [
    ['CONNECTION', 'MADE TO', 'SERVICE', 'WENT TO', 'ANSWER'],
    ...(['inbound', 'outbound'] as const).map(direction => {
      const { authority, service, status, attempts } = flights.findLast(flight => flight.direction === direction)!
      const madeTo = direction === 'outbound' ? `${authority} (${name})` : authority
      return [direction, madeTo, service, attempts.at(-1)!.endpoint, `${status}`]
    }),
  ])
  expect(name.startsWith('240.'), 'orders.mesh has a virtual address')
}

async function killSidecar({ network, orders: [machine] }: Machines): Promise<void> {
  const before = await processesOf(machine)
  const answers = await callsDuring(network, () => kill(machine, before.sidecar))
  await machine.run(['outrigger', 'ready', '--wait', '30s'])
  const after = await processesOf(machine)
  showAnswers(`100 calls, and kill -9 ${before.sidecar} of the sidecar of ${machine.name} among them`, answers)
  show('', [
    [`ON ${machine.name.toUpperCase()}`, 'PROCESS BEFORE', 'AFTER'],
    ['sidecar', `${before.sidecar}`, `${after.sidecar}, started again by outrigger run`],
    ['application', `${before.application}`, `${after.application}`],
  ])
  expect(isAll(answers, /^200 /), `every call is answered with 200: ${JSON.stringify(answers)}`)
  expect(before.application === after.application && before.sidecar !== after.sidecar, 'the application goes on')
}

async function killApplication({ network, orders }: Machines, running: Program): Promise<void> {
  const machine = orders[1]
  const { application } = await processesOf(machine)
  const answers = await callsDuring(network, () => kill(machine, application))
  const how = await running.gone
  const left = await instancesOf(network, 'orders')
  showAnswers(`100 calls, and kill -9 ${application} of the application of ${machine.name} among them`, answers)
  show('', [
    ['WHAT', 'IS NOW'],
    [`outrigger run on ${machine.name}`, how],
    ['orders in Consul', left.join(', ')],
  ])
  expect(isAll(answers, /^200 /), `every call is answered with 200: ${JSON.stringify(answers)}`)
  expect(how === 'exit code 137' && left.join() === orders[0].address, 'it has ended, and Consul knows')
  await startService(machine, 'orders')
  await until('that it is back', async () => (await instancesOf(network, 'orders')).length === 2)
  const back = await until('that it is called', async () => {
    const some = await calls(network, 40)
    return Object.keys(some).length === 2 ? some : null
  })
  showAnswers(`40 calls after it was started again`, back)
}

async function showOutside({ web }: Machines): Promise<void> {
  const asShop = ['setpriv', '--reuid', 'shop', '--regid', 'shop', '--clear-groups']
  const call = ['node', 'examples/support/call.js', 'http://api.example.com/', '1']
  const answers = JSON.parse(await web.run([...asShop, ...call])) as Answers
  const flight = (await flightsOf(web)).findLast(({ service }) => service === 'PassthroughCluster')
  const wentTo = flight?.attempts[0]?.endpoint ?? '-'
  show('A call of web-1 to a host that is in no registry: passed on to where it was going', [
    ['MADE TO', 'SERVICE', 'WENT TO', 'ANSWER'],
    ['api.example.com', flight?.service ?? '-', wentTo, Object.keys(answers).join()],
  ])
  expect(isAll(answers, /^200 network$/) && wentTo === `${OUTSIDE}:80`, 'it is passed on')
}

function showAnswers(title: string, answers: Answers): void {
  const rows = Object.entries(answers)
    .sort()
    .map(([answer, count]) => {
      const [status, ...by] = answer.split(' ')
      return [status!, by.join(' > '), { text: `${count}`, right: true as const }]
    })
  show(title, [['STATUS', 'ANSWERED BY', { text: 'CALLS', right: true }], ...rows])
}

function show(title: string, rows: Parameters<typeof table>[0]): void {
  const lines = table(rows, WIDTH).map(line => `  ${line}`)
  process.stdout.write(`${title === '' ? '' : `\n${styleText('bold', title)}`}\n${lines.join('\n')}\n`)
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`This is not as it should be: ${what}`)
}

async function goOn({ web, orders }: Machines): Promise<void> {
  show('It goes on running. In another terminal:', [
    ...[web, ...orders].map(({ name, pid }) => [`nsenter -t ${pid} -a /opt/bin/shell`, `a shell on ${name}; there:`]),
    ['  curl http://orders.mesh:8080/', 'balanced'],
    ['  outrigger intercept show', 'the rules, with the connections that met them'],
    ['  outrigger explain http://orders/', 'where a request would go, and why'],
    ['  curl 127.0.0.1:15000/dns', 'names and their addresses'],
  ])
  process.stdout.write('Ctrl-C ends it, and nothing of it stays.\n')
  const signals = ['SIGINT', 'SIGTERM'] as const
  await Promise.race(signals.map(signal => once(process, signal)))
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
