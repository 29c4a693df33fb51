import { afterAll, beforeAll, expect, test } from 'vitest'
import { tryPage } from '../console/try-page.ts'
import { until } from '../integration/support/until.ts'
import { type SystemdMachine, startSystemd } from './support/systemd.ts'

// The units of deploy/systemd, run by a real systemd, set up as docs/quickstart-vm.md says.

let machine: SystemdMachine

beforeAll(async () => {
  machine = await startSystemd()
}, 600_000)

afterAll(() => machine?.[Symbol.asyncDispose]())

const UNIT = 'outrigger@orders'

const property = async (name: string, unit = UNIT) =>
  (await machine.must(`systemctl show --value -p ${name} ${unit}`)).trim()

/** That this unit is active, with another main process than `pid`. */
const replaced = (pid: string) =>
  until('another process', async () => {
    const [state, now] = [await property('ActiveState'), await property('MainPID')]
    return state === 'active' && now !== pid && now
  })

test('docs/quickstart-vm.md, as written', async () => {
  await using session = machine.session()
  await tryPage('docs/quickstart-vm.md', session)
}, 600_000)

test('the sidecar runs as its own user, and everything it needs is open to it', async () => {
  const pid = await property('MainPID')
  expect(await machine.must(`stat -c '%U %u' /proc/${pid}`)).toBe('outrigger 1337\n')
  const log = await machine.must(`journalctl --no-pager -o cat -u ${UNIT} -u outrigger-agent`)
  expect(log).not.toMatch(/EPERM|EACCES|EROFS|permission/i)
  expect(await machine.must('ls /var/lib/outrigger/orders/*')).toContain('virtual-addresses.json')
  expect(await property('StatusText')).toBe('serves')
})

test('a reload takes up the file in the same process', async () => {
  const pid = await property('MainPID')
  const file = await machine.must('cat /etc/outrigger/orders.yaml')
  await machine.write('/etc/outrigger/orders.yaml', `${file}metrics: 127.0.0.1:15020\naccessLog: on\n`)
  await machine.must(`systemctl reload ${UNIT}`)
  await until('that it logs', async () => {
    await machine.sh('curl -s http://orders.mesh:8080/')
    return (await machine.must(`journalctl --no-pager -o cat -u ${UNIT}`)).includes('GET /')
  })
  expect(await property('MainPID')).toBe(pid)
})

test('after an upgrade the new process is the main one, and systemd goes on watching it', async () => {
  const pid = await property('MainPID')
  const restarts = await property('NRestarts')
  await machine.must('outrigger upgrade')
  const now = await replaced(pid)
  await until('that the one before has ended', async () => (await machine.sh(`test -e /proc/${pid}`)).code !== 0)
  expect(await property('MainPID')).toBe(now)
  expect(await property('NRestarts')).toBe(restarts)
})

test('a sidecar that is killed is started again, and one that hangs, too', async () => {
  const beside = `[Unit]\nWants=${UNIT}.service\nAfter=${UNIT}.service\n[Service]\nExecStart=/bin/sleep infinity\n`
  await machine.write('/run/systemd/system/beside.service', beside)
  await machine.must('systemctl daemon-reload && systemctl start beside')
  const application = await property('MainPID', 'beside')
  const pid = await property('MainPID')
  await machine.must(`kill -9 ${pid}`)
  const next = await replaced(pid)
  // With Requires= in place of Wants= systemd would start the application again with the sidecar.
  expect(await property('MainPID', 'beside')).toBe(application)
  await machine.must(`mkdir -p /run/systemd/system/${UNIT}.service.d`)
  await machine.write(`/run/systemd/system/${UNIT}.service.d/soon.conf`, '[Service]\nWatchdogSec=2\n')
  await machine.must(`systemctl daemon-reload && systemctl restart ${UNIT}`)
  const fresh = await replaced(next)
  await machine.must(`kill -STOP ${fresh}`)
  await replaced(fresh)
  expect(await machine.must(`journalctl --no-pager -o cat -u ${UNIT}`)).toContain('Watchdog timeout')
})

test('a wrong file fails the start with its place, and is not tried again', async () => {
  await machine.write('/etc/outrigger/wrong.yaml', 'outbound: [ { listen: here } ]\n')
  expect((await machine.sh('systemctl start outrigger@wrong')).code).not.toBe(0)
  expect(await property('ExecMainStatus', 'outrigger@wrong')).toBe('2')
  expect(await property('NRestarts', 'outrigger@wrong')).toBe('0')
  expect(await machine.must('journalctl --no-pager -o cat -u outrigger@wrong')).toContain('wrong.yaml:1:23')
})

test('rules stay while the sidecar is restarted, and go with their unit', async () => {
  const rules = () => machine.must('nft -s list table ip outrigger')
  const before = await rules()
  await machine.must(`systemctl restart ${UNIT}`)
  expect(await rules()).toBe(before)
  await machine.must('systemctl stop outrigger-intercept@orders')
  expect((await machine.sh('nft list table ip outrigger')).code).not.toBe(0)
})

test('a stop drains, and ends well', async () => {
  await machine.must(`systemctl stop ${UNIT} outrigger-agent`)
  expect(await property('Result')).toBe('success')
  expect(await property('ExecMainStatus')).toBe('0')
  expect(await machine.must(`journalctl --no-pager -o cat -u ${UNIT}`)).toContain('drained')
  expect(await machine.must('curl -s http://127.0.0.1:8500/v1/catalog/service/orders')).toBe('[]')
})
