import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { RegisterSpec } from '../../mesh-config/snapshot.ts'
import { withOpenPort } from '../../proxy/control/registering.ts'

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
