import type { InstanceSpec } from './engine/instance.ts'
import type { Group, Scenario } from './scenario.ts'

/** Titles of their pictures, where there are several scenarios in one. */
export const GROUPS: Readonly<Record<Group, string>> = {
  alike: 'Ten alike',
  slow: 'A slow one among ten',
  spell: 'Slow for a while',
  failing: 'One that fails fast',
  capacities: 'Instances of different sizes',
  gc: 'Garbage collection',
  cold: 'Cold caches',
  'scale-up': 'From 10 instances to 50',
  two: 'Two instances',
  thousand: 'A thousand instances',
}

/** Four at a time, 20 ms each: 200 requests a second. */
const GOOD: InstanceSpec = {
  workers: 4,
  slowness: 1,
  failsAfterMs: null,
  stops: null,
  cold: null,
  spell: null,
  weight: 1,
  reports: false,
  isBad: false,
}
/** It mostly waits for others: hundreds at a time are no trouble. */
const WAITING: InstanceSpec = { ...GOOD, workers: 64 }
const FAILING: InstanceSpec = { ...GOOD, failsAfterMs: 1, isBad: true }
const COLD: InstanceSpec = { ...GOOD, cold: { factor: 10, lengthMs: 30_000 }, isBad: true }

/** The warm-up is longer than what has to pass before load reports count (10 s). */
const USUAL = {
  instances: of(10, GOOD),
  change: null,
  utilization: 0.6,
  sidecars: 4,
  workMs: 20,
  warmUpMs: 30_000,
  measuredMs: 60_000,
  balancer: {},
  outliers: false,
  bad: null,
  timeline: null,
} as const satisfies Partial<Scenario>

const SLOW_ONE = { bad: { label: 'to the slow one', fairShare: 0.1 } } as const
const FAILING_ONE = {
  instances: [...of(9, GOOD), FAILING],
  bad: { label: 'to the failing one', fairShare: 0.1 },
} as const
const COLD_ONES = {
  group: 'cold',
  change: { joining: of(3, COLD), leaving: 3, utilization: 0.6, rampMs: 0 },
  measuredMs: 45_000,
  bad: { label: 'to the new ones', fairShare: 0.3 },
  timeline: 'p99',
} as const

