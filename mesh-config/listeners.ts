import * as z from 'zod'
import { applicationCheck } from './application-check.ts'
import { limits, timeouts, upgrades } from './call.ts'
import { concurrency } from './concurrency.ts'
import { priority, queue } from './queue.ts'
import { downstreamTls } from './tls.ts'
import { opaquePorts, passThrough } from './transparent.ts'
import { duration, listenAddress, peerAddress, serviceName, setting, size } from './values.ts'

/** The listeners of a sidecar file (sidecar.ts): `inbound` in front of the application, `outbound` for what it calls. */

const listenerTimeouts = (connectionAge: '30m' | 'off', why: string) => ({
  head: setting(
    duration().default('10s'),
    'From the first byte of a request head to its last: 408 after that. `off`: no limit.',
    'a head is one packet; a caller that takes longer holds connections open on purpose',
  ),
  body: setting(
    duration().default('30s'),
    'Between two pieces of a request body, until the answer begins: 408 after that. `off`: no limit.',
    'slow networks pause for seconds; the whole upload may take as long as it likes',
  ),
  idle: setting(
    duration().default('5m'),
    'A connection without a request is closed. `off`: no limit.',
    'longer than the pools of most callers keep connections, so callers close first and no request meets a closing connection',
  ),
  connectionAge: setting(
    duration().default(connectionAge),
    'A connection older than this, give or take a tenth, is replaced: the caller gets GOAWAY over HTTP/2, `connection: close` with the next answer over HTTP/1.1. Running requests finish. `off`: never.',
    why,
  ),
  detect: setting(
    duration('refused').default('5s'),
    'With `protocol: detect`, how long to wait for the first bytes. After that the connection is TCP where the port has one service or application, and is closed elsewhere.',
    'a client that speaks first does so at once, and a lost packet is sent again within 3 s; database clients give up after 10 s, so a connection to a server that speaks first is late and still works',
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
    'twice what most servers accept, so the refusal comes from the application',
  ),
  connections: setting(
    z.int().min(1).max(1_000_000).default(10_000),
    'Open connections, for each data thread; further ones are closed at once.',
    'a guard of memory, not a policy',
  ),
  streams: setting(
    z.int().min(1).max(100_000).default(256),
    'HTTP/2 requests at once on one connection. SETTINGS tell callers; further ones are refused (REFUSED_STREAM).',
    'RFC 9113 asks for 100 at least; for more a caller opens another connection, which a balancer in front can place elsewhere',
  ),
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'How many bytes of one connection are held in one direction before its sender has to wait. HTTP/2 windows grow up to this.',
    'as in Envoy: memory stays bounded for bodies of any size',
  ),
}

const protocols = z.enum(['http', 'detect', 'tcp']).optional()

const listener = (connectionAge: '30m' | 'off', why: string) => ({
  protocol: setting(
    protocols,
    'The protocol of callers. `http`: HTTP/1.1 and HTTP/2, told apart; anything else is refused. `tcp`: anything, passed on byte for byte. `detect`: HTTP is served as with `http`, TLS goes by its server name (SNI), anything else is TCP; not for servers that speak first. Without it: `tcp` where the service or the application has `protocol: tcp`, else `http`.',
  ),
  timeouts: setting(
    z.strictObject(listenerTimeouts(connectionAge, why)).prefault({}),
    'How long the downstream side may take.',
  ),
  limits: setting(z.strictObject(listenerLimits).prefault({}), 'How much the downstream side may send.'),
  h2cUpgrade: setting(
    z.boolean().default(true),
    'A request that offers HTTP/2 by `Upgrade: h2c` gets it. HTTP/2 with prior knowledge works either way.',
    'callers that offer it (the HttpClient of Java, curl --http2) support it; the offer is never passed on',
  ),
})

