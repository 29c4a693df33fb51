import type { Dial, MakeTlsDial } from '../core/wire.ts'
import type { Tls } from './pools-of.ts'

/** `through`: what all dials of the data thread go through. */
export function tlsOf(load: () => Promise<MakeTlsDial>, through: (dial: Dial) => Dial): Tls {
  let make: MakeTlsDial | null = null
  return {
    async load() {
      make ??= await load()
    },
    dial: options => through(make!(options)),
  }
}
