import { isAt, type Path } from './located.ts'

/**
 * Words of other proxies (Envoy, Istio, Linkerd, Consul, nginx, HAProxy), in small letters without - and _, and the
 * place of the same setting here.
 */

const routes = 'services.<name>.routes'
const to = `${routes}[].to`
const outliers = 'services.<name>.outliers'
const health = 'services.<name>.health'
const limits = 'services.<name>.limits'
const balancer = 'services.<name>.balancer'
const endpoints = 'discovery.endpoints.<name>'
const consul = 'discovery.consul'

const places: Readonly<Record<string, string>> = {
  retry: 'services.<name>.retries',
  retrypolicy: 'services.<name>.retries',
  numretries: 'services.<name>.retries.attempts, which counts the first try too',
  maxretries: 'services.<name>.retries.attempts, which counts the first try too',
  retryon: 'services.<name>.retries.on',
  retrybudget: 'services.<name>.retries.budget',
  retriablestatuscodes: 'services.<name>.retries.statuses',
  retryonstatuscodes: 'services.<name>.retries.statuses',
  retriableheaders: 'services.<name>.retries.headers',
  retrybackoff: 'services.<name>.retries.backoff',
  baseinterval: 'services.<name>.retries.backoff.base',
  maxinterval: 'services.<name>.retries.backoff.max',
  hedgepolicy: 'services.<name>.retries.hedge',
  hedging: 'services.<name>.retries.hedge',
  maxstreamduration: 'services.<name>.timeouts.maxStream',
  pertrytimeout: 'services.<name>.timeouts.perTry',
  connecttimeout: 'services.<name>.timeouts.connect',
  requesttimeout: 'services.<name>.timeouts.request',
  idletimeout: 'services.<name>.timeouts.idle',
  streamidletimeout: 'services.<name>.timeouts.idle',
  outlierdetection: outliers,
  passivehealthcheck: outliers,
  failureaccrual: outliers,
  consecutive5xxerrors: `${outliers}.consecutive5xx`,
  consecutivegatewayfailure: `${outliers}.consecutiveGatewayFailures`,
  consecutivelocaloriginfailure: `${outliers}.consecutiveLocalFailures`,
  consecutivelocaloriginfailures: `${outliers}.consecutiveLocalFailures`,
  splitexternallocaloriginerrors: `${outliers}.consecutiveLocalFailures, a number`,
  successratestdevfactor: `${outliers}.successRate.factor, 1.9 for 1900`,
  successrateminimumhosts: `${outliers}.successRate.minEndpoints`,
  successraterequestvolume: `${outliers}.successRate.minRequests`,
  failurepercentagethreshold: `${outliers}.failurePercentage.percent`,
  failurepercentageminimumhosts: `${outliers}.failurePercentage.minEndpoints`,
  failurepercentagerequestvolume: `${outliers}.failurePercentage.minRequests`,
  maxejectiontimejitter: `${outliers}.jitter`,
  consecutivegatewayerrors: `${outliers}.consecutiveGatewayFailures`,
  maxfailures: `${outliers}.consecutiveGatewayFailures`,
  baseejectiontime: `${outliers}.baseEjection`,
  maxejectiontime: `${outliers}.maxEjection`,
  maxejectionpercent: `${outliers}.maxEjectedPercent`,
  circuitbreaker: limits,
  circuitbreakers: limits,
  connectionpool: limits,
  maxconnections: `${limits}.connections`,
  maxpendingrequests: `${limits}.pending`,
  http1maxpendingrequests: `${limits}.pending`,
  maxrequests: `${limits}.requests`,
  maxconcurrentrequests: `${limits}.requests`,
  http2maxrequests: `${limits}.requests`,
  clusters: 'services (policies) and discovery (their endpoints)',
  upstreams: 'services (policies) and discovery (their endpoints)',
  upstream: 'services (policies) and discovery (their endpoints)',
  backends: 'services (policies) and discovery (their endpoints)',
  destinationrule: 'services.<name>',
  trafficpolicy: 'services.<name>',
  listeners: 'inbound and outbound',
  listener: 'inbound and outbound',
  routeconfig: routes,
  virtualhosts: routes,
  virtualservice: routes,
  domains: 'services.<name>.hosts',
  servernames: 'services.<name>.hosts',
  weightedclusters: to,
  destinations: to,
  splits: to,
  lbpolicy: `${balancer}.type`,
  loadbalancer: balancer,
  loadbalancing: balancer,
  loadassignment: endpoints,
  hashpolicy: `${balancer}.hashOn`,
  consistenthash: `${balancer}.hashOn`,
  slowstartconfig: `${balancer}.slowStart`,
  lbendpoints: endpoints,
  servers: endpoints,
  staticconfigs: endpoints,
  registry: consul,
  concurrency: 'workers',
  threads: 'workers',
  accesslogpath: 'accessLog.path',
  accesslogs: 'accessLog',
  adminaddress: 'admin',
  adminport: 'admin',
  draintimeout: 'drain.timeout',
  terminationdrainduration: 'drain.timeout',
  healthchecks: health,
  healthcheck: health,
  notrafficinterval: `${health}.noTrafficInterval`,
  unhealthythreshold: `${health}.unhealthyAfter`,
  healthythreshold: `${health}.healthyAfter`,
  expectedstatuses: `${health}.http.expect`,
  retriablestatuses: `${health}.http.retriable`,
  bindaddress: 'inbound[].listen and outbound[].listen',
  listenaddress: 'inbound[].listen and outbound[].listen',
  localserviceaddress: 'inbound[].forward',
  localappaddress: 'inbound[].forward',
  datacenter: `${consul}.datacenter`,
  includeoutboundipranges: 'intercept.outbound.onlyCidrs',
  excludeoutboundipranges: 'intercept.outbound.skipCidrs',
  includeoutboundports: 'intercept.outbound.onlyPorts',
  excludeoutboundports: 'intercept.outbound.skipPorts',
  includeinboundports: 'intercept.inbound.onlyPorts',
  excludeinboundports: 'intercept.inbound.skipPorts',
  excludeinterfaces: 'intercept.exclude.interfaces',
  skipoutboundports: 'intercept.outbound.skipPorts',
  skipinboundports: 'intercept.inbound.skipPorts',
  skipsubnets: 'intercept.inbound.skipCidrs',
  proxyuid: 'intercept.user',
  proxygid: 'intercept.group',
}

/** The place of this setting here; null: an unknown word. */
export function placeOfWord(word: string): string | null {
  const plain = word.toLowerCase().replaceAll(/[-_]/g, '')
  return Object.hasOwn(places, plain) ? places[plain]! : null
}

/** Keys that a route could have and does not, because its service has one for all routes. */
const ofTheService: readonly { readonly at: string; readonly because: string }[] = [
  {
    at: 'services.*.routes.*.timeouts.connect',
    because: 'all routes of a service share its connections: write it under services.<name>.timeouts',
  },
  {
    at: 'services.*.routes.*.retries.budget',
    because: 'all routes of a service share its budget: write it under services.<name>.retries',
  },
]

/** Why there is no such key here, and where it belongs; null: no reason is known. */
export function whyNotHere(path: Path): string | null {
  // In a policy document the path begins with the key of a policy.
  const inPolicy = ['services', '*', ...path]
  return ofTheService.find(({ at }) => isAt(at, path) || isAt(at, inPolicy))?.because ?? null
}

/** All places, for the test that they exist. */
export const namedPlaces: readonly string[] = [...new Set(Object.values(places))]
