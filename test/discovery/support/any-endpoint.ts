import fc from 'fast-check'
import type { EndpointSpec } from '../../../mesh-config/snapshot.ts'

/** Any endpoint a source may deliver; addresses meet often. */
export const anyEndpoint: fc.Arbitrary<EndpointSpec> = fc.record({
  address: fc.oneof(
    fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '::1', 'fe80::1', 'orders.internal'),
    fc.ipV4(),
    fc.ipV6().map(address => address.toLowerCase()),
  ),
  port: fc.oneof(fc.constantFrom(80, 8080), fc.integer({ min: 1, max: 65_535 })),
  weight: fc.integer({ min: 1, max: 1_000_000 }),
  priority: fc.integer({ min: 0, max: 127 }),
  zone: fc.constantFrom('', 'a', 'b'),
  metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  health: fc.constantFrom('passing', 'failing', 'critical', 'maintenance', 'draining'),
  healthReason: fc.string({ unit: 'binary' }),
})