const application = {
  protocol: setting(
    z.enum(['http', 'http2', 'grpc', 'tcp']).default('http'),
    'The protocol of the application: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, whatever version callers use; `tcp` is anything else, passed on byte for byte.',
    'nearly every application speaks HTTP/1.1; without TLS a server cannot be asked which version it speaks',
  ),
  timeouts: setting(
    z
      .strictObject({
        connect: timeouts.connect,
        request: setting(
          duration().default('off'),
          'From the last byte of the request to the head of its response: 504 after that. `off`: no limit.',
          'the timeout of the caller applies already; a second one here would only hide it',
        ),
        idle: timeouts.idle,
        grpcTimeout: timeouts.grpcTimeout,
        grpcTimeoutMax: timeouts.grpcTimeoutMax,
        grpcTimeoutOffset: timeouts.grpcTimeoutOffset,
        maxStream: timeouts.maxStream,
        deadline: timeouts.deadline,
        tunnel: timeouts.tunnel,
      })
      .prefault({}),
    'How long the application may take.',
  ),
  limits: setting(z.strictObject(limits).prefault({}), 'How much the application gets at once.'),
  concurrency: setting(
    concurrency.optional(),
    'As `concurrency` of a service: how many requests the application takes well.',
  ),
  queue: setting(queue.optional(), 'As `queue` of a service: requests for the application wait for a moment.'),
  priority: setting(priority.optional(), 'As `priority` of a service.'),
  upgrades,
  check: setting(
    applicationCheck,
    'How the sidecar finds out whether the application is ready: `http`, `grpc` or `command`; without one of them a connection to its port that is closed again. `off`: it always counts as ready. The registration follows it, and so do /ready?application and, with `outrigger run`, /ready.',
    'every server can be asked so; those that count such connections as errors (MySQL) need another check, or `off`',
  ),
}

export const inbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that callers connect to.'),
  tls: downstreamTls,
  multiplex: setting(
    z.boolean().default(true),
    'Offers calling sidecars to send HTTP/1.1 requests multiplexed over HTTP/2; the application gets HTTP/1.1 all the same. `false`: no offer.',
    'fewer connections and less work for both sidecars; other callers only see one more word in the first answer of a connection',
  ),
  forward: setting(
    peerAddress().optional(),
    'The address of the application. This sidecar neither retries nor ejects it: the sidecars of the callers do. Only with `transparent` it may be left out: the application is where each connection was going.',
  ),
  transparent: setting(
    z.boolean().optional(),
    'Connections of callers are redirected here (`outrigger intercept`), and each goes on to the port of the application that it was made to.',
  ),
  opaquePorts,
  application: setting(z.strictObject(application).prefault({}), 'How the application is called.'),
  ...listener(
    '30m',
    'callers behind a balancer of connections (a virtual IP) reach new instances; gRPC would keep one connection for good',
  ),
})

const connect = z.strictObject({
  services: setting(
    z.boolean().default(true),
    'Allows tunnels to the services: to one of their endpoints, whatever port the caller names.',
    'a caller that may call a service may also open a tunnel to it',
  ),
  hosts: setting(
    z.array(peerAddress()).default([]),
    'Allows tunnels to these as well, as `host:port`. A name that resolves to this machine or to a link-local address (cloud metadata) is refused: list such a target by its address.',
    'only named hosts outside can be reached',
  ),
})

export const outbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that the application connects to.'),
  service: setting(
    serviceName().optional(),
    'The one service of this port. Without it: chosen by Host, and for TLS (`protocol: detect`) by the server name.',
  ),
  connect: setting(
    connect.optional(),
    'Lets callers ask for TCP tunnels by CONNECT, for egress. Without it CONNECT is answered with 403.',
  ),
  transparent: setting(
    z.boolean().optional(),
    'Connections of the application are redirected here (`outrigger intercept`). Each goes to the service that it names by Host or by the server name of TLS, else to the service that its original destination belongs to, else to that destination (`passThrough`).',
  ),
  passThrough,
  opaquePorts,
  firstByte: setting(
    duration('refused').default('300ms'),
    'With `transparent`: a client that says nothing for so long waits for its server to speak first, so its connection goes on as TCP to where it was going.',
    'a client of this machine that speaks first does so within a millisecond; one that waits for its server is late by this time once a connection',
  ),
  ...listener('off', 'the application has no other sidecar to go to'),
})
