import { loadTexts } from '../mesh-config/load-snapshot.ts'
import { annotation } from './names.ts'
import { podVariables } from './parts.ts'
import { isMap, type Json } from './shape.ts'
import { parseConfig, yamlText } from './yaml-values.ts'

/** What the sidecar will find in its environment. */
const environment = { ...Object.fromEntries(Object.keys(podVariables).map(name => [name, '10.0.0.1'])), HOME: '/' }

/** Why the sidecar would refuse its file; empty: it will not. */
export async function checkFile(file: string): Promise<string[]> {
  const parsed = parseConfig(file)
  if (typeof parsed === 'string') return [`${annotation.file}: ${parsed}`]
  const loaded = await loadTexts([{ file: annotation.file, text: yamlText(withoutInterception(parsed)) }], environment)
  return loaded.ok ? [] : loaded.errors.map(error => error.replace(/:\d+:\d+:/, ':'))
}

/** What is intercepted depends on the pod, and not on the file alone. */
function withoutInterception({ dns: _dns, ...file }: Json): Json {
  const listeners = (list: unknown, more: Json) =>
    Array.isArray(list)
      ? list.map(each => {
          if (!isMap(each) || each.transparent !== true) return each
          const { transparent: _transparent, passThrough: _passThrough, ...rest } = each
          return { ...more, ...rest }
        })
      : list
  return {
    ...file,
    ...('inbound' in file ? { inbound: listeners(file.inbound, { forward: '127.0.0.1:1' }) } : {}),
    ...('outbound' in file ? { outbound: listeners(file.outbound, {}) } : {}),
  }
}
