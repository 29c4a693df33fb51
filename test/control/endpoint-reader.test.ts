import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endpointReader } from '../../proxy/control/endpoint-reader.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { temporaryFolder } from '../integration/support/child.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

test('a text is read in a process of its own, with its problems', async () => {
  const read = endpointReader(systemClock)
  const file = await read('orders.yaml', '- 10.0.0.1:80\n- { address: "b:80", zone: z }\n')
  expect(file.ok && file.endpoints.map(({ address, zone }) => `${address} ${zone}`)).toEqual(['10.0.0.1 ', 'b z'])
  expect(await read('orders.yaml', '- b\n')).toEqual({
    ok: false,
    problems: ['orders.yaml:1:3: [0]: "b" has no port: write host:port, such as 127.0.0.1:3000'],
  })
})

test('a reader that does not come to an end is ended; others go on beside it', async () => {
  const program = join(temporaryFolder(), 'reader.mjs')
  writeFileSync(program, `if (process.argv[2] === 'poison') for (;;);\nconsole.log('{"ok":true,"endpoints":[]}')\n`)
  const loop = new EventLoop()
  const read = endpointReader(manualClock(loop), program)
  const poison = read('poison', '')
  expect(await Promise.all(['a', 'b', 'c', 'd', 'e'].map(name => read(name, '')))).toEqual(
    Array(5).fill({ ok: true, endpoints: [] }),
  )
  loop.advance(20_100)
  expect(await poison).toEqual({ ok: false, problems: ['poison: reading it took longer than 20 s'] })
})

test('a reader that dies is a problem, not a crash', async () => {
  const read = endpointReader(systemClock, join(temporaryFolder(), 'there-is-no-such-program.mjs'))
  expect(await read('a', '- x:1')).toEqual({ ok: false, problems: ['a: its reader ended with code 1'] })
})
