import type { InstancePicture } from '../watch/observer.ts'
import { type Scene, successOf } from './scene.ts'
import type { Glyphs, Paint, Style } from './style.ts'
import { cell, milliseconds, plain, success } from './text.ts'

const NAME = 14
/** Margins, the mark, the share in percent, and the three numbers of an instance. */
const NUMBERS = 2 + 2 + 6 + 8 + 7 + 9

/**
 * SUCCESS is that of the whole run, as the number of failed requests is: a share of the last seconds beside it would
 * contradict it.
 */
export function serviceLines(scene: Scene, width: number, style: Style): string[] {
  const { bold, dim, red, green, cyan, glyphs } = style
  const sparkWidth = Math.max(0, Math.min(60, width - 68))
  const header = `${cell('SERVICE', NAME)}${cell('CALLS/S', 10, 'right')}${cell('SUCCESS', 12, 'right')}${cell('P50', 11, 'right')}${cell('P99', 11, 'right')}    ${cell('P99 SO FAR', sparkWidth)}`
  const rows = scene.picture.services.map(({ name, perSecond, p50Ms, p99Ms, p99History }) => {
    const share = successOf(scene, name)
    const shown = cell(success(share), 12, 'right', share === null ? dim : share === 1 ? green : red)
    const numbers = `${cell(perSecond.toFixed(0), 10, 'right')}${shown}${cell(milliseconds(p50Ms), 11, 'right')}${cell(milliseconds(p99Ms), 11, 'right')}`
    return `  ${cell(name, NAME, 'left', bold)}${numbers}    ${cyan(sparkline(p99History, sparkWidth, glyphs))}`
  })
  return [dim(`  ${header}`), ...rows]
}

/** The last values, one a character, the highest of them (or 50 ms, so that calm looks calm) as high as it gets. */
export function sparkline(values: readonly number[], width: number, { spark }: Glyphs): string {
  const shown = values.slice(-width)
  const top = Math.max(50, ...shown)
  const level = (value: number) => spark[Math.min(spark.length - 1, Math.floor((value / top) * spark.length))]
  return shown.map(level).join('')
}

/** `isAiry`: an empty line between services. */
export function instanceLines(
  instances: readonly InstancePicture[],
  width: number,
  isAiry: boolean,
  style: Style,
): string[] {
  const { dim } = style
  const stateWidth = width >= 120 ? 30 : 22
  const barWidth = Math.max(8, Math.min(60, width - NAME - stateWidth - NUMBERS))
  const header = `${cell('INSTANCE', NAME)}${cell('STATE TO CALLERS', stateWidth + 2)}${cell('SHARE OF CALLS', barWidth + 6)}${cell('CALLS/S', 8, 'right')}${cell('ACTIVE', 7, 'right')}${cell('P50', 9, 'right')}`
  const lines = [dim(`  ${header}`)]
  for (const [index, picture] of instances.entries()) {
    if (isAiry && index > 0 && instances[index - 1]!.instance.service !== picture.instance.service) lines.push('')
    const peers = instances.filter(({ instance }) => instance.service === picture.instance.service)
    lines.push(instanceLine(picture, peers, stateWidth, barWidth, style))
  }
  return lines
}

function instanceLine(
  picture: InstancePicture,
  peers: readonly InstancePicture[],
  stateWidth: number,
  barWidth: number,
  style: Style,
): string {
  const { instance, share, perSecond, active, p50Ms } = picture
  const { dim, yellow } = style
  const { mark, text, paint } = stateOf(picture, style)
  const name = cell(instance.version === null ? instance.name : `${instance.name} ${instance.version}`, NAME)
  const bar = shareBar(share, barWidth, style)
  const quiet = perSecond === 0 ? dim : plain
  const percent = cell(`${Math.round(share * 100)} %`, 6, 'right', quiet)
  const isSlow = p50Ms !== null && p50Ms > 20 && peers.some(peer => peer.p50Ms !== null && peer.p50Ms * 3 < p50Ms)
  const numbers = `${cell(perSecond.toFixed(0), 8, 'right', quiet)}${cell(String(active), 7, 'right', quiet)}${cell(milliseconds(p50Ms), 9, 'right', isSlow ? yellow : quiet)}`
  return `  ${name}${paint(mark)} ${cell(text, stateWidth, 'left', paint)}${bar}${percent}${numbers}`
}

interface StateText {
  readonly mark: string
  readonly text: string
  readonly paint: Paint
}

function stateOf({ isUp, states }: InstancePicture, { red, green, yellow, glyphs }: Style): StateText {
  const ejected = states.filter(({ state }) => state === 'ejected')
  const probing = states.some(({ state }) => state === 'probing')
  const seconds = Math.ceil(Math.max(0, ...ejected.map(({ ejectedForMs }) => ejectedForMs)) / 1000)
  const by = ejected.length === states.length ? '' : ` by ${ejected.length} of ${states.length}`
  const seen = ejected.length > 0 ? `ejected${by}, ${seconds} s` : probing ? 'probing' : 'admitting'
  if (!isUp) return { mark: glyphs.down, text: states.length === 0 ? 'down' : `down (${seen})`, paint: red }
  if (ejected.length > 0) return { mark: glyphs.ejected, text: seen, paint: yellow }
  if (probing) return { mark: glyphs.probing, text: seen, paint: yellow }
  return { mark: glyphs.admitting, text: states.length === 0 ? 'no caller' : seen, paint: green }
}

function shareBar(share: number, width: number, { dim, cyan, glyphs }: Style): string {
  const halves = Math.round(share * width * 2)
  const whole = Math.min(width, Math.floor(halves / 2))
  const half = halves % 2 === 1 && whole < width ? glyphs.halfBar : ''
  return `${cyan(glyphs.bar.repeat(whole) + half)}${dim(glyphs.track.repeat(width - whole - half.length))}`
}
