import type { Peer } from '../../core/wire.ts'

/** A limit that comes back with time: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}

/** Which guard cut a connection, or (`stalled`) a stream: for metrics and logs. */
export const guards = [
  'resets',
  'chatter',
  'continuations',
  'head-bytes',
  'replies',
  'held-bytes',
  'stalled',
  'keep-alive',
  'settings',
] as const
export type Guard = (typeof guards)[number]

export interface Http2Options {
  readonly maxUpstreamStreams: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  readonly headerTableBytes: number
  readonly resets: Rate
  readonly chatter: Rate
  readonly cancels: Rate
  readonly maxContinuations: number
  readonly maxReplies: number
  readonly maxHeldBytes: number
  readonly keepAliveIntervalMs: number
  readonly keepAliveTimeoutMs: number
  readonly settingsTimeoutMs: number
  readonly drainPatienceMs: number
  readonly extendedConnect: boolean
  readonly carriesHttp1: boolean
  /** Upstream: the service of this sidecar, which other sidecars are told; empty: none. */
  readonly source: () => string
  readonly onGuard: (guard: Guard, detail: string, peer: Peer) => void
}

const KIB = 1024
const MIB = 1024 * KIB

/** Sidecars allow each other more than others do: no version of them less than 1,000 at once and 100 a second. */
export const hopCancels: Rate = { burst: 500, perSecond: 100 }

/**
 * A caller gives up early what was not answered yet and is younger: an attack has to hold its streams for as long, and
 * `limits.streams` bounds those (Envoy's measure).
 */
export const EARLY_MS = 1000

export const http2Defaults: Http2Options = {
  /**
   * At one endpoint's connection, whatever it allows: beyond this another connection brings more than another stream,
   * because one connection is one reader.
   */
  maxUpstreamStreams: 256,
  /**
   * To begin with: one read of HTTP/1.1's codec, so a body that is passed on is cut into pieces alike. Not below
   * 65,535, which callers may fill before they have read our SETTINGS. A window only grows when a whole one was filled
   * within one round trip, and never beyond what the wire may hold (`limits.buffer`).
   */
  streamWindowBytes: 256 * KIB,
  /**
   * To begin with; it grows as those of streams do, up to 64 MiB. It is given back as bytes are read, whoever they are
   * for, so it is no bound of memory.
   */
  connectionWindowBytes: MIB,
  /**
   * RFC 7541's own default, both ways. More helps little between services, whose heads are alike, and every connection
   * would pay for it twice.
   */
  headerTableBytes: 4 * KIB,
  /**
   * Of callers: rapid reset (CVE-2023-44487), also when we are led to do the resetting (CVE-2025-8671). Only early ones
   * count (`EARLY_MS`), and each finished request allows one more, so it is their share that ends a connection. A proxy
   * before us brings the cancels of all its callers: at 500 a second they cost no more than as many plain requests
   * would.
   */
  resets: { burst: 1000, perSecond: 500 },
  /**
   * Frames that make work and carry nothing: PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE. Each request and each
   * piece of body sent allows some more.
   */
  chatter: { burst: 1000, perSecond: 100 },
  /**
   * Our RST_STREAM frames on a connection to an endpoint, before another one takes over. Servers end a connection after
   * 1,000 and 33 a second (nghttp2, Node), 200 in 30 s (Netty, Undertow), 128 a second (Jetty), half of 500 streams
   * (Envoy), 1,000 that wait (Go).
   */
  cancels: { burst: 100, perSecond: 3 },
  /** A head of 60 KiB comes in four frames of 16 KiB. */
  maxContinuations: 32,
  /**
   * Answers (PING, SETTINGS, RST_STREAM) to a peer that takes none of what we send: as Envoy's
   * max_outbound_control_frames.
   */
  maxReplies: 1000,
  /**
   * What waits for windows of the peer, over all streams of a connection; beyond it the stream with the most is reset.
   * A stream holds a piece that was read, 256 KiB, and then its source is stopped: so this is reached only where
   * `limits.streams` is above 256.
   */
  maxHeldBytes: 64 * MIB,
  /**
   * 0: none. Off, because grpc-go and others close a connection that is pinged more often than every five minutes; TCP
   * and the idle timeouts find most dead peers.
   */
  keepAliveIntervalMs: 0,
  /** As gRPC's. */
  keepAliveTimeoutMs: 20_000,
  /** To acknowledge our SETTINGS. */
  settingsTimeoutMs: 10_000,
  /**
   * Between the two GOAWAYs of a drain, when the PING between them is not answered: what was under way has come by then
   * (RFC 9113 section 6.8).
   */
  drainPatienceMs: 1000,
  /** Callers are told that they may ask for one (RFC 8441). */
  extendedConnect: true,
  /** Upstream: what comes by HTTP/1.1 is to leave as HTTP/1.1 behind the sidecar at the other end (hop/). */
  carriesHttp1: false,
  source: () => '',
  onGuard() {},
}
