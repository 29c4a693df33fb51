import { describe, expect, test } from 'vitest'
import { parseFilter } from '../../mesh-config/filter-expression.ts'
import { endpointFilter } from '../../proxy/cluster/endpoint-filter.ts'
import { instancesOf } from '../../proxy/discovery/consul/endpoints.ts'
import { loadRe2 } from '../../proxy/runtime/regex.ts'
import { startConsul } from './support/consul.ts'

// The filters of subsets mean what they mean to Consul: both are asked for the same instances.

const instances = [
  { ID: 'web-1', Meta: { version: 'v1', size: '1' }, Tags: ['primary', 'a'], Port: 8001 },
  { ID: 'web-2', Meta: { version: 'v2', size: '' }, Tags: [], Port: 8002 },
  { ID: 'web-3', Meta: {}, Tags: ['secondary'], Port: 8003 },
  { ID: 'web-4', Meta: { version: 'v2-rc1', 'with-dash': 'x' }, Tags: ['a'], Port: 8004 },
]

const filters = [
  'Service.Meta.version == v1',
  'Service.Meta.version == "v2-rc1"',
  'Service.Meta.version != v1',
  'Service.Meta["with-dash"] == x',
  'Service.Meta.version matches "^v2"',
  'Service.Meta.version matches "rc"',
  'Service.Meta.version not matches "^v2"',
  'Service.Meta.version contains v2',
  'v2 in Service.Meta.version',
  'Service.Meta.version not contains v2',
  'Service.Meta.size == ""',
  'Service.Meta is empty',
  'size in Service.Meta',
  '"with-dash" not in Service.Meta',
  'primary in Service.Tags',
  'Service.Tags contains a',
  '"a" not in Service.Tags',
  'Service.Tags is empty',
  'Service.Tags is not empty',
  'Service.ID == "web-3"',
  'Service.ID matches "web-[12]"',
  'Service.Service == web',
  'Service.Address == "127.0.0.1"',
  'Service.Port == 8002',
  'Service.Port != 8002',
  'Node.Node == "server-1"',
  'Node.Datacenter == dc1',
  'Node.Address == "127.0.0.1"',
  'Node.Meta["consul-version"] != ""',
  'Node.Meta.absent == x',
  'Node.Meta is empty',
  'not Service.Meta.version == v1',
  'not not Service.Meta.version == v1',
  'Service.Meta.version == v1 or primary in Service.Tags and Service.Port == 8004',
  '(Service.Meta.version == v1 or a in Service.Tags) and Service.Port == 8004',
  '  ( Service.Meta.version==v1 )  ',
  'not (Service.Port == 8001 or Service.Port == 8002)',
  'Service.Meta.version == `v1`',
]

const unreadable = [
  'Service.Meta',
  'Service.Meta == v1',
  'Service.Meta.version = v1',
  'Service.Meta.version == server-1',
  'Service.Nothing == v1',
  'Service.Meta.size is empty',
  'Service.ID == "a" and',
  '(Service.ID == "a"',
  'Service.ID == "a',
  'Service.Port == a',
]

describe('filters of Consul', () => {
  test('choose the same instances', async () => {
    await using consul = await startConsul()
    await consul.ready()
    for (const instance of instances)
      await consul.api('PUT', '/v1/agent/service/register', { Name: 'web', Address: '127.0.0.1', ...instance })
    const re2 = await loadRe2()
    const all = await consul.api('GET', '/v1/health/service/web')
    const { endpoints } = instancesOf(all, { tags: [], addressKind: 'service', facts: true }, 0)
    expect(endpoints).toHaveLength(4)
    const theirs: Record<string, unknown> = {}
    const ours: Record<string, unknown> = {}
    for (const filter of filters) {
      const chosen = (await consul.api('GET', `/v1/health/service/web?filter=${encodeURIComponent(filter)}`)) as {
        Service: { Port: number }
      }[]
      theirs[filter] = chosen.map(({ Service }) => Service.Port).sort()
      const test = endpointFilter(filter, re2)
      ours[filter] = endpoints
        .filter(test)
        .map(({ port }) => port)
        .sort()
    }
    expect(ours).toEqual(theirs)
    for (const filter of unreadable) {
      const asked = consul.api('GET', `/v1/health/service/web?filter=${encodeURIComponent(filter)}`)
      await expect(asked, filter).rejects.toThrow()
      expect(parseFilter(filter), filter).toMatchObject({ ok: false })
    }
  })
})