export const SCENARIOS: readonly Scenario[] = [
  {
    ...USUAL,
    name: 'alike',
    group: 'alike',
    title: 'Ten alike',
    heads: ['ten', 'alike'],
    what: 'Nothing is wrong: what a balancer itself adds to the 4 x 20 ms that each instance can work at once.',
  },
  {
    ...USUAL,
    ...SLOW_ONE,
    name: 'waiting',
    group: 'slow',
    title: 'One of ten is 10 x slower: it waits for something',
    heads: ['one slow:', 'waits'],
    what: 'Each answer takes ten times as long there, but it can take on any number of them.',
    instances: [...of(9, WAITING), { ...WAITING, slowness: 10, isBad: true }],
    utilization: 0.04,
  },
  {
    ...USUAL,
    ...SLOW_ONE,
    name: 'busy',
    group: 'slow',
    title: 'One of ten is 10 x slower: its processor is taken',
    heads: ['one slow:', 'busy'],
    what: 'It can do a tenth of what the others can.',
    instances: [...of(9, GOOD), { ...GOOD, slowness: 10, isBad: true }],
  },
  {
    ...USUAL,
    ...SLOW_ONE,
    name: 'busy-many',
    group: 'slow',
    title: 'The same, called by 50 sidecars instead of four',
    heads: ['busy, 50', 'sidecars'],
    what: 'Each sidecar sees a fiftieth of the requests, and hardly ever has two under way at one instance.',
    instances: [...of(9, GOOD), { ...GOOD, slowness: 10, isBad: true }],
    sidecars: 50,
  },
  {
    ...USUAL,
    name: 'spell',
    group: 'spell',
    title: 'One of ten is 10 x slower for 30 s, then well again',
    heads: ['slow for', '30 s'],
    what: 'How soon is it noticed, and how soon forgiven?',
    instances: [...of(9, GOOD), { ...GOOD, spell: { fromMs: 35_000, lengthMs: 30_000, factor: 10 }, isBad: true }],
    measuredMs: 90_000,
    bad: { label: 'to it', fairShare: 0.1 },
    timeline: 'share',
  },
  {
    ...USUAL,
    ...FAILING_ONE,
    name: 'failing',
    group: 'failing',
    title: 'One of ten fails fast, without outlier detection',
    heads: ['one', 'fails fast'],
    what: 'It answers everything with 503 within a millisecond, and so looks idle and quick.',
  },
  {
    ...USUAL,
    ...FAILING_ONE,
    name: 'failing-outliers',
    group: 'failing',
    title: 'The same, with outlier detection',
    heads: ['fails fast,', 'outliers on'],
    what: 'Five failures in a row, and it is left alone for ten seconds, then for twenty, and so on (the default).',
    outliers: true,
  },
  {
    ...USUAL,
    name: 'capacities',
    group: 'capacities',
    title: 'Capacities 1 : 2 : 4, and nobody says so',
    heads: ['1 : 2 : 4,', 'no weights'],
    what: 'Three instances of each size, all with weight 1.',
    instances: mixed(size => ({ weight: 1, isBad: size === 1 })),
    bad: { label: 'to the 3 small ones', fairShare: 1 / 7 },
  },
  {
    ...USUAL,
    name: 'weights',
    group: 'capacities',
    title: 'Capacities 1 : 2 : 4, and weights say so',
    heads: ['1 : 2 : 4,', 'weights'],
    what: 'The same with weights 1, 2 and 4 in the registry.',
    instances: mixed(size => ({ weight: size, isBad: size === 1 })),
    bad: { label: 'to the 3 small ones', fairShare: 1 / 7 },
  },
  {
    ...USUAL,
    name: 'gc',
    group: 'gc',
    title: 'Garbage collection',
    heads: ['garbage', 'collection'],
    what: 'Each of ten instances stops for 200 ms, every five seconds or so.',
    instances: of(10, { ...GOOD, stops: { everyMs: 5000, lengthMs: 200 } }),
    bad: { label: 'to stopped ones', fairShare: 200 / 5200 },
  },
  {
    ...USUAL,
    ...COLD_ONES,
    name: 'cold',
    title: 'Three of ten are replaced, and the new ones are cold',
    heads: ['3 of 10', 'are cold'],
    what: 'The new ones are ten times slower at first, and less and less so for 30 s.',
  },
  {
    ...USUAL,
    ...COLD_ONES,
    name: 'cold-slow-start',
    title: 'The same, with a slow start of 30 s',
    heads: ['cold, with', 'slow start'],
    what: 'Their weight grows from a tenth to the whole in that time.',
    balancer: { slowStart: { windowMs: 30_000, aggression: 1, minWeightPercent: 10 } },
  },
  {
    ...USUAL,
    name: 'scale-up',
    group: 'scale-up',
    title: 'From 10 instances to 50',
    heads: ['from 10', 'to 50'],
    what: 'Ten are at 95 %. 40 more come at once, and within ten seconds the load grows to 75 % of what the 50 can do.',
    utilization: 0.95,
    change: { joining: of(40, { ...GOOD, isBad: true }), leaving: 0, utilization: 0.75, rampMs: 10_000 },
    measuredMs: 30_000,
    bad: { label: 'to the new ones', fairShare: 0.8 },
    timeline: 'share',
  },
  {
    ...USUAL,
    name: 'two',
    group: 'two',
    title: 'Two instances, one of them 3 x slower',
    heads: ['two, one', '3 x slower'],
    what: 'The smallest fleet there is.',
    instances: [GOOD, { ...GOOD, slowness: 3, isBad: true }],
    measuredMs: 120_000,
    bad: { label: 'to the slower one', fairShare: 0.5 },
  },
  {
    ...USUAL,
    name: 'thousand',
    group: 'thousand',
    title: 'A thousand instances, 50 of them 10 x slower',
    heads: ['thousand,', '50 slow'],
    what: 'Called by 20 sidecars, each of which knows little of each instance: two requests a second.',
    instances: [...of(950, GOOD), ...of(50, { ...GOOD, slowness: 10, isBad: true })],
    sidecars: 20,
    workMs: 50,
    warmUpMs: 10_000,
    measuredMs: 10_000,
    bad: { label: 'to the slow ones', fairShare: 0.05 },
  },
]

function of(count: number, spec: InstanceSpec): InstanceSpec[] {
  return Array.from({ length: count }, () => spec)
}

function mixed(more: (size: number) => Partial<InstanceSpec>): InstanceSpec[] {
  return [1, 2, 4].flatMap(size => of(3, { ...GOOD, workers: 2 * size, ...more(size) }))
}
