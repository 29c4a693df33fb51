import type { CheckEntry, Entry, NodeEntry, ServiceEntry } from '../../../proxy/discovery/consul/entry.ts'

/** An instance as Consul describes it: passing, on node n1 at 10.0.0.1. */
export function entry(
  service: Partial<ServiceEntry> = {},
  checks: readonly CheckEntry[] = [],
  node: Partial<NodeEntry> = {},
): Entry {
  const addresses = { lan: '10.0.0.1', lan_ipv4: '10.0.0.1', wan: '198.51.100.1', wan_ipv4: '198.51.100.1' }
  return {
    Node: {
      Node: 'n1',
      Address: '10.0.0.1',
      TaggedAddresses: addresses,
      Meta: { 'consul-version': '1.22.7' },
      ...node,
    },
    Service: {
      ID: 'orders-1',
      Service: 'orders',
      Tags: [],
      Address: '',
      Port: 9001,
      Meta: {},
      Weights: { Passing: 1, Warning: 1 },
      ...service,
    },
    Checks: [serf('passing'), ...checks],
  }
}

export function serf(status: string): CheckEntry {
  const output = status === 'passing' ? 'Agent alive and reachable' : 'Agent not live or unreachable'
  return { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: status, Notes: '', Output: output }
}

export function check(status: string, output = '', over: Partial<CheckEntry> = {}): CheckEntry {
  return {
    CheckID: 'service:orders-1',
    Name: "Service 'orders' check",
    Status: status,
    Notes: '',
    Output: output,
    ...over,
  }
}

export function maintenance(of: 'node' | 'service', notes: string): CheckEntry {
  const id = of === 'node' ? '_node_maintenance' : '_service_maintenance:orders-1'
  return { CheckID: id, Name: 'Maintenance Mode', Status: 'critical', Notes: notes, Output: '' }
}
