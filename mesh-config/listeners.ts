import * as z from 'zod'
import { limits, timeouts, upgrades } from './call.ts'
import { duration, listenAddress, peerAddress, serviceName, setting, size } from './values.ts'

/** The listeners of a sidecar file (sidecar.ts): `inbound` in front of the application, `outbound` for what it calls. */

const listenerTimeouts = (connectionAge: '30m' | 'off', why: string) => ({
  head: setting(
    duration().default('10s'),
    'From the first byte of a request head to its last: 408 after that. `off`: no limit.',
    'a head is one packet; whoever takes longer holds connections open on purpose',
  ),
  body: setting(
    duration().default('30s'),
    'Between two pieces of a request body, until the answer begins: 408 after that. `off`: no limit.',
    'slow networks pause for seconds; the whole upload may take as long as it likes',
  ),
  idle: setting(
    duration().default('5m'),
    'A connection without a request is closed. `off`: no limit.',
    'longer than the pools of most callers keep theirs, so they close first and no request meets a closing connection',
  ),
  connectionAge: setting(
    duration().default(connectionAge),
    'An older connection, give or take a tenth, is asked to make room for a new one: GOAWAY over HTTP/2, `connection: close` with the next answer over HTTP/1.1. Nothing that runs is cut. `off`: never.',
    why,
  ),
  detect: setting(
    duration('refused').default('5s'),
    'With `protocol: detect`, how long a connection may take to say what it speaks. Then it is TCP, where there is one service or application it can be for, and is closed elsewhere.',
    'who speaks first does so at once, and a lost packet is sent again within 3 s; database clients give up after 10 s, so a server that speaks first is late here, and not lost',
  ),
})

const listenerLimits = {
  headers: setting(
    z.int().min(1).max(10_000).default(100),
    'Header fields in one head: 431 above that.',
    'as in Envoy',
  ),
  headBytes: setting(
    size(1024, 16 * 1024 ** 2, 'from 1KiB to 16MiB').default('60KiB'),
    'One head, request line included: 431 above that.',
    'as in Envoy; the 16 KiB of Node break large cookies',
  ),
  targetBytes: setting(
    size(64, 16 * 1024 ** 2, 'from 64B to 16MiB').default('16KiB'),
    'The request target (path and query): 414 above that.',
    'twice what most servers take, so the answer comes from the application',
  ),
  connections: setting(
    z.int().min(1).max(1_000_000).default(10_000),
    'Connections at a time, for each data thread; more are closed at once.',
    'a guard of memory, not a policy',
  ),
  streams: setting(
    z.int().min(1).max(100_000).default(256),
    'HTTP/2 requests at once on one connection; callers are told, and more are refused (REFUSED_STREAM).',
    'RFC 9113 asks for 100 at least; who wants more opens another connection, which a balancer before us can place elsewhere',
  ),
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'What is held of one connection in one direction before its sender has to wait. The windows of HTTP/2 grow no larger.',
    'as in Envoy: memory stays bounded whatever the sizes',
  ),
}

const protocols = z.enum(['http', 'detect', 'tcp']).optional()

const listener = (connectionAge: '30m' | 'off', why: string) => ({
  protocol: setting(
    protocols,
    'What callers speak. `http`: HTTP/1.1 and HTTP/2, told apart; anything else is refused. `tcp`: anything, passed on byte for byte. `detect`: HTTP is served as such, TLS goes by its server name (SNI), anything else is TCP; never for servers that speak first. Without it: `tcp` where the service or the application has `protocol: tcp`, else `http`.',
  ),
  timeouts: setting(
    z.strictObject(listenerTimeouts(connectionAge, why)).prefault({}),
    'How long the downstream side may take.',
  ),
  limits: setting(z.strictObject(listenerLimits).prefault({}), 'How much the downstream side may send.'),
  h2cUpgrade: setting(
    z.boolean().default(true),
    'A request that offers HTTP/2 by `Upgrade: h2c` gets it. HTTP/2 with prior knowledge is spoken either way.',
    'who offers it (the HttpClient of Java, curl --http2) can do it; the offer ends here and is never passed on',
  ),
})

const application = {
  protocol: setting(
    z.enum(['http', 'http2', 'grpc', 'tcp']).default('http'),
    'What the application speaks: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, whichever of them callers speak; `tcp` is anything else, passed on byte for byte.',
    'nearly every application speaks HTTP/1.1; one that speaks HTTP/2 only cannot be asked first which it is',
  ),
  timeouts: setting(
    z
      .strictObject({
        connect: timeouts.connect,
        request: setting(
          duration().default('off'),
          'From the last byte of the request to the head of its response: 504 after that. `off`: no limit.',
          'the timeout of the caller rules; a second one here would only hide it',
        ),
        idle: timeouts.idle,
        grpcTimeout: timeouts.grpcTimeout,
        grpcTimeoutMax: timeouts.grpcTimeoutMax,
        grpcTimeoutOffset: timeouts.grpcTimeoutOffset,
        tunnel: timeouts.tunnel,
      })
      .prefault({}),
    'How long the application may take.',
  ),
  limits: setting(z.strictObject(limits).prefault({}), 'How much the application is given at once.'),
  upgrades,
}

export const inbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that peers connect to.'),
  multiplex: setting(
    z.boolean().default(true),
    'Sidecars that call are told that they may send HTTP/1.1 requests multiplexed over HTTP/2; the application gets HTTP/1.1 all the same. `false`: they are not told.',
    'fewer connections and less work for both sidecars; other callers see one more word in the first answer of a connection, and go on as ever',
  ),
  forward: setting(
    peerAddress(),
    'The application. It is never retried and never ejected: the sidecars of its callers do that.',
  ),
  application: setting(z.strictObject(application).prefault({}), 'How the application is called.'),
  ...listener(
    '30m',
    'callers behind a balancer of connections (a virtual IP) come to new instances; gRPC keeps one connection for good otherwise',
  ),
})

const connect = z.strictObject({
  services: setting(
    z.boolean().default(true),
    'To the services: the tunnel leads to one of their endpoints, whatever port is asked for.',
    'whoever may call a service may as well tunnel to it',
  ),
  hosts: setting(
    z.array(peerAddress()).default([]),
    'And to these, as `host:port`. A name that leads to this machine or to a link-local address (cloud metadata) is refused: that has to be named as an address.',
    'nothing outside is reached that was not named',
  ),
})

export const outbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that the application connects to.'),
  service: setting(
    serviceName().optional(),
    'The one service this port is for. Without it: picked by Host, and TLS (`protocol: detect`) by its server name.',
  ),
  connect: setting(
    connect.optional(),
    'Lets callers ask for TCP tunnels by CONNECT, for egress. Without it CONNECT is answered with 403.',
  ),
  transparent: setting(z.boolean().optional(), 'Connections come redirected (iptables), and go where they were going.'),
  ...listener('off', 'the application has no other sidecar to go to'),
})
