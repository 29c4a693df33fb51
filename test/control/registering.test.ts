import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { RegisterSpec } from '../../mesh-config/snapshot.ts'
import { applicationOf, withOpenPort } from '../../proxy/control/registering.ts'

async function loaded(text: string) {
  const found = await loadTexts([{ file: 'f', text: `discovery: { consul: {} }\nservice: web\n${text}` }], {})
  if (!found.ok) throw new Error(found.errors.join())
  return found
}

test('a listener at port 0 is registered at the port that the system chose', async () => {
  const { bootstrap } = await loaded('inbound: [{ listen: "0.0.0.0:0", forward: "127.0.0.1:3000" }]\nregister: {}')
  const register = bootstrap.register as RegisterSpec
  expect(withOpenPort(register, ['outbound 127.0.0.1:15001', 'inbound 0.0.0.0:43210'])).toMatchObject({
    port: 43_210,
    id: null,
  })
  expect(withOpenPort({ ...register, port: 80 }, ['inbound 0.0.0.0:43210']).port).toBe(80)
})

test('the application is the one behind the listener that is registered', async () => {
  const { snapshot } = await loaded(
    'inbound: [{ listen: "0.0.0.0:20000", forward: "127.0.0.1:3000" }, { listen: "0.0.0.0:20001", forward: "localhost:3001" }]\nregister: {}',
  )
  expect([20_000, 20_001, 8_080].map(port => applicationOf(snapshot, port))).toEqual([
    { address: '127.0.0.1', port: 3_000 },
    { address: 'localhost', port: 3_001 },
    { address: '127.0.0.1', port: 3_000 },
  ])
  const none = await loaded('outbound: [{ listen: "127.0.0.1:15001" }]\nregister: { port: 80 }')
  expect(applicationOf(none.snapshot, 80)).toBeNull()
})
