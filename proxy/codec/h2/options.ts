import type { Peer } from '../../core/wire.ts'

/** A limit that comes back with time: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}

/** Which guard cut a connection, or (`stalled`) a stream: for metrics and logs. */
export const guards = ['resets', 'chatter', 'continuations', 'head-bytes', 'replies', 'held-bytes', 'stalled', 'keep-alive', 'settings'] as const
export type Guard = (typeof guards)[number]

export interface Http2Options {
  readonly maxUpstreamStreams: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  readonly headerTableBytes: number
  readonly resets: Rate
  readonly chatter: Rate
  readonly maxContinuations: number
  readonly maxReplies: number
  readonly maxHeldBytes: number
  readonly keepAliveIntervalMs: number
  readonly keepAliveTimeoutMs: number
  readonly settingsTimeoutMs: number
  readonly drainPatienceMs: number
  readonly extendedConnect: boolean
  readonly carriesHttp1: boolean
  readonly onGuard: (guard: Guard, detail: string, peer: Peer) => void
}

const KIB = 1024
const MIB = 1024 * KIB

export const http2Defaults: Http2Options = {
  /** At one endpoint's connection, whatever it allows: beyond this another connection brings more than another stream, because one connection is one reader. */
  maxUpstreamStreams: 256,
  /**
   * To begin with: one read of HTTP/1.1's codec, so a body that is passed on is cut into pieces alike. Not below 65,535, which callers may fill before they have read our
   * SETTINGS. A window only grows when a whole one was filled within one round trip, and never beyond what the wire may hold (`limits.buffer`).
   */
  streamWindowBytes: 256 * KIB,
  /**
   * To begin with; it grows as those of streams do, up to 64 MiB. It is given back as bytes are read, whoever they are
   * for, so it is no bound of memory.
   */
  connectionWindowBytes: MIB,
  /** RFC 7541's own default, both ways. More helps little between services, whose heads are alike, and every connection would pay for it twice. */
  headerTableBytes: 4 * KIB,
  /** Rapid reset (CVE-2023-44487), also when we are led to do the resetting (CVE-2025-8671). nghttp2 has 1,000 and 33; a gRPC caller with short deadlines may give up many at once. */
  resets: { burst: 1000, perSecond: 100 },
  /** Frames that make work and carry nothing: PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE. Each request and each piece of body sent allows some more. */
  chatter: { burst: 1000, perSecond: 100 },
  /** A head of 60 KiB comes in four frames of 16 KiB. */
  maxContinuations: 32,
  /** Answers (PING, SETTINGS, RST_STREAM) to a peer that takes none of what we send: as Envoy's max_outbound_control_frames. */
  maxReplies: 1000,
  /**
   * What waits for windows of the peer, over all streams of a connection; beyond it the stream with the most is reset.
   * A stream holds a piece that was read, 256 KiB, and then its source is stopped: so this is reached only where
   * `limits.streams` is above 256.
   */
  maxHeldBytes: 64 * MIB,
  /** 0: none. Off, because grpc-go and others close a connection that is pinged more often than every five minutes; TCP and the idle timeouts find most dead peers. */
  keepAliveIntervalMs: 0,
  /** As gRPC's. */
  keepAliveTimeoutMs: 20_000,
  /** To acknowledge our SETTINGS. */
  settingsTimeoutMs: 10_000,
  /** Between the two GOAWAYs of a drain, when the PING between them is not answered: what was under way has come by then (RFC 9113 section 6.8). */
  drainPatienceMs: 1000,
  /** Callers are told that they may ask for one (RFC 8441). */
  extendedConnect: true,
  /** Upstream: what comes by HTTP/1.1 is to leave as HTTP/1.1 behind the sidecar at the other end (hop/). */
  carriesHttp1: false,
  onGuard() {},
}
