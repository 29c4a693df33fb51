import * as z from 'zod'
import { anyText, duration, exactlyOne, peerAddress, setting, text } from './values.ts'

/** The `register` of a sidecar file (sidecar.ts): the registration with Consul. */

export const consulName = () =>
  text(/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/, 'a service name', 'the name as Consul has it')

const checkTimes = {
  interval: setting(
    duration('refused').default('10s'),
    'The time between two checks by Consul.',
    'the usual one: a dead instance is known within seconds',
  ),
  timeout: setting(
    duration('refused').default('2s'),
    'How long Consul waits for an answer.',
    'an instance that takes longer is as good as down',
  ),
}

const registerCheck = {
  ttl: setting(
    duration('refused').optional(),
    'This sidecar sends a heartbeat three times in this time; without one the instance is critical.',
  ),
  http: setting(
    text(/^https?:\/\/\S+$/, 'a URL', 'a URL such as http://127.0.0.1:3000/healthz').optional(),
    'Consul requests this URL.',
  ),
  tcp: setting(peerAddress().optional(), 'Consul connects to this address.'),
  grpc: setting(
    text(/^[^\s/]+:\d{1,5}(\/\S+)?$/, 'an address', 'host:port or host:port/service').optional(),
    'Consul asks the gRPC health service there.',
  ),
}

export const register = z.strictObject({
  name: setting(consulName().optional(), 'The name of the service. Without it: `service`.'),
  id: setting(
    anyText('an id').optional(),
    'Unique on its Consul agent. Without it: name, `address` where it is given, and port.',
  ),
  address: setting(
    anyText('an address').optional(),
    'The address where callers reach it. Without it: the address of its node in Consul.',
  ),
  port: setting(
    z.int().min(1).max(65_535).optional(),
    'The port. Without it: that of the first inbound listener; where that is 0, the one that the system chose.',
  ),
  tags: setting(z.array(anyText('a tag')).default([]), 'Tags.'),
  meta: setting(
    z.record(z.string(), anyText('a value')).default({}),
    'Meta data. `zone` is added where the sidecar has one.',
  ),
  weights: setting(
    z
      .strictObject({
        passing: setting(z.int().min(1).max(65_535).default(1), 'While all checks pass.', 'equal shares'),
        warning: setting(z.int().min(1).max(65_535).default(1), 'While a check warns.', 'as in Consul'),
      })
      .prefault({}),
    'The share of the requests that it gets.',
  ),
  check: setting(
    z
      .strictObject({
        ...registerCheck,
        application: setting(
          z.boolean().default(true),
          'The heartbeat (`ttl`) also says whether the applications are ready, as `inbound[].application.check` has it: the instance is critical while one is not.',
          'a sidecar is ready before its application is, and outlives it',
        ),
        ...checkTimes,
        deregisterAfter: setting(
          duration().default('30m'),
          'Consul removes an instance that was critical for so long (at least 1m). `off`: never.',
          'a machine that never comes back must not stay in the registry',
        ),
      })
      .superRefine(
        (
          { interval: _interval, timeout: _timeout, deregisterAfter: _after, application: _application, ...forms },
          context,
        ) => {
          if (Object.values(forms).some(form => form !== undefined))
            exactlyOne(forms, context, '{ ttl: 15s } or { tcp: 127.0.0.1:3000 }')
        },
      )
      .prefault({}),
    'How Consul checks the instance: one of `ttl`, `http`, `tcp`, `grpc`. Without one: `ttl: 15s`, which checks the application too.',
  ),
})
