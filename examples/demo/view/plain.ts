import { type Scene, successOf } from './scene.ts'
import { clock, milliseconds, success } from './text.ts'

/** One line a second, for logs and pipes. */
export function plainLine(scene: Scene): string {
  const { seconds, picture, load } = scene
  const web = picture.services[0]!
  const shares = ['orders', 'stock', 'prices', 'payments'].map(service => {
    const own = picture.instances.filter(({ instance }) => instance.service === service)
    return `${service} ${own.map(({ share, isUp }) => (isUp ? Math.round(share * 100) : 'down')).join('/')}`
  })
  const figures = `web ${web.perSecond.toFixed(0)}/s ${success(successOf(scene, web.name))} p50 ${milliseconds(web.p50Ms)} p99 ${milliseconds(web.p99Ms)}`
  return `${clock(seconds).padStart(5)}  ${figures.padEnd(44)}  ${shares.join('  ')}  failed ${load.failed}`
}
